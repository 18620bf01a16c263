"""Servers of OpenSSL in many configurations, and what OpenSSL itself says that they accept."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path

from mailwitness.evidence.probe import VersionName
from mailwitness.probe.suites import SUITES, SUITES_OF_TLS_1_3

VERSIONS: tuple[VersionName, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_FLAGS = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
_NAMES = {**SUITES, **SUITES_OF_TLS_1_3}
_OWN_CONFIGURATION = {**os.environ, "OPENSSL_CONF": "/dev/null", "LC_ALL": "C"}
_PATIENCE = 10.0

GRADES = {
    "modern": "ECDHE+AESGCM:ECDHE+CHACHA20",
    "default": "DEFAULT:@SECLEVEL=0",
    "all": "ALL:eNULL:@SECLEVEL=0",
}
KEYS: tuple[tuple[str, ...], ...] = (("rsa",), ("ec",), ("rsa", "ec"))
RANGES: tuple[tuple[VersionName, VersionName], ...] = (
    ("TLSv1", "TLSv1"),
    ("TLSv1.1", "TLSv1.1"),
    ("TLSv1.2", "TLSv1.2"),
    ("TLSv1.3", "TLSv1.3"),
    ("TLSv1.2", "TLSv1.3"),
    ("TLSv1", "TLSv1.3"),
)


@dataclass(frozen=True)
class Configuration:
    """One server. `root`: the file system whose OpenSSL it is; the machine's own without one."""

    lowest: VersionName
    highest: VersionName
    keys: tuple[str, ...]
    ciphers: str
    server_order: bool = False
    groups: tuple[str, ...] = ()  # none: whatever OpenSSL has
    suites_of_tls_1_3: tuple[str, ...] = ()
    root: "Path | None" = None
    name: str = field(default="", compare=False)

    @property
    def versions(self) -> tuple[VersionName, ...]:
        return VERSIONS[VERSIONS.index(self.lowest) : VERSIONS.index(self.highest) + 1]

    def __str__(self) -> str:
        words = [f"{self.lowest}..{self.highest}", "+".join(self.keys), self.name or self.ciphers]
        words += ["server order"] * self.server_order + [":".join(self.groups)] * bool(self.groups)
        words += [self.root.name] if self.root else []
        return ", ".join([*words, *self.suites_of_tls_1_3])


def configurations(root: "Path | None" = None) -> Iterator[Configuration]:
    """The matrix: versions, types of key and grades of ciphers; then orders and groups."""
    for (lowest, highest), keys, (name, ciphers) in product(RANGES, KEYS, GRADES.items()):
        yield Configuration(lowest, highest, keys, ciphers, root=root, name=name)
    for keys in KEYS:
        yield Configuration(
            *("TLSv1", "TLSv1.3", keys, GRADES["all"]), server_order=True, root=root, name="all"
        )
    for groups in (("X25519",), ("P-256",), ("P-384", "P-521"), ("X448", "X25519", "P-256")):
        for keys in KEYS[:1]:
            yield Configuration(
                *("TLSv1.2", "TLSv1.3", keys, GRADES["modern"]),
                groups=groups,
                root=root,
                name="modern",
            )
    for suites in (("TLS_AES_256_GCM_SHA384",), ("TLS_AES_128_CCM_8_SHA256",)):
        # CCM_8 has a security level of 0 from OpenSSL 3.2 on.
        yield Configuration(
            *("TLSv1.3", "TLSv1.3", ("rsa",), GRADES["all"]),
            suites_of_tls_1_3=suites,
            root=root,
            name="all",
        )


def post_quantum(root: Path) -> Iterator[Configuration]:
    """For OpenSSL from 3.5 on."""
    for groups in (
        ("X25519MLKEM768",),
        ("X25519MLKEM768", "X25519"),
        ("SecP256r1MLKEM768", "P-256"),
        ("SecP384r1MLKEM1024",),
        ("MLKEM768", "ffdhe2048"),
    ):
        yield Configuration(
            *("TLSv1.3", "TLSv1.3", ("ec",), GRADES["modern"]),
            groups=groups,
            root=root,
            name="modern",
        )


# The groups as OpenSSL's option names them, where that is not their name by IANA.
GROUP_NAMES = {
    "X25519": "x25519",
    "X448": "x448",
    "P-256": "secp256r1",
    "P-384": "secp384r1",
    "P-521": "secp521r1",
}


def expected_suites(configuration: Configuration, version: VersionName) -> frozenset[str]:
    """By OpenSSL's own list for that cipher string and version, as far as the keys are there."""
    if version not in configuration.versions:
        return frozenset()
    if version == "TLSv1.3":
        return frozenset(
            configuration.suites_of_tls_1_3
            or ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")
        )
    found = set()
    for line in _ciphers(configuration.root, configuration.ciphers, version).splitlines():
        code, _, _, _, exchange, authentication, *_ = line.split()
        high, low = (int(part, 16) for part in code.split(","))
        usable = {"Au=RSA": "rsa", "Au=ECDSA": "ec"}.get(authentication)
        if authentication == "Au=None" or usable in configuration.keys:
            assert not exchange.endswith("PSK")
            found.add(_NAMES[high << 8 | low])
    return frozenset(found)


@lru_cache(maxsize=256)
def _ciphers(root: "Path | None", ciphers: str, version: VersionName) -> str:
    argv = [*_openssl(root), "ciphers", "-s", "-V", _FLAGS[version], "-ciphersuites", "", ciphers]
    ran = subprocess.run(argv, env=_OWN_CONFIGURATION, capture_output=True, text=True, check=False)
    return ran.stdout  # nothing where the string has no suite of that version


def _openssl(root: "Path | None") -> list[str]:
    return ["chroot", str(root), "openssl"] if root else ["openssl"]


def make_keys(folder: Path) -> None:
    """`rsa.pem` and `ec.pem`: a key with a certificate of its own each."""
    kinds = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}
    for name, kind in kinds.items():
        argv = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        argv += ["-newkey", *kind, "-keyout", f"{name}.key", "-out", f"{name}.crt"]
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)


@contextlib.contextmanager
def serving(configuration: Configuration, folder: Path) -> Iterator[int]:
    """The port of such a server on loopback; `folder` has the keys and lies within the root."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    root = configuration.root
    inside = Path("/") / folder.relative_to(root) if root else folder
    argv = [*_openssl(root), "s_server", "-quiet", "-accept", f"127.0.0.1:{port}"]
    argv += ["-min_protocol", configuration.lowest, "-max_protocol", configuration.highest]
    argv += ["-cipher", configuration.ciphers]
    for option, key in zip(("", "d"), configuration.keys, strict=False):
        argv += [f"-{option}cert", f"{inside}/{key}.crt", f"-{option}key", f"{inside}/{key}.key"]
    argv += ["-serverpref"] * configuration.server_order
    if configuration.groups:
        argv += ["-groups", ":".join(configuration.groups)]
    if configuration.suites_of_tls_1_3:
        argv += ["-ciphersuites", ":".join(configuration.suites_of_tls_1_3)]
    with subprocess.Popen(
        argv,
        env=_OWN_CONFIGURATION,
        stdin=subprocess.PIPE,  # at its end the server would stop
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(server, port)
            yield port
        finally:
            server.kill()


def _wait_for(server: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended: {server.args!r}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"no server: {server.args!r}")
