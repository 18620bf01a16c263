"""Hosts by requirements: the worst word of each check on each host."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from mailwitness.policy.outcome import Outcome
from mailwitness.report.worklist import rank, word

# After the failures, in the order in which a reader wants them.
_REST = (Outcome.NOT_ASSESSED, Outcome.WAIVED, Outcome.PASS, Outcome.NOT_APPLICABLE)
_RANKS_OF_REST: dict[str, int] = {outcome: rank for rank, outcome in enumerate(_REST)}


@dataclass(frozen=True)
class Requirement:
    """A check with how many hosts stand how, worst word first."""

    check: str
    title: str
    hosts: dict[str, int]

    @property
    def settled(self) -> bool:
        """Met wherever the question arises."""
        return not set(self.hosts) - {Outcome.PASS.value, Outcome.NOT_APPLICABLE.value}


def requirements(report: dict[str, Any]) -> list[Requirement]:
    """All that were asked, those that fail worst and most often first."""
    titles: dict[str, str] = {}
    counts: dict[str, Counter[str]] = {}
    for host in report["hosts"]:
        for finding in host["findings"]:
            titles.setdefault(finding["check"], finding["title"])
        for check, said in worst_words(host).items():
            counts.setdefault(check, Counter())[said] += 1
    found = [
        Requirement(check, titles[check], dict(sorted(count.items(), key=lambda c: _rank(c[0]))))
        for check, count in counts.items()
    ]

    def key(requirement: Requirement) -> tuple[int, int, str]:
        said, hosts = next(iter(requirement.hosts.items()))
        return _rank(said), -hosts, requirement.check

    return sorted(found, key=key)


def worst_words(host: dict[str, Any]) -> dict[str, str]:
    """Check -> severity of its worst failure on the host, or its most telling outcome."""
    worst: dict[str, str] = {}
    for finding in host["findings"]:
        said, before = word(finding), worst.get(finding["check"])
        if before is None or (said != before and _rank(said) < _rank(before)):
            worst[finding["check"]] = said
    return worst


def _rank(said: str) -> int:
    return rank(said) + _RANKS_OF_REST.get(said, 0)
