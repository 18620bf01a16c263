"""The probe's answers against those of another TLS client, on real daemons."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.probe.run import probe
from mailwitness.probe.targets import Target
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

STARTTLS = {25: "smtp", 587: "smtp", 143: "imap", 110: "pop3"}
OPTIONS = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}


def openssl_accepts(address: str, port: int, version: str) -> bool:
    starttls = ["-starttls", STARTTLS[port]] if port in STARTTLS else []
    argv = ["openssl", "s_client", "-connect", f"{address}:{port}", OPTIONS[version], *starttls]
    done = subprocess.run(
        [*argv, "-cipher", "ALL:@SECLEVEL=0"],
        input=b"Q\n",
        capture_output=True,
        check=False,
        timeout=30,
    )
    return b"New, TLSv1" in done.stdout and b"Cipher is (NONE)" not in done.stdout


@pytest.mark.parametrize("name", ["good", "legacy", "dovecot24"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_versions_agree_with_openssl(lab: Lab, name: str, family: str) -> None:
    host = lab.hosts[name]
    address = getattr(host, family)
    (seen,) = probe([Target(name, address, host.names, host.ready)], "here")
    assert not isinstance(seen.observations, Missing)
    for look in seen.observations:
        assert look.reach.state == "open"
        assert not isinstance(look.session, Missing), look
        for answer in look.session.versions:
            if answer.version in OPTIONS:
                expected = openssl_accepts(host.ipv4, look.port, answer.version)
                assert answer.accepted is expected, (look.port, answer)


def test_the_zipapp_probes_from_standard_input(lab: Lab, tmp_path: Path) -> None:
    agent = tmp_path / "agent.pyz"
    mailwitness = Path(sys.executable).with_name("mailwitness")
    subprocess.run((mailwitness, "agent", agent), check=True, capture_output=True)
    target = {
        "host": "good",
        "target": lab.hosts["good"].ipv4,
        "names": [],
        "ports": [993],
        "account": None,
    }
    done = subprocess.run(
        (sys.executable, agent, "probe", "--vantage", "here"),
        input=json.dumps(target) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert (seen["host"], seen["vantage"]) == ("good", "here")
    assert seen["observations"][0]["reach"]["state"] == "open"


def test_the_outside_view_alone_needs_no_login(lab: Lab, tmp_path: Path) -> None:
    mailwitness = Path(sys.executable).with_name("mailwitness")
    address = lab.hosts["plain"].ipv4
    done = subprocess.run(
        (mailwitness, "probe", address, "--output", tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (host,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    assert host["status"] == "outside-only"
    assert host["endpoints"][0]["configured"] == {"missing": "no access to the host"}
    assert "tls-required" in done.stdout
