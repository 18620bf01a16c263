"""Servers of what no OpenSSL of today serves: SSLv3 by tlslite-ng, SSLv2 by OpenSSL 1.0.2.

That OpenSSL is the one inside nassl, which comes with sslyze for use as a client. Its symbols
are not exported, but `nm` finds them in the file.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailwitness.evidence.probe import VERSIONS, VersionName

# Both print the port: the certificate's folder, the lowest and the highest version, ciphers.
_TLSLITE = """
import socket, sys, threading
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
folder, lowest, highest, ciphers = sys.argv[1:]
key = parsePEMKey(open(folder + "/rsa.key").read(), private=True)
chain = X509CertChain()
chain.parsePemList(open(folder + "/rsa.crt").read())
settings = HandshakeSettings()
settings.minVersion, settings.maxVersion = (3, int(lowest) - 1), (3, int(highest) - 1)
settings.cipherNames, settings.macNames = ciphers.split(","), ["sha"]
settings.keyExchangeNames = ["rsa"]
def serve(connection):
    try:
        TLSConnection(connection).handshakeServer(
            certChain=chain, privateKey=key, settings=settings
        )
    except Exception:
        pass
    connection.close()
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""

_OPENSSL_1_0_2 = """
import os, signal, socket, subprocess, sys
from ctypes import CFUNCTYPE, c_char_p, c_int, c_long, c_void_p
from nassl import _nassl_legacy
folder, lowest, highest, ciphers = sys.argv[1:]
file = _nassl_legacy.__file__
lines = subprocess.run(["nm", file], capture_output=True, text=True, check=True).stdout
offsets = {line.split()[-1]: int(line.split()[0], 16) for line in lines.splitlines()
           if len(line.split()) == 3}
base = min(int(line.split("-")[0], 16) for line in open("/proc/self/maps")
           if line.rstrip().endswith(file))
def function(name, result, *arguments):
    return CFUNCTYPE(result, *arguments)(base + offsets[name])
context = function("SSL_CTX_new", c_void_p, c_void_p)(
    function("SSLv23_server_method", c_void_p)()
)
# SSL_OP_NO_SSLv2 and so on to SSL_OP_NO_TLSv1_2, of which the first is the default.
no = [0x01000000, 0x02000000, 0x04000000, 0x10000000, 0x08000000]
control = function("SSL_CTX_ctrl", c_long, c_void_p, c_int, c_long, c_void_p)
control(context, 77, no[0], None)  # SSL_CTRL_CLEAR_OPTIONS
for number, option in enumerate(no):
    if not int(lowest) <= number <= int(highest):
        control(context, 32, option, None)  # SSL_CTRL_OPTIONS
use = [c_int, c_void_p, c_char_p]
assert function("SSL_CTX_set_cipher_list", *use)(context, ciphers.encode())
for name, kind in (("SSL_CTX_use_certificate_file", "crt"), ("SSL_CTX_use_PrivateKey_file", "key")):
    assert function(name, *use, c_int)(context, f"{folder}/rsa.{kind}".encode(), 1)  # PEM
new = function("SSL_new", c_void_p, c_void_p)
set_fd = function("SSL_set_fd", c_int, c_void_p, c_int)
accept = function("SSL_accept", c_int, c_void_p)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:  # no threads: that OpenSSL has no locks of its own
        one = new(context)
        set_fd(one, connection.fileno())
        accept(one)
        connection.close()
        os._exit(0)
    connection.close()
"""


@dataclass(frozen=True)
class OldServer:
    """`suites`: those that `ciphers`, in the words of `script`, allow with a key of RSA alone."""

    script: str
    lowest: VersionName
    highest: VersionName
    ciphers: str
    suites: frozenset[str]
    suites_of_tls_1_2: frozenset[str] = frozenset()  # that need this version

    @property
    def versions(self) -> tuple[VersionName, ...]:
        return VERSIONS[VERSIONS.index(self.lowest) : VERSIONS.index(self.highest) + 1]

    def __str__(self) -> str:
        library = "tlslite-ng" if self.script == _TLSLITE else "OpenSSL 1.0.2"
        return f"{self.lowest}..{self.highest}, {self.ciphers}, {library}"

    def expected(self, version: VersionName) -> frozenset[str]:
        if version not in self.versions:
            return frozenset()
        return self.suites | (self.suites_of_tls_1_2 if version == "TLSv1.2" else frozenset())


def _rsa(*ends: str) -> frozenset[str]:
    return frozenset(f"TLS_RSA_WITH_{end}" for end in ends)


_OF_1_0_2 = _rsa(
    *("AES_128_CBC_SHA", "AES_256_CBC_SHA", "CAMELLIA_128_CBC_SHA", "CAMELLIA_256_CBC_SHA"),
    *("IDEA_CBC_SHA", "SEED_CBC_SHA", "RC4_128_MD5", "RC4_128_SHA", "DES_CBC_SHA"),
    *("3DES_EDE_CBC_SHA", "NULL_MD5", "NULL_SHA"),
)
_OF_1_0_2_FOR_1_2 = _rsa(
    *("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "AES_128_CBC_SHA256", "AES_256_CBC_SHA256"),
    "NULL_SHA256",
)
OLD_SERVERS = (
    OldServer(_TLSLITE, "SSLv3", "SSLv3", "aes128", _rsa("AES_128_CBC_SHA")),
    OldServer(
        *(_TLSLITE, "SSLv3", "SSLv3", "3des,rc4", _rsa("3DES_EDE_CBC_SHA", "RC4_128_SHA")),
    ),
    OldServer(_TLSLITE, "SSLv3", "TLSv1", "aes256", _rsa("AES_256_CBC_SHA")),
    OldServer(
        *(_TLSLITE, "SSLv3", "TLSv1.2", "aes256,3des"),
        _rsa("AES_256_CBC_SHA", "3DES_EDE_CBC_SHA"),
    ),
    OldServer(_OPENSSL_1_0_2, "SSLv2", "SSLv2", "ALL", _OF_1_0_2),
    OldServer(
        *(_OPENSSL_1_0_2, "SSLv2", "SSLv3", "RC4-SHA:DES-CBC3-SHA:DES-CBC3-MD5"),
        _rsa("RC4_128_SHA", "3DES_EDE_CBC_SHA"),
    ),
    OldServer(
        *(_OPENSSL_1_0_2, "SSLv2", "TLSv1.2", "ALL:COMPLEMENTOFALL", _OF_1_0_2, _OF_1_0_2_FOR_1_2)
    ),
    OldServer(_OPENSSL_1_0_2, "SSLv3", "SSLv3", "AES", _rsa("AES_128_CBC_SHA", "AES_256_CBC_SHA")),
    OldServer(
        *(_OPENSSL_1_0_2, "SSLv3", "TLSv1.2", "ALL:COMPLEMENTOFALL", _OF_1_0_2, _OF_1_0_2_FOR_1_2)
    ),
    OldServer(_OPENSSL_1_0_2, "TLSv1", "TLSv1", "DES-CBC-SHA", _rsa("DES_CBC_SHA")),
)


@contextlib.contextmanager
def serving_old(server: OldServer, python: str, folder: Path) -> Iterator[int]:
    """The port of it on loopback; `python` has tlslite-ng and nassl, `folder` rsa.{crt,key}."""
    bounds = [str(VERSIONS.index(version)) for version in (server.lowest, server.highest)]
    argv = [python, "-c", server.script, str(folder), *bounds, server.ciphers]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
