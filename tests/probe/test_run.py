"""Many targets at once."""

import asyncio
import gc
from collections.abc import Generator
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.probe import run as module
from mailwitness.probe.limits import Limits
from mailwitness.probe.run import probe
from mailwitness.probe.targets import Target
from tests.probe.looking import HASTY, session_of, usual
from tests.probe.scripted import Peer, context, serving, with_tls


def the_session(evidence: ProbeEvidence) -> object:
    assert isinstance(evidence.observations, tuple)
    return evidence.observations[0].session


def test_the_last_in_a_queue_of_slow_hosts_has_its_whole_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The queue takes longer than the time of one endpoint."""
    limits = Limits(connect=0.5, greeting=0.5, read=0.5, endpoint=1.2, connections=2, pause=0.01)
    with serving(Peer.hang) as slow, serving(with_tls("imap", context(tmp_path))) as good:
        usual(monkeypatch, slow.port, "imap", "starttls")
        usual(monkeypatch, good.port, "imap", "implicit")
        targets = [Target(f"slow{n}", "127.0.0.1", (), (slow.port,)) for n in range(8)]
        targets.append(Target("good", "127.0.0.1", (), (good.port,)))
        found = {evidence.host: evidence for evidence in probe(targets, "here", limits)}
    observations = found["good"].observations
    assert isinstance(observations, tuple)
    assert session_of(observations[0]).accepted_versions == ("TLSv1.2", "TLSv1.3")
    assert the_session(found["slow7"]) == Missing("nothing came for 0.5 s")


def test_each_host_comes_as_soon_as_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Peer.hang) as slow, serving(lambda _: None) as quick:
        for port in (slow.port, quick.port):
            usual(monkeypatch, port, "imap", "starttls")
        targets = [
            Target("slow", "127.0.0.1", (), (slow.port,)),
            Target("quick", "127.0.0.1", (), (quick.port,)),
        ]
        assert [evidence.host for evidence in probe(targets, "here", HASTY)] == ["quick", "slow"]


def test_who_stops_listening_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone: list[bytes] = []

    def slow_script(peer: Peer) -> None:
        gone.append(peer.line())  # empty as soon as the connection is closed

    with serving(slow_script) as slow, serving(lambda _: None) as quick:
        for port in (slow.port, quick.port):
            usual(monkeypatch, port, "imap", "starttls")
        targets = [
            Target("slow", "127.0.0.1", (), (slow.port,)),
            Target("quick", "127.0.0.1", (), (quick.port,)),
        ]
        evidence = probe(targets, "here")
        assert isinstance(evidence, Generator)
        assert next(evidence).host == "quick"
        evidence.close()
        gc.collect()
    assert gone == [b""]
    assert not caplog.records


def test_a_bug_in_one_endpoint_costs_that_one_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(with_tls("imap", context(tmp_path))) as good:
        usual(monkeypatch, good.port, "imap", "implicit")
        target = Target("mail1", "127.0.0.1", (), (70_000, good.port))
        (evidence,) = probe([target], "here", HASTY)
    assert isinstance(evidence.observations, tuple)
    broken, whole = evidence.observations
    assert broken.reach.state == "error"
    assert isinstance(broken.session, Missing)
    assert broken.session.reason.startswith("the probe broke: OverflowError")
    assert session_of(whole).accepted_versions == ("TLSv1.2", "TLSv1.3")


def test_every_address_of_a_name_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(*_: object, **__: object) -> "list[tuple[object, ...]]":
        return [(2, 1, 6, "", ("127.0.0.1", 0)), (10, 1, 6, "", ("::1", 0, 0, 0))] * 2

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    addresses = asyncio.run(module._resolve("mail.example.com"))
    assert addresses == ("127.0.0.1", "::1")
