"""`judge`: what the evidence of a run comes to."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mailwitness.checks import all_checks
from mailwitness.cli.interface import (
    OK,
    UsageError,
    command,
    judging,
    opened,
    show,
    status,
    storing,
    write_file,
)
from mailwitness.cli.report import load_report
from mailwitness.correlate import fleet
from mailwitness.evidence import folder
from mailwitness.evidence.moment import now
from mailwitness.policy import baseline, waiver
from mailwitness.policy.audit import Borne, judge_fleet
from mailwitness.progress import counted
from mailwitness.report import json
from mailwitness.report.html import fleet_page, host_page, one_host, prepare
from mailwitness.report.interface import all_formats
from mailwitness.report.model import build
from mailwitness.report.spool import Spool, brief
from mailwitness.report.spread import beside

if TYPE_CHECKING:
    from mailwitness.store.history import History

_T = TypeVar("_T")

_INDEX = "index.html"


def add(commands: Any) -> None:
    """Make them known to the command line."""
    judge = command(commands, "judge", "judge stored evidence again", _judge, judging(), storing())
    judge.add_argument("evidence", type=Path, nargs="?", metavar="EVIDENCE_DIR")
    judge.add_argument(
        "--run", dest="run_name", metavar="RUN", help="of the store, in place of EVIDENCE_DIR"
    )
    judge.add_argument("--save", action="store_true", help="keep the run in the store")

    accept = command(
        commands, "baseline", "accept what a report fails, so that new failures show", _baseline
    )
    accept.add_argument("report", type=Path, metavar="REPORT_JSON")
    accept.add_argument("output", type=Path, metavar="FILE")


def _judge(arguments: argparse.Namespace) -> int:
    if (arguments.evidence is None) == (arguments.run_name is None):
        raise UsageError("give either EVIDENCE_DIR or --run RUN")
    if arguments.run_name is None:
        history = opened(arguments, create=True) if arguments.save else None
        return judged(arguments.evidence, arguments, history)
    if arguments.save:
        raise UsageError("--save is for new evidence; the run is in the store already")
    history = opened(arguments)
    with tempfile.TemporaryDirectory(prefix="mailwitness-") as temporary:
        history.restore(history.find(arguments.run_name), Path(temporary))
        return judged(Path(temporary), arguments)


def judged(evidence: Path, arguments: argparse.Namespace, history: "History | None" = None) -> int:
    """Judge, show, write and save as the arguments have it; the exit status."""
    checks = all_checks()
    given = arguments.waivers
    stated = [given] if given else sorted(folder.waivers(evidence).glob("*/*"))
    ids = [check.id for check in checks]
    borne = Borne(
        tuple(each for file in stated for each in waiver.read(file, ids)),
        baseline.read(arguments.baseline) if arguments.baseline else None,
    )
    audit = judge_fleet(fleet.read(evidence), arguments.policy, checks, borne)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        prepare()
    with Spool(arguments.output) as hosts:
        watched = partial(_counted, len(audit.run.hosts))
        finish = partial(_write_page, arguments.output) if arguments.output else None
        report = build(audit, now(), hosts, watched, finish)
        shown = brief(report)
        files = []
        if arguments.output:
            before = history.earlier(report["collected_at"]) if history else []
            files = _files(report, arguments.output, [run.report for run in before])
        with beside(len(hosts), *files):
            show(all_formats()[arguments.format], shown if arguments.format == "text" else report)
        # Beside a format for programs these would be part of what they read.
        to_people = sys.stdout if arguments.format == "text" else sys.stderr
        if arguments.output:
            print(f"\nreport: {arguments.output / _INDEX}", file=to_people)
        if history:
            print(f"saved as run {history.save(evidence, report)}", file=to_people)
        return status(shown, arguments.fail_on)


def _files(
    report: dict[str, Any], output: Path, before: Sequence[dict[str, Any]]
) -> list[Callable[[], None]]:
    """What writes report.json and index.html, beside the pages of the hosts; each appears whole."""
    return [
        lambda: write_file(output / "report.json", json.lines(report)),
        lambda: write_file(output / _INDEX, [fleet_page(report, before).encode()]),
    ]


def _write_page(output: Path, report: dict[str, Any], host: dict[str, Any]) -> None:
    write_file(output / host_page(host["name"]), [one_host(report, host).encode()])


def _counted(hosts: int, done: Iterable[_T]) -> Iterator[_T]:
    return counted(done, hosts, "hosts judged", sys.stderr)


def _baseline(arguments: argparse.Namespace) -> int:
    found = baseline.of_report(load_report(arguments.report))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    folder.write(arguments.output, found)
    print(f"{arguments.output}: accepts {len(found.accepts)} failures of {found.collected_at}")
    return OK
