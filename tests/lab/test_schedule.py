"""A lab host as control node: its timer fires, saves runs, and the next one shows a new fault."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.audit import ROOT, playbook
from tests.lab.lab import Lab
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

CONTROL, AUDITED = "stranger", "good"
FAULT = "submission/inet/smtpd_tls_auth_only"
PROGRAM = """\
#!/bin/sh
PYTHONPATH=/opt/mailwitness exec python3 -m mailwitness.cli "$@"
"""
# What Debian 12's own Python, on any machine that tests, has to be given.
TARGET = (
    *("--python-version", "3.11", "--implementation", "cp", "--only-binary=:all:"),
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
    *("--platform", "manylinux_2_34_x86_64"),
)


@pytest.fixture
def control(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    """A host with mailwitness, the lab's key, and an inventory of one other host."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    wheels = tmp_path / "wheels"
    subprocess.run((*pip, "wheel", "--no-deps", "-w", wheels, ROOT), check=True)
    machine = lab.machine(CONTROL)
    package = machine.root / "opt" / "mailwitness"
    (wheel,) = wheels.iterdir()
    constraints = ("-c", ROOT / "constraints.txt")
    subprocess.run((*pip, "install", *constraints, *TARGET, "-t", package, wheel), check=True)
    program = machine.root / "usr/local/bin/mailwitness"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    home = machine.root / "root" / ".ssh"
    for name in ("id_ed25519", "known_hosts"):
        shutil.copy(lab.state / "ssh" / name, home / name)
    host: dict[str, Any] = {"ansible_host": lab.hosts[AUDITED].ipv4, "ansible_user": "root"}
    trust = {"mailwitness_trust_store": "/etc/mailwitness/ca.pem"}
    folder = machine.root / "etc" / "mailwitness"
    folder.mkdir()
    shutil.copy(lab.authority.root, folder / "ca.pem")
    names = {"mailwitness_names": list(lab.hosts[AUDITED].names)}
    inventory = {"mail": {"hosts": {AUDITED: host | names | trust}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    yield machine
    for each in (package, folder, machine.root / "var/lib/mailwitness"):
        shutil.rmtree(each, ignore_errors=True)
    for name in ("id_ed25519", "known_hosts"):
        (home / name).unlink()
    program.unlink()


def schedule(lab: Lab, **variables: Any) -> None:
    settings = {
        "mailwitness_schedule_on": CONTROL,
        "mailwitness_schedule_command": "/usr/local/bin/mailwitness",
        "mailwitness_schedule_inventory": "/etc/mailwitness/hosts.yml",
        **variables,
    }
    options = [word for item in settings.items() for word in ("-e", "=".join(map(str, item)))]
    command = playbook(lab.inventory, Path("unused"), *options, name="playbooks/schedule.yml")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


def ask(machine: Machine, *question: str) -> str:
    store = ("--store", "/var/lib/mailwitness/history.sqlite")
    return machine.run(("sh", "-c", '"$@" || true', "sh", "mailwitness", *question, *store)).stdout


def test_the_timer_saves_runs_and_the_next_one_shows_a_new_fault(
    lab: Lab, control: Machine
) -> None:
    def runs() -> int:
        return len(re.findall(r"^ *\d+ ", ask(control, "runs"), re.MULTILINE))

    schedule(lab, mailwitness_schedule_calendar="*:*:00/5", mailwitness_schedule_delay=0)
    audited = lab.machine(AUDITED)
    try:
        until(lambda: runs() >= 1)
        audited.run(("postconf", "-P", f"{FAULT}=no"))
        audited.run(("postconf", "-P", "submission/inet/smtpd_tls_security_level=may"))
        audited.run(("postfix", "reload"))
        until(lambda: "new" in ask(control, "diff", "1", "latest"))
        changes = ask(control, "diff", "1", "latest")
        assert re.search(rf"^new +{AUDITED} submission:587: auth-cleartext", changes, re.MULTILINE)
        shown = control.run(("sh", "-c", "systemctl status mailwitness-audit.service || true"))
        assert "saved as run" in shown.stdout or "TriggeredBy" in shown.stdout
        result = control.run(("systemctl", "show", "-p", "Result", "mailwitness-audit.service"))
        assert result.stdout == "Result=success\n"
        latest = control.root / "var/lib/mailwitness/latest/index.html"
        assert latest.is_file()
        assert latest.stat().st_mode & 0o077 == 0
    finally:
        audited.run(("postconf", "-PX", FAULT))
        audited.run(("postconf", "-P", "submission/inet/smtpd_tls_security_level=encrypt"))
        audited.run(("postfix", "reload"))
        schedule(lab, mailwitness_schedule_state="absent")
    timers = control.run(("systemctl", "list-timers", "--all", "--no-pager")).stdout
    assert "mailwitness" not in timers
    assert not (control.root / "usr/local/sbin/mailwitness-audit").exists()
    assert (control.root / "var/lib/mailwitness/history.sqlite").exists()
