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
    PacketFilter,
    System,
    Timing,
    TlsLibrary,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import Observation
from mailwitness.host import (
    access_control,
    certificates,
    command,
    dovecot,
    keys,
    network,
    packet_filter,
    postfix,
    postfix_instances,
    sockets,
    system,
)
from mailwitness.host.local import local_address, own_addresses
from mailwitness.host.tls_library import CipherText, environment_of, tls_library

# All commands of a run together: no command waits longer than 10 s, and no program hangs twice.
COMMANDS_SECONDS = 60.0

_T = TypeVar("_T")

# (address, port) of each listener to what a handshake with it shows; the probe does it.
Handshakes = Callable[[Sequence[tuple[str, int]]], tuple[Observation, ...]]


@dataclass(frozen=True)
class Request:
    """What the control node says about the host that it asks."""

    host: str  # the inventory name
    address: str  # how clients reach it; "" where that is not known
    ports: tuple[int, ...]
    sudo: bool = False  # whether sudo is asked for what needs root


def inspect(request: Request, handshakes: Handshakes) -> HostEvidence:
    """Everything about this host. What a collector could not read, or broke on, is `Missing`."""
    started_at, begun = now(), time.monotonic()
    with command.session(COMMANDS_SECONDS, sudo=request.sudo) as its_commands:
        run = _Run(its_commands)
        its_system = run.collect("system", system.system)
        its_software = run.collect("software", system.software)
        its_postfix = run.collect("postfix", postfix.postfix)
        its_instances = run.collect("postfix_instances", postfix_instances.postfix_instances)
        its_dovecot = run.collect("dovecot", dovecot.dovecot)
        others = _settings(its_instances)
        held = run.collect("sockets", sockets.sockets)
        its_sockets = held if isinstance(held, Missing) else held.own
        its_certificates = run.collect(
            "certificates", lambda: _certificates(its_dovecot, its_postfix, *others)
        )
        its_filters = run.collect("packet_filter", packet_filter.packet_filter)
        its_network = run.collect("network", network.network)
        its_keys = run.collect("keys", lambda: _keys(its_dovecot, its_postfix, *others))
        its_access = run.collect("access_control", access_control.access_control)
        running = run.collect("running", lambda: handshakes(_listeners(request, its_sockets)))
        # After the handshakes: a daemon loads its library when a client comes.
        postfix_library = run.collect(
            "postfix_library", lambda: _postfix_library(its_postfix, others)
        )
        dovecot_library = run.collect("dovecot_library", lambda: _dovecot_library(its_dovecot))
    return HostEvidence(
        host=request.host,
        system=System(*[its_system] * 4) if isinstance(its_system, Missing) else its_system,
        software=its_software,
        postfix=its_postfix.postfix if isinstance(its_postfix, postfix.Found) else its_postfix,
        postfix_instances=tuple(found.instance for found in its_instances)
        if isinstance(its_instances, tuple)
        else its_instances,
        dovecot=its_dovecot.dovecot if isinstance(its_dovecot, dovecot.Found) else its_dovecot,
        sockets=its_sockets,
        namespaces=held if isinstance(held, Missing) else held.namespaces,
        certificates=its_certificates,
        keys=its_keys,
        postfix_library=postfix_library,
        dovecot_library=dovecot_library,
        packet_filter=PacketFilter(*[its_filters] * 6)
        if isinstance(its_filters, Missing)
        else its_filters,
        running=running,
        agent=AgentRun(
            version=__version__,
            python=platform.python_version(),
            uid=os.getuid(),
            started_at=started_at,
            seconds=round(time.monotonic() - begun, 3),
            timings=tuple(sorted(run.timings, key=lambda timing: -timing.seconds)),
        ),
        network=Network(*[its_network] * 5) if isinstance(its_network, Missing) else its_network,
        access_control=AccessControl(*[its_access] * 4)
        if isinstance(its_access, Missing)
        else its_access,
    )


class _Run:
    """Collectors in their order: none costs another one its answer, and each is timed."""

    def __init__(self, its_commands: command.Session) -> None:
        self.timings: list[Timing] = []
        self._commands = its_commands

    def collect(self, name: str, collector: Callable[[], _T]) -> Union[_T, Missing]:
        begun = time.monotonic()
        self._commands.seconds.clear()
        try:
            return collector()
        except CollectorError as error:
            return Missing(str(error))
        except Exception as error:  # noqa: BLE001 - one collector's bug must not cost the others
            return Missing(f"the collector broke: {type(error).__name__}: {str(error)[:300]}")
        finally:
            commands = {argv: round(took, 3) for argv, took in self._commands.seconds.items()}
            self.timings.append(Timing(name, round(time.monotonic() - begun, 3), commands))


_Postfix = Union[postfix.Found, Missing, None]
_Dovecot = Union[dovecot.Found, Missing, None]


def _settings(
    instances: Union[tuple[postfix_instances.Found, ...], Missing, None],
) -> list[postfix.Found]:
    """Those of the instances that were inspected."""
    found = instances if isinstance(instances, tuple) else ()
    return [each.settings for each in found if isinstance(each.settings, postfix.Found)]


def _certificates(
    its_dovecot: _Dovecot, *its_postfix: _Postfix
) -> Union[tuple[CertificateFile, ...], Missing]:
    paths = []
    for instance in its_postfix:
        if isinstance(instance, postfix.Found):
            paths += postfix.certificate_paths(instance.postfix)
    if isinstance(its_dovecot, dovecot.Found):
        paths += [pair.certificate for pair in its_dovecot.pairs]
    return certificates.certificate_files(paths)


def _keys(*products: Union[_Postfix, _Dovecot]) -> tuple[KeyFile, ...]:
    return keys.key_files(
        pair
        for product in products
        if isinstance(product, (postfix.Found, dovecot.Found))
        for pair in product.pairs
    )


def _postfix_library(
    its: _Postfix, others: list[postfix.Found]
) -> Union[TlsLibrary, Missing, None]:
    """One for all instances: they are one installation."""
    if not isinstance(its, postfix.Found):
        return its
    asked = [text for each in (its, *others) for text in postfix.cipher_lists(each.postfix)]
    return _tls_library("postfix", its, its.postfix.daemon, asked)


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
    return tls_library(product, asked, environment)


def _listeners(
    request: Request, found: Union[tuple[ListeningSocket, ...], Missing]
) -> list[tuple[str, int]]:
    """One address for each mail port that is listened on."""
    if isinstance(found, Missing):
        raise CollectorError(found.reason)
    chosen: dict[int, str] = {}
    own = own_addresses(request.address)
    for socket in found:
        if socket.port in request.ports:
            chosen.setdefault(socket.port, local_address(socket.address, own))
    return [(address, port) for port, address in chosen.items()]


class CollectorError(Exception):
    """What a collector needs of another one is missing."""
