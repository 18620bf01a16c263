"""A row for each answer, for a spreadsheet."""

import csv
import io
import unicodedata
from collections.abc import Iterator
from typing import Any

from mailwitness.report.interface import Format
from mailwitness.report.text import printable
from mailwitness.report.worklist import causes

COLUMNS = (
    "host",
    "address",
    "status",
    "endpoint",
    "check",
    "outcome",
    "severity",
    "title",
    "detail",
    "follows from",
    "policies",
    "waived until",
    "waived by",
)
# What a spreadsheet takes for the start of a formula, wherever the cell comes from (OWASP, CSV
# Injection); an apostrophe in front makes it text.
_FORMULA = ("=", "+", "-", "@")


def _render(report: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)  # RFC 4180: CR LF, quotes where needed
    writer.writerow(COLUMNS)
    for host in report["hosts"]:
        writer.writerows([_cell(value) for value in row] for row in _rows(host))
    return text.getvalue()


def _rows(host: dict[str, Any]) -> Iterator[list[str]]:
    of_host = [host["name"], host["address"], host["status"]]
    if not host["findings"]:
        yield [*of_host, *[""] * (len(COLUMNS) - len(of_host))]
    for finding in host["findings"]:
        waiver = finding["waiver"] or {"expires": "", "owner": ""}
        yield [
            *of_host,
            finding["endpoint"] or "",
            finding["check"],
            finding["outcome"],
            finding["severity"] if finding["outcome"] == "fail" else "",
            finding["title"],
            finding["detail"],
            "; ".join(causes(finding)),
            " ".join(finding["policies"]),
            waiver["expires"],
            waiver["owner"],
        ]


def _cell(value: str) -> str:
    text = printable(value)
    # Blanks before it are passed over, and full-width signs taken for the usual ones.
    begins = unicodedata.normalize("NFKC", text).lstrip()
    return f"'{text}" if begins.startswith(_FORMULA) else text


FORMAT = Format("csv", "a row for each answer, for a spreadsheet", _render)
