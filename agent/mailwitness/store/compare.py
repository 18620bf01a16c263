"""What has changed from one report to another: a pure function of the two."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mailwitness.policy.outcome import Outcome, Severity
from mailwitness.report.worklist import causes

Kind = Literal["new", "worse", "gone dark", "waived", "fixed"]
LOST = ("unreachable", "failed")  # statuses of a host of which nothing is known
_BORNE = (Outcome.WAIVED, Outcome.ACCEPTED)
_DARK = (Outcome.NOT_ASSESSED, Outcome.ERROR)


@dataclass(frozen=True)
class Change:
    """One finding that is another than it was; of a host that is gone or lost, the host itself."""

    kind: Kind
    host: str
    endpoint: str | None
    check: str | None  # None: the host as a whole
    severity: str | None
    detail: str
    causes: tuple[str, ...] = ()  # the failures that it follows from, as "check endpoint"


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """The changes from `before` to `after`, the bad ones first."""
    old = {host["name"]: host for host in before["hosts"]}
    new = {host["name"]: host for host in after["hosts"]}
    changes: list[Change] = []
    for name, host in new.items():
        if host != old.get(name):
            changes += _of_host(name, old.get(name), host)
    for name in old.keys() - new.keys():
        changes.append(Change("gone dark", name, None, None, None, "the host is not in the run"))
    order = ("new", "worse", "gone dark", "waived", "fixed")
    return sorted(changes, key=lambda each: (order.index(each.kind), each.host, each.check or ""))


def _of_host(name: str, before: dict[str, Any] | None, after: dict[str, Any]) -> Iterator[Change]:
    if after["status"] in LOST and (before is None or before["status"] not in LOST):
        yield Change("gone dark", name, None, None, None, f"{after['status']}: {after['reason']}")
    old = {_key(each): each for each in before["findings"]} if before else {}
    new = {_key(each): each for each in after["findings"]}
    for key, finding in new.items():
        kind = _kind(old.get(key), finding)
        # What is not known for a cause that is named says nothing more.
        if kind and not (kind == "gone dark" and finding["causes"]):
            yield Change(
                kind,
                name,
                finding["endpoint"],
                finding["check"],
                finding["severity"],
                finding["detail"],
                tuple(causes(finding)),
            )
    for key in old.keys() - new.keys():
        gone = old[key]
        if gone["outcome"] == Outcome.FAIL:
            # What it was about is not there any more; of a lost host nothing is known.
            kind = "gone dark" if after["status"] in LOST else "fixed"
            detail = "is no longer asked: the endpoint or its policy is gone"
            yield Change(kind, name, gone["endpoint"], gone["check"], gone["severity"], detail)


def _key(finding: dict[str, Any]) -> tuple[str, str | None]:
    return finding["check"], finding["endpoint"]


def _kind(before: dict[str, Any] | None, after: dict[str, Any]) -> Kind | None:
    was = before["outcome"] if before else None
    now = after["outcome"]
    if now == Outcome.FAIL:
        if before is None or was != Outcome.FAIL:
            return "new"
        grown = Severity(after["severity"]).rank < Severity(before["severity"]).rank
        return "worse" if grown else None
    if now in _DARK and was in (Outcome.PASS, Outcome.FAIL):
        return "gone dark"
    if was == Outcome.FAIL:
        return "waived" if now in _BORNE else "fixed"
    return None
