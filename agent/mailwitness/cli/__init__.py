"""The command line on the control node; it alone writes to the terminal and decides exit status."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mailwitness import __version__
from mailwitness.cli import (
    collect,
    explain,
    history,
    judge,
    notify,
    probe,
    questions,
    report,
)
from mailwitness.cli.interface import (
    EXIT_STATUS,
    FINDINGS,
    NOT_AUDITED,
    OK,
    USAGE,
    UsageError,
)
from mailwitness.correlate import allowlist_file, fleet
from mailwitness.inventory.plan import InventoryError
from mailwitness.notify.message import LetterError
from mailwitness.notify.postbox import MailError
from mailwitness.outside import TargetError
from mailwitness.policy import baseline, profile, waiver
from mailwitness.report.spread import SpreadError
from mailwitness.report.text import printable
from mailwitness.store.errors import StoreError

__all__ = ["FINDINGS", "NOT_AUDITED", "OK", "USAGE", "main"]

# In the order of the help.
_PARTS = (judge, history, notify, probe, questions, collect, report, explain)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the return value is the exit status, by the table of its help."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if (
        len(rest) == 1
        and not rest[0].startswith("-")
        and vars(arguments).get("evidence") == questions.LATEST
    ):
        # argparse finds no optional operand that stands behind an option (CPython issue 15112).
        arguments.evidence = Path(rest[0])
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (
        UsageError,
        allowlist_file.AllowlistError,
        fleet.FleetError,
        profile.ProfileError,
        waiver.WaiverError,
        baseline.BaselineError,
        LetterError,
        MailError,
        InventoryError,
        StoreError,
        TargetError,
        SpreadError,
    ) as error:
        print(f"mailwitness: {printable(str(error))}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # The reader has what it wanted (`| head`); the interpreter must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailwitness",
        description="Audit mail hosts: what they say, what they do, and what clients get.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mailwitness {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for part in _PARTS:
        part.add(commands)
    return parser
