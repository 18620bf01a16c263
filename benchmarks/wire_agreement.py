"""The hellos and sslyze on servers of OpenSSL in many configurations, held to the configuration.

    python -m benchmarks.wire_agreement [--root DIR ...] [--sslyze PYTHON] [--tlslite PYTHON]

Each DIR is a file system with an OpenSSL of its own, older or newer than the machine's; PYTHON an
interpreter that has sslyze, or tlslite-ng, which serves SSLv3 (no library at hand serves SSL 2.0).
Prints what disagrees and why; exit status 1 where the hellos do not find what is configured, or
sslyze finds what they do not.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.probe.looking import negotiated
from tests.probe.matrix import (
    GROUP_NAMES,
    VERSIONS,
    Configuration,
    configurations,
    expected_suites,
    make_keys,
    post_quantum,
    serving,
)

# Prints, for each version, the suites that are accepted and all that sslyze knows.
_SSLYZE = """
import json, sys
from sslyze import Scanner, ScanCommand, ServerNetworkLocation, ServerScanRequest
from sslyze.plugins.openssl_cipher_suites.cipher_suites import CipherSuitesRepository
from sslyze import TlsVersionEnum
names = {"TLSv1": "tls_1_0", "TLSv1.1": "tls_1_1", "TLSv1.2": "tls_1_2", "TLSv1.3": "tls_1_3"}
commands = {getattr(ScanCommand, name.upper() + "_CIPHER_SUITES") for name in names.values()}
scanner = Scanner()
where = ServerNetworkLocation(hostname="localhost", ip_address="127.0.0.1", port=int(sys.argv[1]))
scanner.queue_scans([ServerScanRequest(server_location=where, scan_commands=commands)])
(result,) = scanner.get_results()
found = {}
for version, name in names.items():
    attempt = result.scan_result and getattr(result.scan_result, name + "_cipher_suites")
    known = CipherSuitesRepository.get_all_cipher_suites(TlsVersionEnum[name.upper()])
    accepted = attempt and attempt.result and attempt.result.accepted_cipher_suites
    found[version] = {
        "accepted": None if accepted is None else [one.cipher_suite.name for one in accepted],
        "known": [suite.name for suite in known],
    }
print(json.dumps(found))
"""


# Serves from SSLv3 on with these ciphers, and prints its port.
_TLSLITE = """
import socket, sys, threading
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
folder, highest, ciphers = sys.argv[1:]
key = parsePEMKey(open(folder + "/rsa.key").read(), private=True)
chain = X509CertChain()
chain.parsePemList(open(folder + "/rsa.crt").read())
settings = HandshakeSettings()
settings.minVersion, settings.maxVersion = (3, 0), (3, int(highest))
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
# Newest version, ciphers in tlslite-ng's words, and the suites that these are.
_SSLV3 = (
    (0, "aes128", {"TLS_RSA_WITH_AES_128_CBC_SHA"}),
    (0, "3des,rc4", {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_RC4_128_SHA"}),
    (1, "aes256", {"TLS_RSA_WITH_AES_256_CBC_SHA"}),
    (3, "aes256,3des", {"TLS_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"}),
)


def agree_on_sslv3(python: str, folder: Path) -> Counter[str]:
    tally: Counter[str] = Counter()
    for highest, ciphers, names in _SSLV3:
        argv = [python, "-c", _TLSLITE, str(folder), str(highest), ciphers]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                _, found, connections = negotiated(int(server.stdout.readline()))
            finally:
                server.kill()
        truth = dict.fromkeys(("SSLv3", *VERSIONS)[: highest + 1], names)
        tally += Counter(servers=1, connections=connections, suites=len(names) * len(truth))
        mine = {one.version: set(one.names) for one in found.suites}
        if mine != truth:
            tally["wrong"] += 1
            print(f"WRONG SSLv3..3.{highest}, {ciphers}: {mine}")
    return tally


def sslyze(python: str, port: int) -> "dict[str, dict[str, list[str] | None]] | None":
    ran = subprocess.run(
        [python, "-c", _SSLYZE, str(port)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if ran.returncode:
        return None
    answer: dict[str, dict[str, list[str] | None]] = json.loads(ran.stdout)
    return answer


def compare(configuration: Configuration, folder: Path, python: "str | None") -> Counter[str]:
    tally: Counter[str] = Counter(servers=1)
    with serving(configuration, folder) as port:
        _, found, connections = negotiated(port)
        peer = sslyze(python, port) if python else None
    tally["connections"] += connections
    ours = {one.version: frozenset(one.names) for one in found.suites}
    for version in VERSIONS:
        mine, truth = ours.get(version, frozenset()), expected_suites(configuration, version)
        tally["suites"] += len(truth)
        if mine != truth:
            tally["wrong"] += 1
            print(f"WRONG {configuration}, {version}: {sorted(mine ^ truth)}")
        if peer is None:
            continue
        theirs, known = peer[version]["accepted"], peer[version]["known"]
        if theirs is None or known is None:
            tally["sslyze: no answer"] += 1
            continue
        only_theirs, only_mine = set(theirs) - mine, mine - set(theirs)
        if only_theirs:
            tally["wrong"] += 1
            print(f"WRONG {configuration}, {version}: sslyze alone has {sorted(only_theirs)}")
        tally["sslyze: suites it does not know"] += len(only_mine - set(known))
        if missed := only_mine & set(known):
            tally["sslyze: suites it knows and missed"] += len(missed)
            print(f"sslyze misses {configuration}, {version}: {sorted(missed)}")
    tally["unknown"] += sum(not isinstance(one.rest, str) for one in (*found.suites, *found.groups))
    if configuration.groups:
        names = {GROUP_NAMES.get(group, group) for group in configuration.groups}
        for one in found.groups:
            if set(one.names) != names:
                tally["wrong"] += 1
                print(f"WRONG {configuration}, {one.version}: groups {one.names}")
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, action="append", default=[])
    parser.add_argument("--sslyze", metavar="PYTHON")
    parser.add_argument("--tlslite", metavar="PYTHON")
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    for root in (None, *arguments.root):
        with tempfile.TemporaryDirectory(dir=root and root / "tmp") as scratch:
            folder = Path(scratch)
            folder.chmod(0o755)
            make_keys(folder)
            if root is None and arguments.tlslite:
                tally += agree_on_sslv3(arguments.tlslite, folder)
            chosen = list(configurations(root))
            with_hybrids = Configuration("TLSv1.3", "TLSv1.3", ("ec",), "ALL", root=root)
            if root is not None and has_hybrids(with_hybrids, folder):
                chosen += post_quantum(root)
            for configuration in chosen:
                tally += compare(configuration, folder, arguments.sslyze)
    for what, count in tally.items():
        print(f"{count:6} {what}")
    return 1 if tally["wrong"] or tally["unknown"] else 0


def has_hybrids(configuration: Configuration, folder: Path) -> bool:
    with serving(configuration, folder) as port:
        _, found, _ = negotiated(port)
    return "X25519MLKEM768" in found.groups[0].names


if __name__ == "__main__":
    sys.exit(main())
