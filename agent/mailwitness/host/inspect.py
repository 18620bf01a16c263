"""One run of the agent on its host, collector after collector."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, Union

from mailwitness import __version__
from mailwitness.evidence.host import (
    AccessControl,
    AgentRun,
    CertificateFile,
    Dovecot,
    HostEvidence,
    ListeningSocket,
    Network,
    Postfix,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import Observation
from mailwitness.host import (
    access_control,
    certificates,
    dovecot,
    network,
    postfix,
    sockets,
    system,
)
from mailwitness.host.local import local_address
from mailwitness.host.packet_filter import packet_filter

_T = TypeVar("_T")

# (address, port) of each listener to what a handshake with it shows; the probe does it.
Handshakes = Callable[[Sequence[tuple[str, int]]], tuple[Observation, ...]]


@dataclass(frozen=True)
class Request:
    """What the control node says about the host that it asks."""

    host: str  # the inventory name
    address: str  # how clients reach it; "" where that is not known
    ports: tuple[int, ...]


def inspect(request: Request, handshakes: Handshakes) -> HostEvidence:
    """Everything about this host. What a collector could not read, or broke on, is `Missing`."""
    started_at, begun = now(), time.monotonic()
    its_postfix = _guarded(postfix.postfix)
    its_dovecot = _guarded(dovecot.dovecot)
    its_sockets = _guarded(sockets.listening_sockets)
    return HostEvidence(
        host=request.host,
        system=system.system(),
        software=system.software(),
        postfix=its_postfix,
        dovecot=its_dovecot,
        sockets=its_sockets,
        certificates=_certificates(its_postfix, its_dovecot),
        packet_filter=packet_filter(),
        running=_guarded(lambda: handshakes(_listeners(request, its_sockets))),
        agent=AgentRun(
            version=__version__,
            python=platform.python_version(),
            uid=os.getuid(),
            started_at=started_at,
            seconds=round(time.monotonic() - begun, 3),
        ),
        network=_network(),
        access_control=_access_control(),
    )


def _network() -> Network:
    found = _guarded(network.network)
    if isinstance(found, Missing):
        return Network(found, found, found, found, found)
    return found


def _access_control() -> AccessControl:
    found = _guarded(access_control.access_control)
    if isinstance(found, Missing):
        return AccessControl(found, found, found, found)
    return found


def _certificates(
    its_postfix: Union[Postfix, Missing, None], its_dovecot: Union[Dovecot, Missing, None]
) -> tuple[CertificateFile, ...]:
    paths = []
    if isinstance(its_postfix, Postfix):
        paths += postfix.certificate_paths(its_postfix)
    if isinstance(its_dovecot, Dovecot):
        paths += dovecot.certificate_paths(its_dovecot)
    return certificates.certificate_files(paths)


def _listeners(
    request: Request, found: Union[tuple[ListeningSocket, ...], Missing]
) -> list[tuple[str, int]]:
    """One address for each mail port that is listened on."""
    if isinstance(found, Missing):
        raise CollectorError(found.reason)
    chosen: dict[int, str] = {}
    for socket in found:
        if socket.port in request.ports:
            chosen.setdefault(socket.port, local_address(socket.address, request.address))
    return [(address, port) for port, address in chosen.items()]


class CollectorError(Exception):
    """What a collector needs of another one is missing."""


def _guarded(collect: Callable[[], _T]) -> Union[_T, Missing]:
    try:
        return collect()
    except CollectorError as error:
        return Missing(str(error))
    except Exception as error:  # noqa: BLE001 - one collector's bug must not cost the others
        return Missing(f"the collector broke: {type(error).__name__}: {error}")
