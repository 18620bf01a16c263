"""Observations of servers on ports that are nobody's usual ones."""

import time
from collections.abc import Sequence

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Protocol, Session, TlsMode
from mailwitness.probe import observe as module
from mailwitness.probe.limits import Limits
from mailwitness.probe.observe import Endpoint, observe

PATIENT = Limits(connect=2, greeting=5, read=5, endpoint=20)
HASTY = Limits(connect=0.5, greeting=0.5, read=0.4, endpoint=2)


def usual(monkeypatch: pytest.MonkeyPatch, port: int, protocol: Protocol, tls: TlsMode) -> None:
    monkeypatch.setitem(module._USUAL, port, (protocol, tls))


def look(port: int, limits: Limits = PATIENT, names: Sequence[str] = ()) -> Observation:
    (found,) = observe([Endpoint("127.0.0.1", port, tuple(names))], limits)
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


class Watch:
    """How long something took."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun
