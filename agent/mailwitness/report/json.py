"""The contract itself: report.json."""

import json
from typing import Any

from mailwitness.report.interface import Format


def _render(report: dict[str, Any]) -> str:
    """A line for each field and each host: for tools that go by lines, and quick to write."""
    fields = (f'"{name}":{_field(name, value)}' for name, value in report.items())
    return "{" + ",\n".join(fields) + "}\n"


def _field(name: str, value: Any) -> str:
    return "[\n" + ",\n".join(map(_compact, value)) + "\n]" if name == "hosts" else _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


FORMAT = Format("json", "the report as data, by the schema mailwitness/report/1", _render)
