"""Servers that mean harm: the time and the memory that they cost, and what is made of them."""

import ssl
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from mailwitness.evidence.codec import dumps, loads
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, ProbeEvidence, Protocol, Session, TlsMode
from mailwitness.probe.conversations import Endpoint
from mailwitness.probe.observe import observe
from mailwitness.probe.run import probe
from mailwitness.probe.targets import Target
from tests.probe.hostile import (
    HOSTILE,
    MEGABYTE,
    NAMES,
    ODD,
    hangs_after_the_banner,
    never_ends_its_banner,
    resets,
    sends_a_byte_at_a_time,
)
from tests.probe.looking import HASTY, NEW_ALONE, Watch, look, session_of, usual, versions_of
from tests.probe.scripted import (
    GREETING,
    Peer,
    Script,
    context,
    converse,
    identity,
    serving,
    with_starttls,
    with_tls,
)


def honest(found: Observation) -> bool:
    """Whether an observation says no more than such a server proves."""
    if isinstance(found.session, Missing):
        return not found.session.reason.startswith("the probe broke")
    return all(isinstance(answer.accepted, Missing) for answer in found.session.versions)


@pytest.mark.parametrize("script", HOSTILE, ids=NAMES)
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_hostile_server_costs_little_and_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, script: Script, mode: TlsMode
) -> None:
    with serving(script) as server:
        usual(monkeypatch, server.port, "imap", mode)
        watch = Watch()
        tracemalloc.start()
        try:
            found = look(server.port, HASTY)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert watch.seconds < HASTY.endpoint + 3
    assert peak < 20 * MEGABYTE
    assert found.reach.state in {"open", "reset"}
    assert honest(found), found.session


@pytest.mark.parametrize("script", HOSTILE, ids=NAMES)
def test_a_good_endpoint_beside_it_is_undisturbed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: Script
) -> None:
    with serving(script) as bad, serving(with_starttls("imap", context(tmp_path))) as good:
        for port in (bad.port, good.port):
            usual(monkeypatch, port, "imap", "starttls")
        endpoints = [Endpoint("127.0.0.1", port, ()) for port in (bad.port, good.port)]
        _, found = observe(endpoints, HASTY)
    assert versions_of(found) == NEW_ALONE
    assert session_of(found).chains[0].leaf == identity("mail.example.com").leaf


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (HOSTILE[0], "connection closed"),
        (Peer.hang, "nothing came for 0.5 s"),
        (never_ends_its_banner, "a line of more than 8192 bytes"),
        (sends_a_byte_at_a_time, "no end within 2 s"),
    ],
)
def test_a_banner_that_never_comes_is_missing_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, script: Script, reason: str
) -> None:
    with serving(script) as server:
        usual(monkeypatch, server.port, "imap", "starttls")
        assert look(server.port, HASTY).session == Missing(reason)


def test_a_server_that_hangs_after_its_banner_keeps_its_greeting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(hangs_after_the_banner) as server:
        usual(monkeypatch, server.port, "imap", "starttls")
        session = session_of(look(server.port, HASTY))
    assert session.greeting == "* OK ready"
    assert session.before_tls == Missing("nothing came for 0.4 s")
    assert session.starttls is not None
    assert session.starttls.state == "unknown"


@pytest.mark.parametrize(
    ("protocol", "before", "after"),
    [("imap", b"* OK ", b""), ("pop3", b"+OK ", b""), ("smtp", b"220 ", b" ESMTP")],
)
def test_odd_bytes_in_a_banner_are_kept_as_text_that_any_document_holds(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol, before: bytes, after: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.send(before + ODD + after + b"\r\n")
        converse(peer, protocol)

    with serving(script) as server:
        usual(monkeypatch, server.port, protocol, "starttls")
        (evidence,) = probe([Target("mail1", "127.0.0.1", (), (server.port,))], "here", HASTY)
    text = dumps(evidence)
    assert text.isprintable()
    assert loads(text, ProbeEvidence) == evidence
    assert isinstance(evidence.observations, tuple)
    greeting = session_of(evidence.observations[0]).greeting
    assert isinstance(greeting, str)
    assert greeting == (before + ODD + after).decode("utf-8", "backslashreplace")


def test_a_banner_just_below_the_limit_is_cut_to_a_readable_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* OK " + b"x" * 8000 + b"\r\n")
        converse(peer, "imap")

    with serving(script) as server:
        usual(monkeypatch, server.port, "imap", "starttls")
        greeting = session_of(look(server.port, HASTY)).greeting
    assert isinstance(greeting, str)
    assert len(greeting) == 2048


def garbage_inside_tls(peer: Peer) -> None:
    peer.connection.sendall(b"no record of TLS\r\n" * 100)


def closes_inside_tls(_: Peer) -> None:
    pass


def resets_inside_tls(peer: Peer) -> None:
    resets(peer)


def silence_inside_tls(peer: Peer) -> None:
    peer.hang()


@pytest.mark.parametrize(
    "after", [garbage_inside_tls, closes_inside_tls, resets_inside_tls, silence_inside_tls]
)
@pytest.mark.parametrize("greets", [True, False])
@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_trouble_inside_tls_leaves_the_versions_and_the_chain_known(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    after: Callable[[Peer], None],
    greets: bool,  # noqa: FBT001
    highest: ssl.TLSVersion,
) -> None:
    tls = context(tmp_path, highest=highest)

    def script(peer: Peer) -> None:
        raw = Peer(peer.connection, peer.stopped)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = tls.wrap_bio(incoming, outgoing, server_side=True)

        def pump(step: Callable[[], object]) -> None:
            while True:
                try:
                    step()
                except ssl.SSLWantReadError:
                    raw.send(outgoing.read())
                    data = raw.connection.recv(65536)
                    if not data:
                        return
                    incoming.write(data)
                else:
                    raw.send(outgoing.read())
                    return

        try:
            pump(inner.do_handshake)
            if greets:
                pump(lambda: inner.write(GREETING["imap"]))
                pump(lambda: inner.read(100))
        except ssl.SSLError:
            return
        after(raw)

    with serving(script) as server:
        usual(monkeypatch, server.port, "imap", "implicit")
        found = look(server.port, HASTY)
    session = session_of(found)
    assert isinstance(session.inside_tls, Missing)
    assert isinstance(session.greeting, str if greets else Missing)
    assert versions_of(found)["TLSv1.2"] is True
    assert session.chains[0].leaf == identity("mail.example.com").leaf


class TestUnresolvable:
    @pytest.mark.parametrize("name", ["x" * 64 + ".example", "a..example", ".", "bad name\0"])
    def test_a_name_that_cannot_be_looked_up_is_missing(self, name: str) -> None:
        (evidence,) = probe([Target("mail1", name, (), (143,))], "here", HASTY)
        assert isinstance(evidence.observations, Missing)
        assert "does not resolve" in evidence.observations.reason

    def test_another_target_beside_it_is_observed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with serving(with_tls("imap", context(tmp_path))) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            targets = [
                Target("mail1", "x" * 64, (), (server.port,)),
                Target("mail2", "127.0.0.1", (), (server.port,)),
            ]
            found = {evidence.host: evidence for evidence in probe(targets, "here", HASTY)}
        assert isinstance(found["mail1"].observations, Missing)
        observations = found["mail2"].observations
        assert isinstance(observations, tuple)
        assert isinstance(observations[0].session, Session)

    def test_no_target_no_evidence(self) -> None:
        assert list(probe([], "here")) == []
