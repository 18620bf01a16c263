import time

import pytest

from mailwitness.probe.allowance import Allowance


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_it_does_not_run_while_nothing_is_open(clock: Clock) -> None:
    allowance = Allowance(10)
    clock.now += 1000
    with allowance.running() as until:
        assert until == clock.now + 10


def test_it_runs_while_a_connection_is_open(clock: Clock) -> None:
    allowance = Allowance(10)
    with allowance.running():
        clock.now += 4
    clock.now += 1000
    with allowance.running() as until:
        assert until == clock.now + 6


def test_connections_open_at_once_end_at_once(clock: Clock) -> None:
    allowance = Allowance(10)
    with allowance.running() as first:
        clock.now += 4
        with allowance.running() as second:
            clock.now += 1
        assert first == second
        clock.now += 1
    with allowance.running() as until:
        assert until == clock.now + 4


def test_it_does_not_come_back(clock: Clock) -> None:
    allowance = Allowance(10)
    with allowance.running():
        clock.now += 11
    with allowance.running() as until:
        assert until < clock.now
