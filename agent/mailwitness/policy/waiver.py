"""Waivers: failures that somebody has agreed to bear, why, and until when."""

import datetime
import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import yaml

from mailwitness.evidence.run import PlannedHost

State = Literal["in force", "expired", "matches nothing", "of no host here"]


class WaiverError(Exception):
    """A file of waivers that is not right; says which file, entry and key."""


@dataclass(frozen=True)
class Waiver:
    """One entry of a file of waivers. It ends with the day that `expires` names."""

    check: str
    hosts: tuple[str, ...]
    groups: tuple[str, ...]
    endpoint: str | None  # "imaps:993"; None: all of them
    reason: str
    owner: str
    expires: datetime.date
    source: str  # the file and the entry

    def names(self, host: PlannedHost) -> bool:
        """Whether it is about this host."""
        return host.name in self.hosts or not set(self.groups).isdisjoint(host.groups)

    def covers(self, check: str, endpoint: str | None) -> bool:
        """Whether it is about such a failure."""
        return check == self.check and self.endpoint in (None, endpoint)


_KEYS = [field.name for field in fields(Waiver) if field.name != "source"]


def read(path: Path, checks: Collection[str]) -> tuple[Waiver, ...]:
    """The waivers of a file, each for one of `checks`.

    Raises:
        WaiverError: it cannot be read, or is no list of waivers.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WaiverError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise WaiverError(f"{path}: not YAML: {error}") from None
    if content is not None and not isinstance(content, list):
        raise WaiverError(f"{path}: a list of waivers is expected")
    return tuple(
        _waiver(entry, f"{path.name} entry {number}", checks)
        for number, entry in enumerate(content or (), start=1)
    )


def _waiver(entry: object, where: str, checks: Collection[str]) -> Waiver:
    if not isinstance(entry, dict):
        raise WaiverError(f"{where}: a table is expected, with {', '.join(_KEYS)}")
    for key in entry:
        if key not in _KEYS:
            raise WaiverError(f"{where}: {key!a}: no such key; there are: {', '.join(_KEYS)}")
    check = _text(entry, "check", where)
    if check not in checks:
        near = difflib.get_close_matches(check, checks, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise WaiverError(f"{where}: check: no check {check!a}{meant}")
    hosts, groups = _list(entry, "hosts", where), _list(entry, "groups", where)
    if not hosts and not groups:
        raise WaiverError(f"{where}: hosts or groups: whom is it about?")
    expires = entry.get("expires")
    if not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime):
        raise WaiverError(f"{where}: expires: a date is expected, such as 2027-03-31")
    return Waiver(
        check=check,
        hosts=hosts,
        groups=groups,
        endpoint=_text(entry, "endpoint", where) if "endpoint" in entry else None,
        reason=_text(entry, "reason", where),
        owner=_text(entry, "owner", where),
        expires=expires,
        source=where,
    )


def _text(entry: dict[object, object], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise WaiverError(f"{where}: {key}: a text is expected")
    return value


def _list(entry: dict[object, object], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WaiverError(f"{where}: {key}: a list of names is expected")
    return tuple(value)


def state(
    waiver: Waiver, hosts: Sequence[PlannedHost], day: datetime.date, *, matched: bool
) -> State:
    """What has become of it in a run of `day`.

    Args:
        waiver: the waiver.
        hosts: those of the run.
        day: on which the evidence was collected.
        matched: whether any failure was one that it covers.
    """
    if not any(waiver.names(host) for host in hosts):
        return "of no host here"
    if day > waiver.expires:
        return "expired"
    return "in force" if matched else "matches nothing"
