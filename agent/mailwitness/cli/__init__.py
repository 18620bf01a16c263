"""The command line on the control node; it alone writes to the terminal and decides exit status."""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailwitness import __version__
from mailwitness.cli.interface import (
    EXIT_STATUS,
    FINDINGS,
    LATEST,
    NOT_AUDITED,
    OK,
    USAGE,
    UsageError,
)
from mailwitness.report.text import printable

__all__ = ["FINDINGS", "NOT_AUDITED", "OK", "USAGE", "main"]

# The commands of each file, in the order of the help. A file is imported when one of its commands
# is asked for, or the help of all: between them they need what takes a second to import.
_PARTS = {
    "judge": ("judge", "baseline"),
    "history": ("runs", "history", "diff", "trend", "prune"),
    "notify": ("notify",),
    "probe": ("probe",),
    "questions": ("allowlist", "reach"),
    "collect": ("collect", "inventory"),
    "report": ("report", "remedy"),
    "explain": ("policies", "checks", "agent"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the return value is the exit status, by the table of its help."""
    given = sys.argv[1:] if argv is None else argv
    asked = [part for part, its in _PARTS.items() if given and given[0] in its]
    # A run is short and leaves little that refers to itself: a tenth of its time went into looking.
    gc.set_threshold(20_000)
    parser = _parser(asked or _PARTS)
    gc.freeze()
    arguments, rest = parser.parse_known_args(given)
    if len(rest) == 1 and not rest[0].startswith("-") and vars(arguments).get("evidence") == LATEST:
        # argparse finds no optional operand that stands behind an option (CPython issue 15112).
        arguments.evidence = Path(rest[0])
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has what it wanted (`| head`); the interpreter must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if not isinstance(error, _told()):
            raise
        print(f"mailwitness: {printable(str(error))}", file=sys.stderr)
        return USAGE
    return status


def _told() -> tuple[type[Exception], ...]:
    """What is wrong with what a command was given; imported once something is wrong."""
    from mailwitness.correlate import allowlist_file, fleet  # noqa: PLC0415
    from mailwitness.inventory.plan import InventoryError  # noqa: PLC0415
    from mailwitness.notify.message import LetterError  # noqa: PLC0415
    from mailwitness.notify.postbox import MailError  # noqa: PLC0415
    from mailwitness.outside import TargetError  # noqa: PLC0415
    from mailwitness.policy import baseline, profile, waiver  # noqa: PLC0415
    from mailwitness.report.spread import SpreadError  # noqa: PLC0415
    from mailwitness.store.errors import StoreError  # noqa: PLC0415

    return (
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
    )


def _parser(parts: Iterable[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailwitness",
        description="Audit mail hosts: what they say, what they do, and what clients get.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mailwitness {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for part in parts:
        importlib.import_module(f"{__name__}.{part}").add(commands)
    return parser
