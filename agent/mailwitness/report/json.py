"""The contract itself: report.json."""

from collections.abc import Iterable, Iterator
from typing import Any

from mailwitness.report.interface import Format
from mailwitness.report.spool import compact, texts


def lines(report: dict[str, Any]) -> Iterator[str]:
    """A line for each field and each host: for tools that go by lines, and quick to write.

    As text the hosts of a big fleet would take as much room as the report itself.
    """
    between = "{"
    for name, value in report.items():
        yield f'{between}"{name}":'
        between = ",\n"
        if name == "hosts":
            yield from _list(texts(value))
        else:
            yield compact(value)
    yield "}\n"


def _list(values: Iterable[str]) -> Iterator[str]:
    yield "["
    for number, value in enumerate(values):
        yield f"{',' if number else ''}\n{value}"
    yield "\n]"


def _render(report: dict[str, Any]) -> str:
    return "".join(lines(report))


FORMAT = Format("json", "the report as data, by the schema mailwitness/report/1", _render)
