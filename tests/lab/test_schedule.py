"""A lab host as control node: what is scheduled runs, saves, and the next run shows a new fault."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.audit import ROOT, playbook
from tests.lab.controller import AUDITED, CONTROL, INVENTORY, passwords_in_the_clear, rows
from tests.lab.lab import Lab
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

FOLDER = "var/lib/mailwitness"


def schedule(lab: Lab, **variables: Any) -> None:
    settings = {
        "mailwitness_schedule_on": CONTROL,
        "mailwitness_schedule_command": "/usr/local/bin/mailwitness",
        "mailwitness_schedule_inventory": INVENTORY,
        "mailwitness_schedule_delay": 0,
        **variables,
    }
    options = [word for item in settings.items() for word in ("-e", "{}={!r}".format(*item))]
    command = playbook(lab.inventory, Path("unused"), *options, name="playbooks/schedule.yml")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def until(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


def ask(machine: Machine, *question: str) -> str:
    store = ("--store", f"/{FOLDER}/history.sqlite")
    return machine.run(("sh", "-c", '"$@" || true', "sh", "mailwitness", *question, *store)).stdout


def runs(machine: Machine) -> int:
    return rows(ask(machine, "runs"))


def nothing_is_left_but_the_history(machine: Machine) -> None:
    assert not (machine.root / "usr/local/sbin/mailwitness-audit").exists()
    assert not list((machine.root / "etc").rglob("mailwitness-audit*"))
    assert (machine.root / FOLDER / "history.sqlite").exists()


def test_the_timer_saves_runs_and_the_next_one_shows_a_new_fault(
    lab: Lab, control: Machine
) -> None:
    schedule(lab, mailwitness_schedule_calendar="*:*:00/5")
    try:
        until(lambda: runs(control) >= 1)
        with passwords_in_the_clear(lab):
            until(lambda: "new" in ask(control, "diff", "1", "latest"))
        changes = ask(control, "diff", "1", "latest")
        assert re.search(rf"^new +{AUDITED} submission:587: auth-cleartext", changes, re.MULTILINE)
        shown = control.run(("sh", "-c", "systemctl status mailwitness-audit.service || true"))
        assert "saved as run" in shown.stdout or "TriggeredBy" in shown.stdout
        result = control.run(("systemctl", "show", "-p", "Result", "mailwitness-audit.service"))
        assert result.stdout == "Result=success\n"
        latest = control.root / FOLDER / "latest/index.html"
        assert latest.is_file()
        assert latest.stat().st_mode & 0o077 == 0
    finally:
        schedule(lab, mailwitness_schedule_state="absent")
    timers = control.run(("systemctl", "list-timers", "--all", "--no-pager")).stdout
    assert "mailwitness" not in timers
    nothing_is_left_but_the_history(control)


def test_cron_saves_runs(lab: Lab, control: Machine) -> None:
    """By a real cron, which runs beside systemd as it would run where there is none."""
    packages = "/opt/packages/cron"
    install = f"dpkg -i {packages}/cron-*.deb && dpkg -i {packages}/cron_*.deb"
    done = control.run(("sh", "-e", "-c", f"{install} && systemctl restart cron"))
    assert done.returncode == 0, done.stdout + done.stderr
    how = {"mailwitness_schedule_by": "cron"}
    try:
        schedule(lab, mailwitness_schedule_calendar="* * * * *", **how)
        assert not (control.root / "etc/systemd/system/mailwitness-audit.timer").exists()
        until(lambda: runs(control) >= 1)
        latest = control.root / FOLDER / "latest/index.html"
        until(latest.is_file)
        assert latest.stat().st_mode & 0o077 == 0
    finally:
        schedule(lab, mailwitness_schedule_state="absent", **how)
        control.run(("systemctl", "stop", "cron"))
        control.run(("dpkg", "--purge", "cron", "cron-daemon-common"))
    nothing_is_left_but_the_history(control)


def test_cron_is_not_given_a_calendar_of_systemd(lab: Lab, control: Machine) -> None:
    assert control.root.is_dir()
    with pytest.raises(AssertionError, match="cron's five fields"):
        schedule(lab, mailwitness_schedule_by="cron")
