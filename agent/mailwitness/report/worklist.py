"""What is to be done, in order: of a host, and over the fleet."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from mailwitness.policy.outcome import Outcome, Severity

BROKEN = Outcome.ERROR.value  # a check that broke is none of the severities, and comes first
# Members of an enumeration are slow to come by, and a fleet has a million findings.
_FAIL = Outcome.FAIL.value
_FAILED = frozenset((_FAIL, BROKEN))
_NO_FAILURES = tuple(outcome.value for outcome in Outcome if outcome.value not in _FAILED)
_ORDER = (BROKEN, *(level.value for level in Severity))
_RANKS = {word: rank for rank, word in enumerate(_ORDER)}
_COUNTED = (*_ORDER, Outcome.WAIVED, Outcome.ACCEPTED, Outcome.NOT_ASSESSED)
# What a run fails on by default (--fail-on) is what a day's work is.
TODAY = frozenset((BROKEN, Severity.CRITICAL.value, Severity.HIGH.value))


class Need(StrEnum):
    """Whether a host needs work, the most pressing first."""

    TODAY = "today"
    LATER = "later"
    UNCLEAR = "unclear"  # nothing failed, and not everything could be assessed
    NOTHING = "nothing"


@dataclass(frozen=True)
class Task:
    """One check's failures on one host; `findings` as report.json has them, worst first."""

    word: str  # the worst severity, or "error"
    check: str
    title: str
    findings: tuple[dict[str, Any], ...]

    @property
    def endpoints(self) -> list[str]:
        return list(dict.fromkeys(f["endpoint"] for f in self.findings if f["endpoint"]))

    @property
    def by_endpoint(self) -> dict[str, list[dict[str, Any]]]:
        """Under "" what is about the host."""
        found: dict[str, list[dict[str, Any]]] = {}
        for finding in self.findings:
            found.setdefault(finding["endpoint"] or "", []).append(finding)
        return found

    @property
    def details(self) -> list[str]:
        return list(dict.fromkeys(f["detail"] for f in self.findings))

    @property
    def remedies(self) -> list[dict[str, str]]:
        return unique(remedy for f in self.findings for remedy in f["remedies"])


@dataclass(frozen=True)
class Job:
    """One check's failures over the fleet: what is done in one go on all the hosts."""

    word: str  # the worst of the hosts
    check: str
    title: str
    hosts: tuple[tuple[str, Task], ...]


def rank(word: str) -> int:
    """0 is what is to be done first; words that are no failure come last."""
    return _RANKS.get(word, len(_ORDER))


def word(finding: dict[str, Any]) -> str:
    """What a reader is to see first of a finding: the severity of a failure, else the outcome."""
    outcome: str = finding["outcome"]
    said: str = finding["severity"] if outcome == _FAIL else outcome
    return said


@dataclass(frozen=True)
class Standing:
    """What there is to do on a host of a report: looked through once, however often it is asked."""

    host: dict[str, Any]

    @cached_property
    def _roots(self) -> list[dict[str, Any]]:
        return roots(self.host)

    @cached_property
    def words(self) -> Counter[str]:
        """What its findings say first, and how many of them."""
        return Counter(map(word, self._roots))

    @cached_property
    def tasks(self) -> list[Task]:
        """The failures, worst first; one check on several endpoints is one task.

        What follows from another failure is no task of its own: that one clears it.
        """
        by_check: dict[str, list[dict[str, Any]]] = {}
        for finding in self._roots:
            if finding["outcome"] in _FAILED:
                by_check.setdefault(finding["check"], []).append(finding)
        found = []
        for check, alike in by_check.items():
            alike.sort(key=lambda finding: rank(word(finding)))
            found.append(Task(word(alike[0]), check, alike[0]["title"], tuple(alike)))
        return sorted(found, key=lambda task: (rank(task.word), task.check))

    @property
    def tally(self) -> list[tuple[str, int]]:
        """How many of each word there are that somebody may have to see to, the worst first."""
        return [(str(each), self.words[each]) for each in _COUNTED if self.words[each]]

    @cached_property
    def need(self) -> Need:
        """Whether somebody has to see to it, and when."""
        words = self.words.keys()
        if words & TODAY:
            return Need.TODAY
        if words & set(_ORDER):
            return Need.LATER
        if Outcome.NOT_ASSESSED in words or self.host["status"] != "audited":
            return Need.UNCLEAR
        return Need.NOTHING

    @property
    def shown_under(self) -> dict[str, str]:
        """Each check that fails, and that of the task where it is shown: its own or its root."""
        found = {task.check: task.check for task in self.tasks}
        own = set(found)
        for finding in self.host["findings"]:
            for cause in finding["causes"]:
                if cause["check"] in own:
                    found.setdefault(finding["check"], cause["check"])
        return found


