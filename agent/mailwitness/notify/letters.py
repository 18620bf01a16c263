"""Who is told what: a pure function of what was told last and what is known now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailwitness.store.compare import Change, compare

Json = dict[str, Any]


@dataclass(frozen=True)
class Letter:
    """What one contact is told."""

    to: str
    changes: tuple[Change, ...]  # the bad first
    report: Json  # of the contact's hosts alone

    @property
    def subject(self) -> str:
        """How much of each kind."""
        counted = (f"{len(changes)} {kind}" for kind, changes in self.by_kind.items())
        hosts = {change.host for change in self.changes}
        return f"mailwitness: {', '.join(counted)} on {len(hosts)} host{'s' * (len(hosts) != 1)}"

    @property
    def by_kind(self) -> dict[str, list[Change]]:
        """The changes apart, the bad kinds first."""
        found: dict[str, list[Change]] = {}
        for change in self.changes:
            found.setdefault(change.kind, []).append(change)
        return found

    @property
    def changed(self) -> Iterator[Json]:
        """The hosts of the report that any change is about."""
        names = {change.host for change in self.changes}
        return (host for host in self.report["hosts"] if host["name"] in names)


def contacts(report: Json) -> list[str]:
    """Everybody who is named for a host, in the order of the report."""
    return list(dict.fromkeys(each for host in report["hosts"] for each in host["contacts"]))


def letter(to: str, before: Json | None, after: Json) -> Letter | None:
    """What has changed for `to` since `before`; None: nothing has.

    A contact who was never told anything hears of every failure. A host that has another contact
    now is not gone for the one before.
    """
    its = [host for host in after["hosts"] if to in host["contacts"]]
    known = {host["name"] for host in after["hosts"]}
    names = {host["name"] for host in its}
    was = [
        host
        for host in (before["hosts"] if before else ())
        if host["name"] in names or (to in host["contacts"] and host["name"] not in known)
    ]
    changes = compare({"hosts": was}, {"hosts": its})
    return Letter(to, tuple(changes), {**after, "hosts": its}) if changes else None
