"""The words of a judgement: outcomes, severities, and what a check says."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from mailwitness.correlate.endpoint import View
from mailwitness.evidence.missing import Missing

_T = TypeVar("_T")


class Outcome(StrEnum):
    """In the order in which a reader wants them."""

    FAIL = "fail"
    ERROR = "error"
    NOT_ASSESSED = "not-assessed"
    WAIVED = "waived"  # a failure that somebody bears until a day
    ACCEPTED = "accepted"  # a failure that the baseline has
    PASS = "pass"  # noqa: S105
    NOT_APPLICABLE = "not-applicable"


class Severity(StrEnum):
    """How bad a failure is; the most severe comes first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the most severe."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
# To come by a member of an enumeration is slow, and a host has hundreds of verdicts.
_PASS, _FAIL, _NOT_APPLICABLE = Outcome.PASS, Outcome.FAIL, Outcome.NOT_APPLICABLE


class Witness(NamedTuple):
    """Who says what, and where it was found: a vantage, a command, a file."""

    view: View
    source: str
    says: str


class Verdict(NamedTuple):
    """What a check says of its subject."""

    outcome: Outcome
    detail: str
    witnesses: tuple[Witness, ...] = ()
    severity: Severity | None = None  # where a policy grades: other than the check's own


class NotKnownError(Exception):
    """Raised by `known`: the judgement hangs on something that nobody could tell."""


def known(value: _T | Missing) -> _T:
    """The value, or out of the check with not-assessed and the reason."""
    if isinstance(value, Missing):
        raise NotKnownError(value.reason)
    return value


def few(items: Sequence[str], most: int = 4) -> str:
    """The first of them and how many more there are, for a sentence."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def passed(detail: str, witnesses: Iterable[Witness] = ()) -> Verdict:
    """The requirement is met."""
    return Verdict(_PASS, detail, tuple(witnesses))


def failed(detail: str, witnesses: Iterable[Witness], severity: Severity | None = None) -> Verdict:
    """The requirement is not met, and these witnesses say so."""
    return Verdict(_FAIL, detail, tuple(witnesses), severity)


def not_applicable(why: str) -> Verdict:
    """The question does not arise here."""
    return Verdict(_NOT_APPLICABLE, why)
