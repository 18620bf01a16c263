"""A baseline: the failures of one day, which are accepted so that new ones show."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

from mailwitness.evidence import folder
from mailwitness.evidence.codec import Document, EvidenceError, loads


class BaselineError(Exception):
    """A file that is no baseline; says which and why."""


@dataclass(frozen=True)
class Accepted:
    """One failure. Where its detail becomes another, it is a new one."""

    host: str
    check: str
    endpoint: Optional[str]
    detail: str


@dataclass(frozen=True)
class Baseline(Document):
    """What is accepted, and of which day it is."""

    SCHEMA: ClassVar[str] = "mailwitness/baseline/1"

    collected_at: str  # of the evidence, UTC, ISO 8601 with Z
    accepts: tuple[Accepted, ...]


def of_report(report: dict[str, Any]) -> Baseline:
    """All that fails in a report.json, or was accepted there before."""
    return Baseline(report["collected_at"], tuple(_accepted(report["hosts"])))


def _accepted(hosts: Iterable[dict[str, Any]]) -> Iterable[Accepted]:
    for host in hosts:
        for finding in host["findings"]:
            if finding["outcome"] in ("fail", "accepted"):
                yield Accepted(
                    host["name"], finding["check"], finding["endpoint"], finding["detail"]
                )


def read(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        BaselineError: it cannot be read, or is none.
    """
    try:
        return loads(folder.read(path), Baseline)
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}") from None
    except EvidenceError as error:
        raise BaselineError(f"{path}: {error}") from None
