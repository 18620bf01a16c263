"""What each format makes of one report; ``python -m tests.report.golden`` writes it anew."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailwitness.checks import all_checks
from mailwitness.correlate import fleet
from mailwitness.policy.audit import Borne, judge_fleet
from mailwitness.policy.baseline import of_report
from mailwitness.policy.check import Case
from mailwitness.policy.outcome import Verdict
from mailwitness.policy.waiver import Waiver
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


def _borne() -> Borne:
    """One failure that is waived, and one that a baseline accepts."""
    failing = of_report(build(judge_fleet(fleet.read(RECORDED), (), all_checks()), ""))
    places = {(each.host, each.check): each for each in failing.accepts}
    waiver = Waiver(
        check="auth-cleartext",
        hosts=("plain",),
        groups=(),
        endpoint="imap:143",
        reason="an old scanner",
        owner="ops@example.com",
        expires=datetime.date(2099, 12, 31),
        source="waivers.yml, entry 1",
    )
    return Borne((waiver,), replace(failing, accepts=(places["plain", "software-end-of-life"],)))


def _breaks(_: Case) -> Verdict:
    raise ZeroDivisionError("division by zero")


def main() -> None:
    checks = tuple(
        replace(each, judge=_breaks) if each.id == "certificate-weak-key" else each
        for each in all_checks()
    )
    audit = judge_fleet(fleet.read(RECORDED), (), checks, _borne())
    report = select(build(audit, audit.run.started_at), HOSTS)
    SOURCE.write_text(all_formats()["json"].render(report))
    for name, form in all_formats().items():
        file(name).write_text(form.render(report), newline="")


if __name__ == "__main__":
    main()
