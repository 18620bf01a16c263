import os
import socket
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

from mailwitness.evidence.codec import dumps, loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation
from mailwitness.host import (
    access_control,
    certificates,
    command,
    dovecot,
    network,
    packet_filter,
    postfix,
    postfix_instances,
    sockets,
    system,
)
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


COLLECTORS: dict[str, tuple[ModuleType, Callable[[HostEvidence], Any]]] = {
    "system": (system, lambda e: e.system.os_id),
    "software": (system, lambda e: e.software),
    "postfix": (postfix, lambda e: e.postfix),
    "postfix_instances": (postfix_instances, lambda e: e.postfix_instances),
    "dovecot": (dovecot, lambda e: e.dovecot),
    "sockets": (sockets, lambda e: e.sockets),
    "certificate_files": (certificates, lambda e: e.certificates),
    "packet_filter": (packet_filter, lambda e: e.packet_filter.nft),
    "network": (network, lambda e: e.network.routes),
    "access_control": (access_control, lambda e: e.access_control.fail2ban),
}


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_that_breaks_costs_no_other(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*_: object) -> None:
        raise KeyError("field")

    monkeypatch.setattr(COLLECTORS[name][0], name, broken)
    evidence = inspect(Request("here", "", ()), nothing)
    missing = Missing("the collector broke: KeyError: 'field'")
    found = {one: value(evidence) for one, (_, value) in COLLECTORS.items()}
    assert found.pop(name) == missing
    assert missing not in found.values()
    assert loads(dumps(evidence), HostEvidence) == evidence


def test_without_the_listeners_there_are_no_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    unread = Missing("not permitted")
    monkeypatch.setattr(sockets, "sockets", lambda: sockets.Sockets(unread, unread))
    evidence = inspect(Request("here", "", (993,)), nothing)
    assert evidence.running == unread


def test_the_evidence_names_its_slowest_collector_and_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "network", lambda: command.run(("sleep", "0.3")))
    timings = inspect(Request("here", "", ()), nothing).agent.timings
    assert timings[0].collector == "network"
    assert timings[0].commands.keys() == {"sleep 0.3"}
    assert {timing.collector for timing in timings} >= COLLECTORS.keys() - {"certificate_files"}
