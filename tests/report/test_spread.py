"""Work in several processes comes to what it comes to in one, and its ends are clean."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailwitness.checks import all_checks
from mailwitness.correlate import fleet
from mailwitness.policy.audit import judge_fleet
from mailwitness.report import spread as module
from mailwitness.report.model import build
from mailwitness.report.spread import SpreadError, beside, spread
from tests.lab.audit import RECORDED


@pytest.fixture(autouse=True)
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr(module, "_processors", lambda: 2)


def test_results_come_in_order_from_several_processes() -> None:
    local = 1000  # a function that could not be sent to a process

    def work(number: int) -> tuple[int, int]:
        return number + local, os.getpid()

    found = list(spread(work, range(2 * module.FEW)))
    assert [number for number, _ in found] == [local + n for n in range(2 * module.FEW)]
    assert os.getpid() not in {process for _, process in found}


def test_few_items_are_worked_on_here() -> None:
    assert set(spread(lambda _: os.getpid(), range(2 * module.FEW - 1))) == {os.getpid()}


def test_an_error_is_the_caller_s() -> None:
    def work(number: int) -> int:
        return 1 // (number - module.FEW)

    with pytest.raises(ZeroDivisionError):
        list(spread(work, range(2 * module.FEW)))


def test_a_process_that_is_killed_is_told_of() -> None:
    def work(number: int) -> None:
        if number == module.FEW:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(SpreadError, match="memory"):
        list(spread(work, range(2 * module.FEW)))


_KILLED = """
import os, time
from mailwitness.report import spread
spread._processors = lambda: 2
work = lambda _: (open(f"{os.getpid()}.pid", "w").close(), time.sleep(60))
list(spread.spread(work, range(2 * spread.FEW)))
"""


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _KILLED], cwd=tmp_path)
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    workers = [int(file.stem) for file in tmp_path.iterdir()]
    while any(_runs(worker) for worker in workers):
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_run_comes_to_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    audit = judge_fleet(fleet.read(RECORDED), (), all_checks())
    alone = build(audit, "2026-01-01T00:00:00Z")
    monkeypatch.setattr(module, "FEW", 4)
    assert build(audit, "2026-01-01T00:00:00Z") == alone


@pytest.mark.parametrize("hosts", [1, module.FEW])
def test_jobs_are_done_when_the_block_is(hosts: int, tmp_path: Path) -> None:
    jobs = [(tmp_path / name).touch for name in ("a", "b")]
    with beside(hosts, *jobs):
        (tmp_path / "c").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}


@pytest.mark.parametrize("hosts", [1, module.FEW])
def test_a_job_s_error_is_the_caller_s(hosts: int) -> None:
    def job() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"), beside(hosts, job):
        pass
