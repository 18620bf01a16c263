"""Observations of servers on ports that are nobody's usual ones."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import (
    Negotiation,
    Observation,
    Protocol,
    Session,
    TlsMode,
    VersionName,
)
from mailwitness.probe import observe as module
from mailwitness.probe.answer import NUMBERS, Answer
from mailwitness.probe.conversations import Conversations, Depth, Endpoint, Places
from mailwitness.probe.enumeration import negotiation
from mailwitness.probe.hello import Offer, everything
from mailwitness.probe.limits import Limits
from mailwitness.probe.observe import observe
from mailwitness.probe.questions import Questions
from mailwitness.probe.sslv2 import SSLV2, HelloOfSslv2, say_hello_of_sslv2
from mailwitness.probe.versions import ask_versions

PATIENT = Limits(connect=2, greeting=5, read=5, endpoint=20, pause=0.01, paused=0.3)
HASTY = Limits(connect=0.5, greeting=0.5, read=0.4, endpoint=2, pause=0.01, paused=0.1, lingering=0)

# What a server of TLS 1.2 and 1.3 accepts.
NEW_ALONE = {
    "SSLv2": False,
    "SSLv3": False,
    "TLSv1": False,
    "TLSv1.1": False,
    "TLSv1.2": True,
    "TLSv1.3": True,
}


def usual(monkeypatch: pytest.MonkeyPatch, port: int, protocol: Protocol, tls: TlsMode) -> None:
    monkeypatch.setitem(module._USUAL, port, (protocol, tls))


def look(
    port: int, limits: Limits = PATIENT, names: Sequence[str] = (), depth: Depth = "brief"
) -> Observation:
    (found,) = observe([Endpoint("127.0.0.1", port, tuple(names), depth)], limits)
    return found


def session_of(found: Observation) -> Session:
    assert isinstance(found.session, Session), found.session
    return found.session


def versions_of(found: Observation) -> "dict[str, bool | None]":
    """Version to whether it is accepted; None: not known."""
    return {
        answer.version: None if isinstance(answer.accepted, Missing) else answer.accepted
        for answer in session_of(found).versions
    }


@dataclass(frozen=True)
class Port:
    """One to be asked by hellos alone: nothing need be spoken inside TLS."""

    number: int
    protocol: Protocol = "imap"
    tls: TlsMode = "implicit"
    address: str = "127.0.0.1"
    limits: Limits = PATIENT

    def questions(self, depth: Depth = "full") -> Questions:
        """Fresh ones; to be called in a loop."""
        talks = Conversations(self.limits, Places(self.limits.connections), {})
        endpoint = Endpoint(self.address, self.number, (), depth)
        return Questions(talks, endpoint, self.protocol, self.tls)


def negotiated(port: Port) -> tuple[dict[VersionName, Answer], Negotiation, int]:
    """What one port can agree on.

    The answer to each version, all that was enumerated, and the number of questions it took.
    """
    asked = 0

    async def together() -> tuple[dict[VersionName, Answer], Negotiation]:
        questions = port.questions()

        async def ask(offer: Offer) -> Answer:
            nonlocal asked
            asked += 1
            return await questions.ask(offer)

        async def ask_all(offers: Iterable[Offer]) -> list[Answer]:
            nonlocal asked
            several = list(offers)
            asked += len(several)
            return await questions.ask_all(several)

        answers = dict(zip(NUMBERS, [await ask(everything(v)) for v in NUMBERS], strict=True))
        return answers, await negotiation(ask, ask_all, answers)

    answers, found = asyncio.run(together())
    return answers, found, asked


async def versions_alone(port: Port) -> "dict[VersionName, bool | None]":
    """What a look at nothing else finds, of a server that serves one after the other, too.

    None: not known.
    """
    in_turn = port.limits._replace(connections_per_host=1, lingering=0)
    found, _ = await ask_versions(replace(port, limits=in_turn).questions("versions"))
    return {
        answer.version: None if isinstance(answer.accepted, Missing) else answer.accepted
        for answer in found
    }


async def accepts_sslv2(port: Port) -> bool:
    """Whether it answers the hello of SSL 2.0 in kind."""
    answer = await port.questions().answer(say_hello_of_sslv2)
    return isinstance(answer, HelloOfSslv2) and answer.version == SSLV2


class Watch:
    """How long something took."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun
