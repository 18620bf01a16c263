"""The contract itself: report.json."""

import json
from typing import Any

from mailwitness.report.interface import Format


def _render(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=1, ensure_ascii=True) + "\n"


FORMAT = Format("json", "the report as data, by the schema mailwitness/report/1", _render)
