"""The contract itself: report.json."""

from collections.abc import Iterable, Iterator
from typing import Any

from mailwitness.report.interface import Format
from mailwitness.report.spool import compact, texts


def lines(report: dict[str, Any]) -> Iterator[bytes]:
    """A line for each field and each host: for tools that go by lines, and quick to write.

    As text the hosts of a big fleet would take as much room as the report itself.
    """
    between = b"{"
    for name, value in report.items():
        yield b'%b"%b":' % (between, name.encode("ascii"))
        between = b",\n"
        if name == "hosts":
            yield from _list(texts(value))
        else:
            yield compact(value)
    yield b"}\n"


def _list(values: Iterable[bytes]) -> Iterator[bytes]:
    yield b"["
    between = b"\n"
    for value in values:
        yield between
        yield value
        between = b",\n"
    yield b"\n]"


def _render(report: dict[str, Any]) -> str:
    return b"".join(lines(report)).decode("ascii")


FORMAT = Format("json", "the report as data, by the schema mailwitness/report/1", _render)
