"""The hosts of a report on disk: those of a big fleet would not fit into memory.

Whole hosts are read when they are asked for, one at a time. What stands on the pages and in the
text of the fleet as a whole is kept, `brief`.
"""

import contextlib
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from mailwitness.policy.outcome import Outcome
from mailwitness.report.interface import LONGEST
from mailwitness.report.plots import sessions

Json = dict[str, Any]

_DELETE = b"\x7f"  # the one control that JSON lets stand
_SAID = itemgetter("check", "endpoint", "outcome", "severity", "title")
# What failures have of their checks, as hosts have it in common.
_OF_CHECKS = ("rationale", "remedies")
_FAILED = frozenset((Outcome.FAIL.value, Outcome.ERROR.value))


class Entry(NamedTuple):
    """A host that is written, as the process that did so hands it to the one with the report."""

    place: tuple[int, int]  # offset and length
    essence: Json  # what becomes of it in memory, with what hosts have in common as text


def readable(host: Json) -> bytes:
    """A host as it stands in report.json, with what is too long for reading cut in it."""
    text = compact(host)
    if _may_be_too_long(text):
        _cut(host)
        text = compact(host)
    return text


def _may_be_too_long(text: bytes) -> bool:
    """Whether a text in this JSON may be; to look at each of them would take far longer.

    One that is too long fills a window of half its length from end to end, with no quotation mark
    in it but those behind a backslash.
    """
    window = LONGEST // 2
    return not all(
        _holds_quotation_mark(text, start, start + window)
        for start in range(0, len(text) - window + 1, window)
    )


def _holds_quotation_mark(text: bytes, start: int, end: int) -> bool:
    at = text.find(b'"', start, end)
    while at > 0 and text[at - 1 : at] == b"\\":
        at = text.find(b'"', at + 1, end)
    return at >= 0


def _cut(value: Any) -> None:
    """What evidence brings along may be of any length."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, str):
            if len(item) > LONGEST:
                value[key] = item[:LONGEST] + "…"
        elif isinstance(item, (dict, list)):
            _cut(item)


class Spool:
    """Hosts of report.json in the order of the plan, in a file that goes with this."""

    def __init__(self, folder: Path | None = None) -> None:
        self.brief: list[Json] = []
        self._places: list[tuple[int, int]] = []
        # Not buffered: processes that are forked share it, and each writes what it has judged.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - by __exit__
        self._writing = multiprocessing.get_context("fork").Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, host: Json) -> Entry:
        """Put one into the file, in whatever process; it is none of these until it is appended."""
        text = memoryview(readable(host))
        length = len(text)
        with self._writing:
            offset = self._file.seek(0, os.SEEK_END)
            while text:
                text = text[self._file.write(text) :]
        return Entry((offset, length), _essence(host))

    def append(self, host: Entry) -> None:
        """One more."""
        self._places.append(host.place)
        self.brief.append(_brief(host.essence))

    def __setitem__(self, at: int, host: Entry) -> None:
        self._places[at] = host.place
        self.brief[at] = _brief(host.essence)

    def text(self, at: int) -> bytes:
        """One of them as it stands in report.json."""
        offset, length = self._places[at]
        return os.pread(self._file.fileno(), length, offset)

    def __getitem__(self, at: int) -> Json:
        host: Json = json.loads(self.text(at))
        return host

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Json]:
        return map(self.__getitem__, range(len(self)))


def shown(hosts: list[Json] | Spool) -> list[Json]:
    """What the fleet as a whole is told by; it stays in memory."""
    return hosts.brief if isinstance(hosts, Spool) else hosts


def brief(report: Json) -> Json:
    """The report with that of its hosts alone."""
    return {**report, "hosts": shown(report["hosts"])}


def texts(hosts: list[Json] | Spool) -> Iterator[bytes]:
    """Each host as it stands in report.json."""
    if isinstance(hosts, Spool):
        return map(hosts.text, range(len(hosts)))
    return map(compact, hosts)


def compact(value: Any) -> bytes:
    """JSON without blanks, in ASCII."""
    with contextlib.suppress(TypeError):  # numbers of more than 64 bits, which evidence may hold
        text = _escaped(orjson.dumps(value))
        if text.isascii() and _DELETE not in text:
            return text
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _escaped(text: bytes) -> bytes:
    """What the program's own words have beside ASCII, § and …; of others something is left."""
    if b"\xe2" in text:
        text = text.replace("…".encode(), rb"\u2026")
    # § is C2 A7, and no other sign is made of these two alone. To look for one byte at a time is
    # many times faster than for both.
    return text.replace(b"\xc2", b"\\").replace(b"\xa7", b"u00a7")


def _essence(host: Json) -> Json:
    return {
        **host,
        "endpoints": [(endpoint["id"], _served(endpoint)) for endpoint in host["endpoints"]],
        # Hosts of one kind are told the same of all but their failures, and in the same order.
        "findings": (
            compact(list(map(_SAID, host["findings"]))),
            {
                place: own
                for place, finding in enumerate(host["findings"])
                if (own := _own(finding))
            },
        ),
    }


def _served(endpoint: Json) -> list[bytes]:
    """What the pictures of the fleet show: versions and certificates, whoever saw them."""
    # Vantages that were told the same share what was said.
    different = {id(session): session for session in sessions(endpoint)}
    shown = (
        compact(
            {
                "versions": session["versions"],
                "certificates": [{"leaf": chain["leaf"]} for chain in session["certificates"]],
            }
        )
        for session in different.values()
    )
    return list(dict.fromkeys(shown))


def _own(finding: Json) -> tuple[Json, bytes] | None:
    """What it has beside that: its own, and what failures have in common."""
    own, common = {}, b"{}"
    if finding["causes"]:
        own["causes"] = finding["causes"]
    if finding["outcome"] in _FAILED:
        own["detail"] = finding["detail"]
        common = compact({name: finding[name] for name in _OF_CHECKS})
    return (own, common) if own else None


def _brief(essence: Json) -> Json:
    said, others = essence["findings"]
    findings = list(_answers(said))
    for place, (own, common) in others.items():
        findings[place] = {**findings[place], **own, **_shared(common)}
    return {
        **essence,
        "endpoints": [
            {"id": name, "outside": [{"session": _shared(text)} for text in texts], "running": {}}
            for name, texts in essence["endpoints"]
        ],
        "findings": findings,
    }


# Hosts have most of these in common.


@lru_cache(maxsize=100_000)
def _shared(text: bytes) -> Any:
    return json.loads(text)


@lru_cache(maxsize=1000)  # of kinds of hosts
def _answers(text: bytes) -> list[Json]:
    return [_answer(*said) for said in json.loads(text)]


@lru_cache(maxsize=100_000)
def _answer(check: str, endpoint: str | None, outcome: str, severity: str, title: str) -> Json:
    """A finding of which nothing but its outcome is shown."""
    return {
        "check": check,
        "endpoint": endpoint,
        "outcome": outcome,
        "severity": severity,
        "title": title,
        "causes": [],
    }
