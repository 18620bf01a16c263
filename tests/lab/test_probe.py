"""The probe's answers against those of another TLS client, on real daemons."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailwitness import cli
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


@pytest.mark.parametrize(
    ("host", "outcomes"),
    [
        ("good", {143: "pass", 993: "pass", 465: "pass", 25: "pass"}),
        # Its filter admits the allowlist by IPv4, and nobody by IPv6 but on 25.
        ("blocked", {143: "fail", 993: "fail", 465: "fail", 25: "pass"}),
    ],
)
def test_the_addresses_of_a_name_are_held_against_each_other(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    outcomes: dict[int, str],
) -> None:
    described = lab.hosts[host]

    async def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (each, 0)) for each in (described.ipv4, described.ipv6)]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", both)
    ports = [word for port in outcomes for word in ("--port", str(port))]
    argv = ["probe", described.names[0], *ports, "--output", str(tmp_path), "--fail-on", "never"]
    assert cli.main(argv) == cli.OK
    (report,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    found = {
        int(finding["endpoint"].partition(":")[2]): finding["outcome"]
        for finding in report["findings"]
        if finding["check"] == "address-family-differs"
    }
    assert found == outcomes


def test_postscreen_finds_nothing_to_hold_against_the_probe(lab: Lab) -> None:
    host = lab.hosts["screened"]
    (seen,) = probe([Target("screened", host.ipv4, host.names, (25,))], "here")
    assert isinstance(seen.observations, tuple)
    session = seen.observations[0].session
    assert not isinstance(session, Missing)
    assert session.accepted_versions == ("TLSv1.2", "TLSv1.3")
    log = lab.machine("screened").run(("journalctl", "--no-pager")).stdout
    assert "postfix/postscreen" in log
    assert "PREGREET" not in log


def test_postfix_with_room_for_three_is_seen_whole(lab: Lab) -> None:
    machine = lab.machine("screened")
    set_to = ("postconf", "-P", "submission/inet/smtpd_client_connection_count_limit=3")
    try:
        for command in (set_to, ("postfix", "reload")):
            assert machine.run(command).returncode == 0
        host = lab.hosts["screened"]
        (seen,) = probe([Target("screened", host.ipv4, host.names, (587,))], "here")
    finally:
        machine.run(("postconf", "-PX", "submission/inet/smtpd_client_connection_count_limit"))
        machine.run(("postfix", "reload"))
    assert isinstance(seen.observations, tuple)
    (look,) = seen.observations
    assert look.turned_away > 0
    assert not isinstance(look.session, Missing)
    assert look.session.accepted_versions == ("TLSv1.2", "TLSv1.3")
    assert not any(isinstance(answer.accepted, Missing) for answer in look.session.versions)
    assert not isinstance(look.session.negotiation, Missing)
    for found in look.session.negotiation.suites:
        assert not isinstance(found.rest, Missing), found
