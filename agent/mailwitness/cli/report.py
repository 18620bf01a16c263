"""`report` and `remedy`: what is made of a report.json."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mailwitness.checks import all_checks
from mailwitness.cli.interface import (
    NEVER,
    OK,
    UsageError,
    command,
    failing_on,
    formatting,
    show,
    status,
    write_file,
)
from mailwitness.policy.outcome import Severity
from mailwitness.report import remedy
from mailwitness.report.interface import all_formats
from mailwitness.report.model import SCHEMA
from mailwitness.report.selection import select


def add(commands: Any) -> None:
    """Make them known to the command line."""
    report = command(commands, "report", "show a report.json in another format", _report)
    report.add_argument("report", type=Path, metavar="REPORT_JSON")
    formatting(report)
    failing_on(report, NEVER)
    report.add_argument(
        "--output", type=Path, metavar="FILE", help="write it there, whole or not at all"
    )
    report.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="only this; may be repeated"
    )
    report.add_argument(
        "--check",
        action="append",
        default=[],
        choices=[check.id for check in all_checks()],
        metavar="ID",
        help="only what this check says; may be repeated",
    )
    report.add_argument(
        "--severity",
        choices=[level.value for level in Severity],
        default=Severity.INFO.value,
        help="leave out failures less severe (default: %(default)s)",
    )

    cure = command(
        commands, "remedy", "write the remedies of a report as a playbook; nothing is run", _remedy
    )
    cure.add_argument("report", type=Path, metavar="REPORT_JSON")
    cure.add_argument(
        "--host",
        action="append",
        metavar="NAME",
        help="may be repeated; default: every host of the report",
    )


def _report(arguments: argparse.Namespace) -> int:
    report = load_report(arguments.report)
    names = [host["name"] for host in report["hosts"]]
    for name in arguments.host:
        if name not in names:
            there = ", ".join(names)
            raise UsageError(f"{arguments.report}: no host {name!r}; there are: {there}")
    chosen = select(report, arguments.host, arguments.check, Severity(arguments.severity))
    form = all_formats()[arguments.format]
    if arguments.output:
        write_file(arguments.output, [form.render(chosen).encode()])
    else:
        show(form, chosen)
    return status(chosen, arguments.fail_on)


def _remedy(arguments: argparse.Namespace) -> int:
    report = load_report(arguments.report)
    there = [host["name"] for host in report["hosts"]]
    for name in arguments.host or ():
        if name not in there:
            raise UsageError(f"{arguments.report}: no host {name!r}; there are: {', '.join(there)}")
    sys.stdout.write(remedy.playbook(report, arguments.host or there))
    return OK


def load_report(path: Path) -> dict[str, Any]:
    """A report.json of this version's schema.

    Raises:
        UsageError: it is none.
    """
    try:
        report = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise UsageError(f"{path}: not a report of schema {SCHEMA}")
    return report
