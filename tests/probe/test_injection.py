"""Servers that throw away what comes behind STARTTLS, that balk at it, and that obey it."""

from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Injection, Protocol
from tests.probe.looking import HASTY, PATIENT, look, session_of, usual
from tests.probe.scripted import GREETING, Peer, Script, context, converse, serving, with_tls

PROTOCOLS: tuple[Protocol, ...] = ("imap", "pop3", "smtp")
ANSWERS = {
    "imap": {"NOOP": b"a9 OK done\r\n", "GOODBYE": b"* BYE\r\na3 OK done\r\n"},
    "pop3": {"NOOP": b"-ERR log in first\r\n", "GOODBYE": b"+OK bye\r\n"},
    "smtp": {"NOOP": b"250 2.0.0 Ok\r\n", "GOODBYE": b"221 bye\r\n"},
}


def reading(protocol: Protocol, folder: Path, *, obeys: bool, hangs: bool = False) -> Script:
    """A server that reads ahead of STARTTLS, and keeps or drops what it has read."""
    tls = context(folder)

    def script(peer: Peer) -> None:
        peer.send(GREETING[protocol])
        peer.line()
        offer = {
            "imap": b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n",
            "pop3": b"+OK\r\nSTLS\r\n.\r\n",
            "smtp": b"250-mail\r\n250 STARTTLS\r\n",
        }
        peer.send(offer[protocol])
        request = peer.connection.recv(4096)
        behind = request.partition(b"\r\n")[2]
        ready = {"imap": b"a2 OK begin\r\n", "pop3": b"+OK begin\r\n", "smtp": b"220 go\r\n"}
        peer.send(ready[protocol])
        inner = peer.start_tls(tls)
        try:
            if not behind:
                converse(inner, protocol)
                return
            if hangs:
                inner.hang()
            if obeys:
                inner.send(ANSWERS[protocol]["NOOP"])
            assert inner.line()
            inner.send(ANSWERS[protocol]["GOODBYE"])
        finally:
            inner.close()

    return script


def injection(
    monkeypatch: pytest.MonkeyPatch, script: Script, protocol: Protocol, *, hasty: bool = False
) -> object:
    with serving(script) as server:
        usual(monkeypatch, server.port, protocol, "starttls")
        found = look(server.port, HASTY if hasty else PATIENT, depth="full")
    return session_of(found).injection


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("obeys", [True, False])
def test_an_answer_to_it_inside_tls_is_what_tells(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    protocol: Protocol,
    obeys: bool,  # noqa: FBT001
) -> None:
    found = injection(monkeypatch, reading(protocol, tmp_path, obeys=obeys), protocol)
    assert isinstance(found, Injection)
    assert found.accepted is obeys
    assert found.proof


def test_a_server_that_balks_at_it_obeys_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = context(tmp_path)

    def script(peer: Peer) -> None:
        """Reads no more than it needs: the NOOP meets the handshake."""
        request = b""
        peer.send(GREETING["smtp"])
        while request[-10:] != b"STARTTLS\r\n":
            byte = peer.connection.recv(1)
            if not byte:
                return
            request += byte
            if request.startswith(b"EHLO") and byte == b"\n" and request.count(b"\n") == 1:
                peer.send(b"250-mail\r\n250 STARTTLS\r\n")
        peer.send(b"220 go\r\n")
        inner = peer.start_tls(tls)
        try:
            converse(inner, "smtp")
        finally:
            inner.close()

    found = injection(monkeypatch, script, "smtp")
    assert isinstance(found, Injection)
    assert found.accepted is False
    assert found.proof.startswith(("no handshake comes about then", "in answer to it"))


def test_silence_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = reading("smtp", tmp_path, obeys=False, hangs=True)
    found = injection(monkeypatch, script, "smtp", hasty=True)
    assert isinstance(found, Injection)
    assert isinstance(found.accepted, Missing)


def test_tls_from_the_first_byte_has_no_such_thing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(with_tls("imap", context(tmp_path))) as server:
        usual(monkeypatch, server.port, "imap", "implicit")
        assert session_of(look(server.port, depth="full")).injection is None
