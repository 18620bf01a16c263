import os
import socket
from collections.abc import Sequence

import pytest

from mailwitness.evidence.codec import dumps, loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation
from mailwitness.host import dovecot, postfix, sockets
from mailwitness.host.inspect import Request, inspect


def nothing(_: Sequence[tuple[str, int]]) -> tuple[Observation, ...]:
    return ()


def test_this_machine_itself_gives_evidence_that_can_be_read_again() -> None:
    evidence = inspect(Request("here", "127.0.0.1", (993,)), nothing)
    assert loads(dumps(evidence), HostEvidence) == evidence
    assert evidence.host == "here"
    assert evidence.agent.uid == os.getuid()


def test_the_handshakes_are_with_the_listeners_of_the_ports_asked_for() -> None:
    asked: list[tuple[str, int]] = []

    def handshakes(endpoints: Sequence[tuple[str, int]]) -> tuple[Observation, ...]:
        asked.extend(endpoints)
        return ()

    with socket.socket() as one, socket.socket() as other:
        for opened in (one, other):
            opened.bind(("127.0.0.1", 0))
            opened.listen()
        port = one.getsockname()[1]
        inspect(Request("here", "", (port, 1)), handshakes)
    assert asked == [("127.0.0.1", port)]


@pytest.mark.parametrize(
    ("module", "name"),
    [(postfix, "postfix"), (dovecot, "dovecot"), (sockets, "listening_sockets")],
)
def test_a_collector_that_breaks_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    def broken() -> None:
        raise KeyError("field")

    monkeypatch.setattr(module, name, broken)
    evidence = inspect(Request("here", "", ()), nothing)
    missing = Missing("the collector broke: KeyError: 'field'")
    found = {
        "postfix": evidence.postfix,
        "dovecot": evidence.dovecot,
        "listening_sockets": evidence.sockets,
    }
    assert found.pop(name) == missing
    assert missing not in found.values()


def test_without_the_listeners_there_are_no_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "listening_sockets", lambda: Missing("not permitted"))
    evidence = inspect(Request("here", "", (993,)), nothing)
    assert evidence.running == Missing("not permitted")
