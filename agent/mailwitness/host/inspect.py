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
    Daemon,
    HostEvidence,
    KeyFile,
    ListeningSocket,
    Network,
    TlsLibrary,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import Observation
from mailwitness.host import (
    access_control,
    certificates,
    dovecot,
    keys,
    network,
    postfix,
    sockets,
    system,
)
from mailwitness.host.local import local_address
from mailwitness.host.packet_filter import packet_filter
from mailwitness.host.tls_library import CipherText, environment_of, tls_library

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
    # Before the libraries: a daemon loads its own when a client comes.
    running = _guarded(lambda: handshakes(_listeners(request, its_sockets)))
    return HostEvidence(
        host=request.host,
        system=system.system(),
        software=system.software(),
        postfix=its_postfix.postfix if isinstance(its_postfix, postfix.Found) else its_postfix,
        dovecot=its_dovecot.dovecot if isinstance(its_dovecot, dovecot.Found) else its_dovecot,
        sockets=its_sockets,
        certificates=_certificates(its_postfix, its_dovecot),
        keys=_keys(its_postfix, its_dovecot),
        postfix_library=_postfix_library(its_postfix),
        dovecot_library=_dovecot_library(its_dovecot),
        packet_filter=packet_filter(),
        running=running,
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


_Postfix = Union[postfix.Found, Missing, None]
_Dovecot = Union[dovecot.Found, Missing, None]


def _certificates(its_postfix: _Postfix, its_dovecot: _Dovecot) -> tuple[CertificateFile, ...]:
    paths = []
    if isinstance(its_postfix, postfix.Found):
        paths += postfix.certificate_paths(its_postfix.postfix)
    if isinstance(its_dovecot, dovecot.Found):
        paths += [pair.certificate for pair in its_dovecot.pairs]
    return certificates.certificate_files(paths)


def _keys(its_postfix: _Postfix, its_dovecot: _Dovecot) -> tuple[KeyFile, ...]:
    found = (its_postfix, its_dovecot)
    return keys.key_files(
        pair
        for product in found
        if isinstance(product, (postfix.Found, dovecot.Found))
        for pair in product.pairs
    )


def _postfix_library(its: _Postfix) -> Union[TlsLibrary, Missing, None]:
    if not isinstance(its, postfix.Found):
        return its
    return _tls_library("postfix", its, its.postfix.daemon, postfix.cipher_lists(its.postfix))


def _dovecot_library(its: _Dovecot) -> Union[TlsLibrary, Missing, None]:
    if not isinstance(its, dovecot.Found):
        return its
    return _tls_library("dovecot", its, its.dovecot.daemon, dovecot.cipher_lists(its.dovecot))


def _tls_library(
    product: str,
    its: Union[postfix.Found, dovecot.Found],
    daemon: Union[Daemon, Missing, None],
    asked: list[CipherText],
) -> Union[TlsLibrary, Missing]:
    master = daemon.pid if isinstance(daemon, Daemon) else None
    environment = environment_of(its.import_environment, master)
    return _guarded(lambda: tls_library(product, asked, environment))


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
