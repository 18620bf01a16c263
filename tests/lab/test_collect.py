"""The direct transport, on real sshds and on the lab's hosts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailwitness import cli
from tests.lab.audit import audit
from tests.lab.lab import Lab, unavailable
from tests.transport import sshd

pytestmark = pytest.mark.lab

DOWN, HANGING, WITHOUT_PYTHON = 5, 3, 2
KINDS = {
    f"h{number:02}": kind
    for number, kind in enumerate(
        (
            *["down"] * DOWN,
            *["hangs"] * HANGING,
            *["no-python"] * WITHOUT_PYTHON,
            *["sound"] * (60 - DOWN - HANGING - WITHOUT_PYTHON),
        )
    )
}


@pytest.fixture
def debian() -> None:
    reason = unavailable()
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def inventory(fleet: sshd.Fleet, **variables: Any) -> Path:
    """All of them in group mail, with one mail port each that nobody listens on."""
    hosts = {name: {"ansible_port": port} for name, port in fleet.ports.items()}
    common = {
        "ansible_host": sshd.ADDRESS,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(fleet.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={fleet.known_hosts}",
        "mailwitness_ports": [1],
        **variables,
    }
    file = fleet.folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"mail": {"hosts": hosts, "vars": common}}))
    return file


def collected(output: Path, *options: str) -> dict[str, Any]:
    arguments = ("collect", *options, "--output", str(output), "--fail-on", "never")
    assert cli.main(arguments) == cli.OK
    found: dict[str, Any] = json.loads((output / "report.json").read_text())
    return found


@pytest.mark.usefixtures("debian")
def test_a_fleet_with_all_that_goes_wrong_has_every_row_right(tmp_path: Path) -> None:
    with sshd.fleet(tmp_path, KINDS) as fleet:
        options = ("-i", str(inventory(fleet)), "--timeout", "60")
        report = collected(tmp_path / "report", *options)
    found = {host["name"]: (host["status"], host["reason"] or "") for host in report["hosts"]}
    assert list(found) == list(KINDS)
    for name, kind in KINDS.items():
        status, reason = found[name]
        if kind == "down":
            assert status == "outside-only"  # its mail port, refused, could be looked at
            assert reason == f"port {fleet.ports[name]}: Connection refused"
        elif kind == "hangs":
            assert (status, reason) == ("failed", "no answer within 60 s")
        elif kind == "no-python":
            assert status == "failed"
            assert "no Python 3 on this host: set ansible_python_interpreter" in reason
        else:
            assert status in ("audited", "partial"), (name, reason)


@pytest.mark.usefixtures("debian")
def test_a_host_that_talks_without_end_is_cut_off(tmp_path: Path) -> None:
    with sshd.fleet(tmp_path, {"loud": "floods", "cross": "complains", "good": "sound"}) as fleet:
        options = ("-i", str(inventory(fleet)), "--timeout", "40")
        report = collected(tmp_path / "report", *options)
    found = {host["name"]: (host["status"], host["reason"] or "") for host in report["hosts"]}
    assert found["cross"] == ("failed", "no answer within 40 s")
    assert found["loud"][0] in ("failed", "outside-only")
    assert found["loud"][1] in ("no answer within 40 s", "it sent more than 67108864 bytes")
    assert found["good"][0] in ("audited", "partial")


@pytest.mark.usefixtures("debian")
def test_a_host_key_that_is_not_known_is_not_believed(tmp_path: Path) -> None:
    with sshd.fleet(tmp_path, {"strange": "sound", "other": "sound"}) as fleet:
        strange, other = fleet.known_hosts.read_text().splitlines()
        forged = (tmp_path / "id_ed25519.pub").read_text().rsplit(maxsplit=1)[0]
        fleet.known_hosts.write_text(f"{other.split()[0]} {forged}\n")
        report = collected(tmp_path / "report", "-i", str(inventory(fleet)))
    reasons = {host["name"]: host["reason"] for host in report["hosts"]}
    assert "host key is not known (ssh-ed25519 SHA256:" in reasons["strange"]
    scan = f"ssh-keyscan -p {fleet.ports['strange']} 127.0.0.1 >>{fleet.known_hosts}"
    assert scan in reasons["strange"]
    assert "another than the one that is known" in reasons["other"]
    assert strange


def answers(report: dict[str, Any]) -> set[tuple[str, ...]]:
    return {
        (host["name"], host["status"], finding["check"], finding["endpoint"], finding["outcome"])
        for host in report["hosts"]
        for finding in host["findings"]
    }


def test_the_lab_s_hosts_say_the_same_as_to_the_playbook(lab: Lab, tmp_path: Path) -> None:
    limit = ("--limit", "good,noroot,legacy,dead,outpost")
    direct = collected(tmp_path / "direct", "-i", str(lab.inventory), *limit)
    audit(lab, tmp_path / "playbook", *limit)
    playbook = json.loads((tmp_path / "playbook" / "report.json").read_text())
    assert answers(direct) ^ answers(playbook) == set()
    evidence = {file.name for file in (tmp_path / "direct" / "evidence" / "good").iterdir()}
    assert evidence == {"host.json", "probe@controller.json", "probe@outpost.json"}
    for file in (tmp_path / "direct").rglob("*"):
        assert not file.is_file() or lab.password.encode() not in file.read_bytes()


def test_by_way_of_a_jump_host(lab: Lab, tmp_path: Path) -> None:
    """The lab's hosts log in to each other only through us, so the far end shows who came."""
    content = yaml.safe_load(lab.inventory.read_text())
    jump = lab.hosts["outpost"]
    common = content["all"]["vars"]
    common["ansible_ssh_common_args"] += f" -o ProxyJump={jump.user}@{jump.ipv4}"
    jumping = tmp_path / "hosts.yml"
    jumping.write_text(yaml.safe_dump(content))
    report = collected(tmp_path / "report", "-i", str(jumping), "--limit", "good")
    assert [host["status"] for host in report["hosts"]] == ["audited"]
    log = lab.machine("good").run(("journalctl", "--no-pager", "-t", "sshd", "-n", "40")).stdout
    assert f"from {jump.ipv4} port" in log
