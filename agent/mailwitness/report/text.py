"""The summary for a terminal: at most 100 columns, the worst first."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from mailwitness.policy.outcome import few
from mailwitness.report.interface import LONGEST, Format
from mailwitness.report.worklist import Standing, Task, follows, jobs, rank, standings, worst_first

# Of a fleet of more hosts nobody reads a row for each: what fails is told by check, and of the
# hosts so many.
MANY = 200
_WORST = 50

# With tabulate's two spaces between columns all tables stay within 100 columns; a column is at
# least two wider than its title.
_HOST_WIDTHS = [24, 12, 24, 30]
_LIST_WIDTHS = [20, 16, 5, 8, 24, 16]
_WAIVER_WIDTHS = [16, 24, 16, 10, 26]
_FINDING_WIDTHS = [8, 16, 25, 16, 27]
_JOB_WIDTHS = [10, 24, 7, 28, 23]
_LISTS_WIDTHS = [24, 6, 7, 11, 9, 33]
_COLOURS = {"error": 31, "critical": 31, "high": 31, "medium": 33, "low": 36}  # ECMA-48 §8.3.117
_WORDS = re.compile(rf"^({'|'.join(_COLOURS)})(?= {{2,}})", re.MULTILINE)


def coloured(text: str) -> str:
    """The summary with its severities in colour, for a terminal that has any."""
    return _WORDS.sub(lambda word: f"\x1b[1;{_COLOURS[word[1]]}m{word[1]}\x1b[0m", text)


def _render(report: dict[str, Any]) -> str:
    hosts = standings(report)
    many = len(hosts) > MANY
    parts = [
        _head(report),
        _hosts(hosts, _WORST if many else None),
        _jobs(hosts) if many else _findings(hosts),
        _allowlists_of_many(report) if many else _allowlists(report),
        _waivers(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: dict[str, Any]) -> str:
    statuses = ", ".join(f"{n} {status}" for status, n in report["summary"]["by_status"].items())
    lines = [
        f"mailwitness {report['tool']['version']}: {report['summary']['hosts']} hosts ({statuses})",
        f"evidence of {report['collected_at']}, policies: {', '.join(report['policies'])}",
    ]
    if report["baseline"]:
        lines.append(f"what failed on {report['baseline']} already is accepted, by the baseline")
    if report["note"]:
        lines.insert(0, f"NOTE: {report['note']}")
    return "\n".join(map(printable, lines))


def _hosts(hosts: Sequence[Standing], most: int | None) -> str:
    shown = worst_first(hosts)[:most]
    rows = [
        [
            printable(each.host["name"]),
            each.host["status"],
            "\n".join(entry["answer"].replace("-", " ") for entry in each.host["eligibility"]),
            _failures(each),
        ]
        for each in shown
    ]
    headers = ["host", "status", "mailbox connector", "failures"]
    table = _table(rows, headers, _HOST_WIDTHS)
    more = len(hosts) - len(shown)
    return table + (f"\nand {more} hosts more; every other --format has them all" if more else "")


def _findings(hosts: Sequence[Standing]) -> str:
    rows: list[list[str]] = []
    for each in hosts:
        host = each.host
        rows += (
            [
                task.word,
                printable(host["name"]),
                task.check,
                "\n".join(task.endpoints),
                printable("; ".join(task.details)) + _folded(host, task),
            ]
            for task in each.tasks
        )
    if not rows:
        return "No failures."
    rows.sort(key=lambda row: rank(row[0]))
    headers = ["severity", "host", "check", "endpoints", "what"]
    return _table(rows, headers, _FINDING_WIDTHS)


def _jobs(hosts: Sequence[Standing]) -> str:
    rows = [
        [
            job.word,
            job.check,
            str(len(job.hosts)),
            printable(few([name for name, _ in job.hosts])),
            job.title,
        ]
        for job in jobs(hosts)
    ]
    if not rows:
        return "No failures."
    headers = ["severity", "check", "hosts", "which", "what"]
    return _table(rows, headers, _JOB_WIDTHS)


def _allowlists(report: dict[str, Any]) -> str:
    rows = [
        [
            printable(host["name"]),
            printable(entry["name"]),
            entry["port"],
            entry["admitted"],
            printable(few(entry["missing"])),
            f"{entry['others']}{' (exclusive)' if entry['exclusive'] else ''}",
        ]
        for host in report["hosts"]
        for entry in host["allowlists"]
    ]
    headers = ["host", "allowlist", "port", "admitted", "missing", "others"]
    return _table(rows, headers, _LIST_WIDTHS) if rows else ""


def _allowlists_of_many(report: dict[str, Any]) -> str:
    """By list and port: how many hosts admit all of it, and which do not."""
    found: dict[tuple[str, int], list[tuple[str, dict[str, Any]]]] = {}
    for host in report["hosts"]:
        for entry in host["allowlists"]:
            found.setdefault((entry["name"], entry["port"]), []).append((host["name"], entry))
    rows = []
    for (name, port), entries in sorted(found.items()):
        missing = [host for host, entry in entries if entry["missing"]]
        unknown = sum(not entry["missing"] and bool(entry["unknown"]) for _, entry in entries)
        admitted = len(entries) - len(missing) - unknown
        which = printable(few(missing))
        rows.append([printable(name), port, len(entries), admitted, unknown, which])
    headers = ["allowlist", "port", "hosts", "admit all", "unknown", "networks missing on"]
    return _table(rows, headers, _LISTS_WIDTHS) if rows else ""


def _waivers(report: dict[str, Any]) -> str:
    rows = [
        [
            waiver["state"],
            waiver["check"],
            printable(few([*waiver["hosts"], *waiver["groups"]])),
            waiver["expires"],
            printable(f"{waiver['owner']}: {waiver['reason']}"),
        ]
        for waiver in report["waivers"]
    ]
    headers = ["waiver", "check", "hosts, groups", "until", "by whom, why"]
    return _table(rows, headers, _WAIVER_WIDTHS) if rows else ""


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str], widths: Sequence[int]) -> str:
    return tabulate(rows, headers, maxcolwidths=widths, disable_numparse=True)


def _folded(host: dict[str, Any], task: Task) -> str:
    """The failures that follow from these."""
    follow = dict.fromkeys(
        other["check"]
        for finding in task.findings
        for other in follows(host, finding)
        if other["outcome"] == "fail"
    )
    return f"\nhence {', '.join(follow)}" if follow else ""


def _failures(standing: Standing) -> str:
    counts = (f"{number} {word.replace('-', ' ')}" for word, number in standing.tally)
    return ", ".join(counts) or "none"


def printable(text: str, keep: str = "") -> str:
    """Text that does nothing but appear: controls and direction marks are escaped.

    `keep`: the control characters that may stay, such as line ends. What is longer than any
    sentence a reader would read is cut, with a mark.
    """
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    if text.isprintable():  # as nearly all is, and it takes no loop to see
        return text
    return "".join(
        f"\\u{ord(sign):04x}"
        if sign not in keep and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co")
        else sign
        for sign in text
    )


FORMAT = Format("text", "the summary for a terminal", _render)
