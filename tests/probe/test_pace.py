"""Servers that have too many connections, and what is made of the ones they turn away."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Protocol, TlsMode
from mailwitness.probe.limits import Limits
from mailwitness.probe.pace import Pace
from mailwitness.probe.run import probe
from mailwitness.probe.targets import Target
from tests.probe.looking import NEW_ALONE, PATIENT, look, session_of, usual, versions_of
from tests.probe.scripted import Peer, Script, context, serving, with_starttls, with_tls

AWAY: dict[Protocol, bytes] = {
    "smtp": b"421 4.7.0 mail Error: too many connections from 192.0.2.1\r\n",
    "imap": b"* BYE Too many connections\r\n",
    "pop3": b"-ERR Too many connections\r\n",
}
BUSY: dict[Protocol, Callable[[Peer], None]] = {
    "smtp": lambda peer: peer.send(AWAY["smtp"]),
    "imap": lambda peer: peer.send(AWAY["imap"]),
    "pop3": lambda peer: peer.send(AWAY["pop3"]),
}


class Crowded:
    """Serves so many connections at once, and turns the others away."""

    def __init__(self, places: int, honest: Script, busy: Script) -> None:
        self._places = threading.Semaphore(places)
        self._honest, self._busy = honest, busy
        self.turned_away = 0

    def __call__(self, peer: Peer) -> None:
        if not self._places.acquire(blocking=False):
            self.turned_away += 1
            self._busy(peer)
            return
        try:
            peer.pause()  # in its place, so that those who come together meet
            self._honest(peer)
        finally:
            self._places.release()


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_a_server_for_two_at_a_time_is_seen_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocol: Protocol
) -> None:
    crowd = Crowded(2, with_starttls(protocol, context(tmp_path)), BUSY[protocol])
    with serving(crowd) as server:
        usual(monkeypatch, server.port, protocol, "starttls")
        found = look(server.port, PATIENT)
    assert versions_of(found) == NEW_ALONE
    assert found.turned_away == crowd.turned_away > 0


def test_implicit_tls_closed_under_load_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crowd = Crowded(1, with_tls("imap", context(tmp_path)), lambda _: None)
    with serving(crowd) as server:
        usual(monkeypatch, server.port, "imap", "implicit")
        found = look(server.port, PATIENT._replace(paused=30))
    assert versions_of(found) == NEW_ALONE
    assert crowd.turned_away > 0


def test_implicit_tls_closed_for_good_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    honest = with_tls("imap", context(tmp_path))
    came = 0

    def script(peer: Peer) -> None:
        nonlocal came
        came += 1
        if came == 1:
            honest(peer)

    with serving(script) as server:
        usual(monkeypatch, server.port, "imap", "implicit")
        found = look(server.port, PATIENT)
    assert set(versions_of(found).values()) == {None}
    assert session_of(found).accepted_versions == ()


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_server_that_refuses_by_closing_is_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: TlsMode
) -> None:
    """As Dovecot does it: no alert for an old version, and every new one is answered."""
    tls = context(tmp_path)
    make = with_tls if mode == "implicit" else with_starttls
    with serving(make("imap", tls)) as server:
        usual(monkeypatch, server.port, "imap", mode)
        found = look(server.port)
    assert versions_of(found) == NEW_ALONE
    assert found.turned_away == 0


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_a_server_that_turns_away_always_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol
) -> None:
    with serving(BUSY[protocol]) as server:
        usual(monkeypatch, server.port, protocol, "starttls")
        found = look(server.port, PATIENT)
        connections = server.connections
    assert isinstance(found.session, Missing)
    assert found.session.reason.startswith("turned away: ")
    assert found.turned_away == connections == 5  # pauses of 10, 20, 40, 80 and 160 ms are too long


def test_the_same_port_under_two_names_is_one_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    most = now = 0
    lock = threading.Lock()
    honest = with_starttls("imap", context(tmp_path))

    def script(peer: Peer) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        try:
            honest(peer)
        finally:
            with lock:
                now -= 1

    with serving(script) as server:
        usual(monkeypatch, server.port, "imap", "starttls")
        targets = [Target(name, "127.0.0.1", (), (server.port,)) for name in ("a", "b", "c")]
        limits = PATIENT._replace(connections_per_host=2)
        assert len(list(probe(targets, "here", limits))) == 3
    # A server's end of a connection outlives the client's for a moment.
    assert most <= 2 * limits.connections_per_host


class TestPauses:
    LIMITS = Limits(pause=10, paused=100, connections_per_host=8)

    def test_they_double_and_a_welcome_ends_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr("mailwitness.probe.pace.time.monotonic", lambda: now)
        pace, resumed = Pace(self.LIMITS), []
        for _ in range(3):
            pace.refused(now)
            resumed.append(pace._resumes_at - now)
            now = pace._resumes_at
        assert resumed == [10, 20, 40]
        pace.taken()
        pace.refused(now)
        assert pace._resumes_at - now == 10
        assert not pace.gave_up
        pace.refused(now + 1)
        assert not pace.gave_up  # 100 s in all
        pace.refused(now + 2)
        assert pace.gave_up

    def test_connections_that_were_open_together_are_one_reason(self) -> None:
        pace = Pace(self.LIMITS)
        for _ in range(8):
            pace.refused(1.0)
        assert (pace.turned_away, pace._in_a_row, pace._at_once) == (8, 1, 4)

    def test_turns_are_halved_and_never_none(self) -> None:
        async def go() -> int:
            pace = Pace(self.LIMITS._replace(pause=0))
            for number in range(10):
                pace.refused(1e9 + number)
            async with pace.turns(1):
                waiting = asyncio.ensure_future(pace.turns(1).__aenter__())
                await asyncio.sleep(0)
                assert not waiting.done()
            await waiting
            return pace._at_once

        assert asyncio.run(go()) == 1


def test_who_waits_for_several_turns_is_not_overtaken_by_who_wants_one() -> None:
    order: list[int] = []

    async def take(pace: Pace, count: int) -> None:
        async with pace.turns(count):
            order.append(count)

    async def queue() -> None:
        pace = Pace(Limits(connections_per_host=4))
        async with pace.turns(3):
            waiting = []
            for count in (3, 1):
                waiting.append(asyncio.ensure_future(take(pace, count)))
                await asyncio.sleep(0.01)
            assert order == []
        await asyncio.gather(*waiting)

    asyncio.run(queue())
    assert order == [3, 1]
