"""What sslyze and testssl.sh say of the suites of a port, by IANA's names."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mailwitness.evidence.probe import VERSIONS, Protocol, VersionName
from mailwitness.probe.suites import SUITES, SUITES_OF_TLS_1_3


@dataclass(frozen=True)
class Said:
    """The suites of one version that a peer found, and those that it asks for."""

    accepted: frozenset[str]
    known: frozenset[str]
    not_offered: frozenset[str] = frozenset()  # though known: its TLS library would not
    without_x25519: frozenset[str] = frozenset()  # and x448: by a library that has neither


@dataclass(frozen=True)
class Place:
    """Where a server is; `starttls`: by whose upgrade to ask, None: TLS from the first byte."""

    port: int
    host: str = "127.0.0.1"
    starttls: Protocol | None = None


# None: the peer has no answer for this server.
Peer = Callable[[Place], "Mapping[VersionName, Said] | None"]

# It shakes hands by OpenSSL 1.0.2 where that has the suite, and else by 1.1.1.
_SSLYZE = """
import json, sys
from sslyze import (
    ProtocolWithOpportunisticTlsEnum, Scanner, ScanCommand, ServerNetworkConfiguration,
    ServerNetworkLocation, ServerScanRequest,
)
from sslyze.plugins.openssl_cipher_suites._tls12_workaround import (
    WorkaroundForTls12ForCipherSuites as Workaround,
)
names = {"SSLv2": "ssl_2_0", "SSLv3": "ssl_3_0", "TLSv1": "tls_1_0", "TLSv1.1": "tls_1_1",
         "TLSv1.2": "tls_1_2", "TLSv1.3": "tls_1_3"}
scanner = Scanner()
host, port, starttls = sys.argv[1:]
where = ServerNetworkLocation(hostname="localhost", ip_address=host, port=int(port))
upgrade = ProtocolWithOpportunisticTlsEnum[starttls.upper()] if starttls else None
how = ServerNetworkConfiguration("localhost", tls_opportunistic_encryption=upgrade)
commands = {getattr(ScanCommand, name.upper() + "_CIPHER_SUITES") for name in names.values()}
request = ServerScanRequest(
    server_location=where, network_configuration=how, scan_commands=commands
)
scanner.queue_scans([request])
(result,) = scanner.get_results()
found = {}
for version, name in names.items() if result.scan_result else ():
    said = getattr(result.scan_result, name + "_cipher_suites").result
    rejected = said.rejected_cipher_suites
    asked = [one.cipher_suite for one in (*said.accepted_cipher_suites, *rejected)]
    found[version] = {
        "accepted": [one.cipher_suite.name for one in said.accepted_cipher_suites],
        "known": [suite.name for suite in asked],
        "not_offered": [
            one.cipher_suite.name for one in rejected if "no ciphers" in one.error_message
        ],
        "without_x25519": [
            suite.name
            for suite in asked
            if version != "TLSv1.3" and Workaround.requires_legacy_openssl(suite.openssl_name)
        ],
    }
print(json.dumps(found))
"""


def sslyze(python: str) -> Peer:
    """By an interpreter that has it."""

    def ask(place: Place) -> "Mapping[VersionName, Said] | None":
        argv = [python, "-c", _SSLYZE, place.host, str(place.port), place.starttls or ""]
        ran = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        found: dict[VersionName, dict[str, list[str]]] = json.loads(ran.stdout)
        return {
            version: Said(**{name: frozenset(suites) for name, suites in said.items()})
            for version, said in found.items()
        } or None

    return ask


_TESTSSL_VERSIONS = dict(
    zip(("ssl2", "ssl3", "tls1", "tls1_1", "tls1_2", "tls1_3"), VERSIONS, strict=True)
)
_NAMES = {**SUITES, **SUITES_OF_TLS_1_3}


def testssl(script: Path) -> Peer:
    """By its script, with `etc/` beside it."""
    known = frozenset(
        line.split()[3]
        for line in (script.parent / "etc/cipher-mapping.txt").read_text().splitlines()
    )

    def ask(place: Place) -> "Mapping[VersionName, Said] | None":
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "found.json")
            argv = [str(script), "-E", "--quiet", "--warnings=off", "--color=0", "--nodns=none"]
            argv += ["-t", place.starttls] if place.starttls else []
            argv += ["--jsonfile", str(file), f"{place.host}:{place.port}"]
            subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=600
            )
            entries = [entry["id"] for entry in json.loads(file.read_text())]
        if "scanProblem" in entries:
            return None
        found: dict[VersionName, set[str]] = {version: set() for version in VERSIONS}
        for entry in entries:
            if entry.startswith("cipher-"):
                version, _, code = entry.removeprefix("cipher-").rpartition("_x")
                found[_TESTSSL_VERSIONS[version]].add(_NAMES.get(int(code, 16), f"0x{code}"))
        return {version: Said(frozenset(names), known) for version, names in found.items()}

    return ask