def standings(report: dict[str, Any]) -> list[Standing]:
    """Of all hosts of a report."""
    return [Standing(host) for host in report["hosts"]]


def worst_first(hosts: Sequence[Standing]) -> list[Standing]:
    """By the worst failure, then by how many of it, then by name."""
    return sorted(
        hosts, key=lambda each: ([-each.words[word] for word in _ORDER], each.host["name"])
    )


def jobs(hosts: Sequence[Standing]) -> list[Job]:
    """The fleet's failures, worst first, and among equals what concerns the most hosts."""
    by_check: dict[str, list[tuple[str, Task]]] = {}
    for each in hosts:
        for task in each.tasks:
            by_check.setdefault(task.check, []).append((each.host["name"], task))
    found = []
    for check, concerned in by_check.items():
        concerned.sort(key=lambda each: (rank(each[1].word), each[0]))
        worst = concerned[0][1]
        found.append(Job(worst.word, check, worst.title, tuple(concerned)))
    return sorted(found, key=lambda job: (rank(job.word), -len(job.hosts), job.check))


class Answer(NamedTuple):
    """What a check says that is no failure, and of how many endpoints it says the same."""

    outcome: str
    check: str
    detail: str
    waived: str  # until when, by whom and why; else nothing
    endpoints: tuple[str, ...]
    number: int


@dataclass(frozen=True)
class Rest:
    """The answers of one outcome; those alike but for their endpoint are one."""

    outcome: str
    answers: tuple[Answer, ...]

    @property
    def number(self) -> int:
        return sum(answer.number for answer in self.answers)


def rest(host: dict[str, Any]) -> list[Rest]:
    """The answers that are no failures."""
    found: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {
        outcome: {} for outcome in _NO_FAILURES
    }
    for finding in host["findings"]:
        if finding["outcome"] in found:
            same = finding["check"], finding["detail"]
            found[finding["outcome"]].setdefault(same, []).append(finding)
    return [
        Rest(
            outcome,
            tuple(
                Answer(
                    outcome,
                    check,
                    detail,
                    _waived(alike[0]["waiver"]),
                    tuple(dict.fromkeys(each["endpoint"] for each in alike if each["endpoint"])),
                    len(alike),
                )
                for (check, detail), alike in sorted(by_check.items())
            ),
        )
        for outcome, by_check in found.items()
        if by_check
    ]


def _waived(waiver: dict[str, str] | None) -> str:
    return f"{waiver['expires']} by {waiver['owner']}: {waiver['reason']}" if waiver else ""


def follows(host: dict[str, Any], finding: dict[str, Any]) -> list[dict[str, Any]]:
    """What on the host follows from this failure."""
    itself = {"check": finding["check"], "endpoint": finding["endpoint"]}
    return [other for other in host["findings"] if itself in other["causes"]]


def causes(finding: dict[str, Any]) -> list[str]:
    """The failures that it follows from, each as its check and endpoint."""
    return [" ".join(filter(None, cause.values())) for cause in finding["causes"]]


def roots(host: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings that follow from no other one of those that are shown."""
    findings: list[dict[str, Any]] = host["findings"]
    named = {(its["check"], its["endpoint"]) for each in findings for its in each["causes"]}
    if not named:
        return list(findings)
    shown = named.intersection((each["check"], each["endpoint"]) for each in findings)
    return [
        each
        for each in findings
        # Most have none, and are as many as a fleet has answers.
        if not each["causes"]
        or not any((its["check"], its["endpoint"]) in shown for its in each["causes"])
    ]


def unique(items: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The items without repetition, in their order."""
    found: list[dict[str, str]] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
