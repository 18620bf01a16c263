"""`runs`, `history`, `diff`, `trend`, `prune`: the store."""

import argparse
import sys
from typing import Any

from mailwitness.cli.interface import FINDINGS, OK, UsageError, command, count, opened, storing
from mailwitness.store import text as store_text
from mailwitness.store.changes import FORMATS
from mailwitness.store.compare import compare

_STORE_HELP = """\
A store is a file (SQLite), or a database of PostgreSQL: postgresql://USER@HOST/NAME. Give it by
--store or MAILWITNESS_STORE. A run is saved by `mailwitness judge --save` and by the playbook,
where mailwitness_store is set. RUN is a number, `latest`, or `latest~1`, the one before it of the
same controller.

  mailwitness runs --store history.sqlite
  mailwitness history mail1                          one host through all runs
  mailwitness diff                                   what the last run changed
  mailwitness diff 3 latest
  mailwitness trend
  mailwitness judge --run 3 --policy rfc             today's policy over old evidence
  mailwitness prune --keep 400

"""
_DIFF_EXIT = """\
exit status:
  0  nothing is new, worse or gone dark
  1  something is
  2  the command or what it was given is wrong
"""
_STORE_EXIT = """\
exit status:
  0  done
  2  the command or what it was given is wrong, or the store cannot be used
"""


def add(commands: Any) -> None:
    """Make them known to the command line."""
    listed = command(commands, "runs", "list the runs of the store", _runs, storing())
    one = command(commands, "history", "follow a host through the runs", _history, storing())
    one.add_argument("host", metavar="HOST", help="as the inventory names it")
    diff = command(commands, "diff", "tell what changed between two runs", _diff, storing())
    diff.add_argument("before", nargs="?", default="latest~1", metavar="A", help="a run")
    diff.add_argument("after", nargs="?", default="latest", metavar="B", help="a later one")
    diff.add_argument(
        "--format", choices=list(FORMATS), default="text", help="(default: %(default)s)"
    )
    trend = command(commands, "trend", "count the failures of each run", _trend, storing())
    prune = command(commands, "prune", "remove old runs from the store", _prune, storing())
    prune.add_argument(
        "--keep", type=count, required=True, metavar="N", help="how many of the last runs stay"
    )
    for parser in (listed, one, trend, prune):
        parser.epilog = _STORE_HELP + _STORE_EXIT
    diff.epilog = _STORE_HELP + _DIFF_EXIT


def _runs(arguments: argparse.Namespace) -> int:
    sys.stdout.write(store_text.runs(opened(arguments).runs()))
    return OK


def _history(arguments: argparse.Namespace) -> int:
    found = opened(arguments).of_host(arguments.host)
    if not found:
        raise UsageError(f"no run of the store has a host {arguments.host!r}")
    sys.stdout.write(store_text.history(found))
    return OK


def _diff(arguments: argparse.Namespace) -> int:
    history = opened(arguments)
    before, after = history.find(arguments.before), history.find(arguments.after)
    changes = compare(history.report(before), history.report(after))
    sys.stdout.write(FORMATS[arguments.format](before, after, changes))
    return FINDINGS if any(each.kind in ("new", "worse", "gone dark") for each in changes) else OK


def _trend(arguments: argparse.Namespace) -> int:
    sys.stdout.write(store_text.trend(opened(arguments).runs()))
    return OK


def _prune(arguments: argparse.Namespace) -> int:
    print(f"{opened(arguments).prune(arguments.keep)} runs removed")
    return OK
