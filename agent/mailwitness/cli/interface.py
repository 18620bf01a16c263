"""What the commands have in common: exit statuses, options, and how they answer."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwitness.correlate import trust
from mailwitness.evidence.missing import Missing
from mailwitness.policy.outcome import Outcome, Severity
from mailwitness.report.interface import Format, all_formats
from mailwitness.report.text import coloured
from mailwitness.store.compare import LOST

if TYPE_CHECKING:
    from mailwitness.store.history import History

OK, FINDINGS, USAGE, NOT_AUDITED = 0, 1, 2, 3
EXIT_STATUS = """\
exit status:
  0  done, and nothing failed at or above --fail-on
  1  findings failed at or above --fail-on
  2  the command or what it was given is wrong
  3  a host could not be audited (unreachable, or without usable evidence)
"""
_STORE = "reports/history.sqlite"
NEVER = "never"
LATEST = Path("reports/latest/evidence")


class UsageError(Exception):
    """What was asked for cannot be done; the message says what to do."""


def command(
    commands: Any, name: str, title: str, run: Any, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """A command that `run` carries out: it gets the arguments and returns the exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=title,
        description=title[0].upper() + title[1:] + ".",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=list(parents),
    )
    parser.set_defaults(run=run)
    return parser


def listing(commands: Any, name: str, title: str, run: Any) -> Any:
    """A command that lists, and has commands of its own beneath it."""
    return command(commands, name, title, run).add_subparsers(metavar="COMMAND")


def judging() -> argparse.ArgumentParser:
    """What all commands that judge have in common."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="POLICY",
        help="judge by this policy, or the one in this file, whatever the inventory says; "
        "may be repeated (`mailwitness policies` lists them)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.json, index.html and hosts/ there"
    )
    formatting(parser)
    failing_on(parser, Severity.HIGH.value)
    parser.add_argument(
        "--waivers", type=Path, metavar="FILE", help="in place of those of the inventory"
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="accept what it has (made by `mailwitness baseline`), fail what is new",
    )
    return parser


def formatting(parser: argparse.ArgumentParser) -> None:
    """What is printed of a report."""
    parser.add_argument(
        "--format",
        choices=list(all_formats()),
        default="text",
        help="; ".join(f"{form.name}: {form.title}" for form in all_formats().values()),
    )


def failing_on(parser: argparse.ArgumentParser, default: str) -> None:
    """What of a report makes the exit status."""
    parser.add_argument(
        "--fail-on",
        choices=[*(level.value for level in Severity), NEVER],
        default=default,
        help="the least severity of a failed finding that makes the exit status 1 "
        "(default: %(default)s; never: the exit status is 0 whatever is found)",
    )


def status(report: dict[str, Any], fail_on: str) -> int:
    """The exit status that a report comes to."""
    if fail_on == NEVER:
        return OK
    threshold = Severity(fail_on).rank
    for host in report["hosts"]:
        for finding in host["findings"]:
            failed = finding["outcome"] == Outcome.FAIL
            if failed and Severity(finding["severity"]).rank <= threshold:
                return FINDINGS
    lost = any(host["status"] in LOST for host in report["hosts"])
    return NOT_AUDITED if lost else OK


def storing() -> argparse.ArgumentParser:
    """What all commands that use the store have in common."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--store",
        default=os.environ.get("MAILWITNESS_STORE") or _STORE,
        metavar="FILE|URL",
        help=f"the history of runs (default: MAILWITNESS_STORE, or {_STORE})",
    )
    parser.add_argument(
        "--controller",
        default=os.environ.get("MAILWITNESS_CONTROLLER") or None,
        metavar="NAME",
        help="of several that share the store: who saves, whose runs are asked for "
        "(default: MAILWITNESS_CONTROLLER; else this host saves, and all are asked for)",
    )
    return parser


def opened(arguments: argparse.Namespace, *, create: bool = False) -> "History":
    """The store, made where it may be and is not there yet."""
    # A third of a second to import, which most runs have no store for.
    from mailwitness.store.database import Database  # noqa: PLC0415
    from mailwitness.store.history import History  # noqa: PLC0415

    return History(Database(arguments.store, create=create), arguments.controller)


def show(form: Format, report: dict[str, Any]) -> None:
    """The summary in colour on a terminal, unless NO_COLOR is set (no-color.org)."""
    text = form.render(report)
    colour = form.name == "text" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    sys.stdout.write(coloured(text) if colour else text)


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.writelines(parts)
    unfinished.replace(path)


def pem(path: Path | None) -> str | None:
    """The content of a trust store, which must be one."""
    if path is None:
        return None
    try:
        pem = path.read_text("ascii")
    except OSError as error:
        raise UsageError(f"--trust-store {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--trust-store {path}: not PEM") from None
    if isinstance(trust.given_store(pem), Missing):
        raise UsageError(f"--trust-store {path}: no list of PEM certificates")
    return pem


def count(text: str) -> int:
    """An option that is a number from 1 on."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of runs")


def port(text: str) -> int:
    """An option that is a port."""
    if text.isdigit() and 0 < int(text) < 65536:  # noqa: PLR2004
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port")
