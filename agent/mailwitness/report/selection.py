"""A part of a report: some hosts, some checks, what is severe enough."""

from collections.abc import Collection
from typing import Any

from mailwitness.policy.outcome import Outcome, Severity
from mailwitness.report.model import summary


def select(
    report: dict[str, Any],
    hosts: Collection[str] = (),
    checks: Collection[str] = (),
    least: Severity = Severity.INFO,
) -> dict[str, Any]:
    """The report as if there were only these; an empty collection leaves all.

    `least`: failures of a lesser severity go. What is no failure has no severity and stays, as
    nobody knows how bad it would be.
    """
    chosen = [
        {**host, "findings": [f for f in host["findings"] if _wanted(f, checks, least)]}
        for host in report["hosts"]
        if not hosts or host["name"] in hosts
    ]
    return {
        **report,
        "policies": list(dict.fromkeys(name for host in chosen for name in host["policies"])),
        "summary": summary(chosen),
        "hosts": chosen,
    }


def _wanted(finding: dict[str, Any], checks: Collection[str], least: Severity) -> bool:
    if checks and finding["check"] not in checks:
        return False
    return finding["outcome"] != Outcome.FAIL or Severity(finding["severity"]).rank <= least.rank
