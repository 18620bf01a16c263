"""Runs to save: the recorded one, moved in time, with whatever a test changes in it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from mailwitness.checks import all_checks
from mailwitness.correlate import fleet
from mailwitness.policy.audit import judge_fleet
from mailwitness.report.model import build
from tests.lab.audit import RECORDED

_TAKEN = re.compile(r'("(?:observed_at|started_at|at)":)"[^"]*"')
HOSTS = ("good", "legacy", "dead")


def evidence(folder: Path, day: int, hosts: tuple[str, ...] = HOSTS) -> Path:
    """The recorded evidence of some hosts, as if taken on that day of January 2026."""
    run = json.loads((RECORDED / "run.json").read_text())
    run["started_at"] = f"2026-01-{day:02}T03:00:00Z"
    run["hosts"] = [host for host in run["hosts"] if host["name"] in hosts]
    for name in hosts:
        shutil.copytree(RECORDED / name, folder / name)
        for file in (folder / name).iterdir():
            taken = rf'\g<1>"2026-01-{day:02}T03:00:09Z"'
            file.write_text(_TAKEN.sub(taken, file.read_text()))
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def report(folder: Path, *policies: str) -> dict[str, Any]:
    audit = judge_fleet(fleet.read(folder), policies, all_checks())
    return build(audit, "2026-02-01T00:00:00Z")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
