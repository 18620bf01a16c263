"""What each format makes of one report; ``python -m tests.report.golden`` writes it anew."""

import json
from pathlib import Path
from typing import Any

from mailwitness.checks import all_checks
from mailwitness.correlate import fleet
from mailwitness.policy.audit import judge_fleet
from mailwitness.report.interface import all_formats
from mailwitness.report.model import build
from mailwitness.report.selection import select
from tests.lab.audit import RECORDED

FOLDER = Path(__file__).parent / "golden"
SOURCE = FOLDER / "report.json"
HOSTS = ("dead", "plain", "stale")


def file(name: str) -> Path:
    return FOLDER / f"{name}.txt"


def source() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SOURCE.read_text())
    return found


def main() -> None:
    audit = judge_fleet(fleet.read(RECORDED), (), all_checks())
    report = select(build(audit, audit.run.started_at), HOSTS)
    SOURCE.write_text(all_formats()["json"].render(report))
    for name, form in all_formats().items():
        file(name).write_text(form.render(report), newline="")


if __name__ == "__main__":
    main()
