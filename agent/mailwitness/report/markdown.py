"""The work to do as Markdown, for tickets and merge requests (CommonMark, tables of GFM)."""

import re
from collections.abc import Iterator
from typing import Any

from mailwitness.report.interface import Format
from mailwitness.report.text import printable
from mailwitness.report.worklist import Standing, Task, follows, standings, worst_first

_TICKS = re.compile("`+")


def _render(report: dict[str, Any]) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    summary = report["summary"]
    statuses = ", ".join(f"{n} {status}" for status, n in summary["by_status"].items())
    yield "# Mail hosts"
    yield ""
    yield f"{summary['hosts']} hosts ({statuses}). Evidence of {report['collected_at']}, judged by"
    yield f"{', '.join(map(code, report['policies']))}."
    if report["note"]:
        yield ""
        yield f"Note: {code(report['note'])}"
    for each in worst_first(standings(report)):
        yield ""
        yield from _host(each)


def _host(standing: Standing) -> Iterator[str]:
    host = standing.host
    yield f"## {code(host['name'])}"
    yield ""
    yield f"- Status: {host['status']}{', ' + code(host['reason']) if host['reason'] else ''}"
    for entry in host["eligibility"]:
        yield f"- {code(entry['policy'])}: **{entry['answer'].replace('-', ' ')}**"
    for task in standing.tasks:
        yield ""
        yield from _task(host, task)
    if not standing.tasks:
        yield "- Nothing failed."


def _task(host: dict[str, Any], task: Task) -> Iterator[str]:
    yield f"### {task.word}: {task.title}"
    yield ""
    if task.endpoints:
        yield f"At {', '.join(map(code, task.endpoints))}:"
    for detail in task.details:
        yield f"- {code(detail)}"
    yield ""
    yield f"{task.findings[0]['rationale']} (`{task.check}`)"
    hence = {other["check"] for one in task.findings for other in follows(host, one)}
    if hence:
        yield ""
        yield f"Hence also {', '.join(map(code, sorted(hence)))}."
    for remedy in task.remedies:
        for_what = " ".join(filter(None, (remedy["product"], remedy["versions"])))
        yield ""
        yield f"What to do{f' ({code(for_what)})' if for_what else ''}:"
        yield ""
        yield _block(remedy["text"])


def code(text: str) -> str:
    """A span in which nothing has a meaning: CommonMark §6.1, and no link or mention of GFM."""
    said = printable(text)
    ticks = "`" * (_longest(said) + 1)
    room = " " if "`" in said or not said else ""
    return f"{ticks}{room}{said}{room}{ticks}"


def _block(text: str) -> str:
    """The same for several lines: CommonMark §4.5."""
    said = printable(text, keep="\n")
    fence = "`" * max(3, _longest(said) + 1)
    return f"{fence}\n{said}\n{fence}"


def _longest(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)


FORMAT = Format("markdown", "the work to do, for tickets", _render)
