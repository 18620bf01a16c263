"""A mail port of a host with what each witness says of it."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from mailwitness.correlate.certificate import Certificate
from mailwitness.correlate.filtered import Filtered
from mailwitness.evidence.host import (
    ClientTable,
    ConfigurationFile,
    Daemon,
    DovecotListener,
    ListeningSocket,
    PostfixService,
    TlsLibrary,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Protocol, Session
from mailwitness.resolver import server_name
from mailwitness.resolver.offer import Offer, TlsUse

View = Literal["configured", "running", "filtered", "outside"]

RELAY_PORT = 25  # mail from other servers: opportunistic TLS, judged by rules of its own


@dataclass(frozen=True)
class CertificateOnDisk:
    """The first certificate of a file that a setting names: what a reload would serve."""

    path: str
    modified_at: str | Missing
    leaf: Certificate | Missing


@dataclass(frozen=True)
class Scope:
    """What a filter block of Dovecot's makes of a port, for the clients whom it matches."""

    local: str | None  # the host's own network or address
    remote: str | None  # the client's
    local_name: str | None  # the server name of SNI
    settings: dict[str, str]
    offer: Offer
    certificates: tuple[CertificateOnDisk, ...]

    @property
    def where(self) -> str:
        """The block's headers, outermost first."""
        filters = {"local": self.local, "remote": self.remote, "local_name": self.local_name}
        return " ".join(f"{kind} {value}" for kind, value in filters.items() if value is not None)

    def holds(self, local: str, remote: str, name: str | None = None) -> bool:
        """Whether it is for connections between these addresses, and for that name of SNI."""
        pairs = ((self.local, local), (self.remote, remote))
        named = self.local_name is None or (
            name is not None and server_name.of_dovecot(self.local_name, name)
        )
        return named and all(block is None or _within(address, block) for block, address in pairs)


@dataclass(frozen=True)
class Configured:
    """What the configuration makes of this port."""

    product: Literal["dovecot", "postfix"]
    version: str | Missing  # of the product
    listener: DovecotListener | PostfixService
    source: str  # the command and the block or line that says so
    settings: dict[str, str]  # the effective ones that bear on TLS and login
    main: dict[str, str]  # what they would be without anything of this listener's or protocol's own
    origins: dict[str, str]  # where a file gives them: "/etc/postfix/main.cf:27"
    offer: Offer  # what they make it do, for a client whom no filter block matches
    scopes: tuple[Scope, ...]
    certificates: tuple[CertificateOnDisk, ...]  # served to a client that names no server
    # Of Postfix, by entry of tls_server_sni_maps; Dovecot has blocks for them.
    server_names: Mapping[str, tuple[CertificateOnDisk, ...] | Missing] | Missing
    client_tables: Mapping[str, ClientTable | Missing]  # of Postfix
    files: tuple[ConfigurationFile, ...]
    daemon: Daemon | Missing | None
    library: TlsLibrary | Missing
    instance: str = ""  # of Postfix, the folder of one that is not the default one

    @property
    def tls(self) -> TlsUse | Missing:
        """Where TLS begins."""
        return self.offer.tls

    def matching(self, local: str, remote: str) -> tuple[Scope, ...]:
        """The filter blocks that hold for connections between these addresses."""
        return tuple(scope for scope in self.scopes if scope.holds(local, remote))

    def offer_to(self, local: str, remote: str) -> Offer:
        """What a client at `remote` gets who comes to the host's address `local`.

        A name comes too late: the handshake has begun by then, and only the certificate follows.
        """
        matching = self.matching(local, remote)
        if not matching:
            return self.offer
        if len(matching) == 1:
            return matching[0].offer
        return Offer.unknown(_several(matching))

    def certificates_for(
        self, local: str, remote: str, name: str | None
    ) -> tuple[CertificateOnDisk, ...] | Missing:
        """The files of which this client gets one, by the kinds of keys that it takes.

        Args:
            local: the host's address.
            remote: the client's.
            name: the server name that it sends; None: it sends none.
        """
        if isinstance(self.server_names, Missing):
            return self.server_names if name else self.certificates
        entry = server_name.of_postfix(self.server_names, name) if name else None
        if entry is not None:
            return self.server_names[entry]
        matching = tuple(scope for scope in self.scopes if scope.holds(local, remote, name))
        if not matching:
            return self.certificates
        if len(matching) > 1:
            return _several(matching)
        (scope,) = matching
        return scope.offer.tls if isinstance(scope.offer.tls, Missing) else scope.certificates

    def origin(self, setting: str) -> str:
        """Where it is written, or that it is nowhere."""
        return self.origins.get(setting, "the default")


def _several(scopes: Iterable[Scope]) -> Missing:
    blocks = " and ".join(scope.where for scope in scopes)
    return Missing(f"several blocks match this client: {blocks}")


def _within(address: str, block: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)
    except ValueError:  # a name: whose address that is, is not known
        return False


@dataclass(frozen=True)
class Beyond:
    """A listener of a container, or whatever has a network namespace, behind the packet filter."""

    address: str  # of the namespace
    socket: ListeningSocket


@dataclass(frozen=True)
class Running:
    """What the host itself finds on this port. No socket: nothing listens."""

    sockets: tuple[ListeningSocket, ...]
    beyond: tuple[Beyond, ...] | Missing  # where the packet filter leads those who come by it
    observation: Observation | Missing  # the host's handshake with its own listener


@dataclass(frozen=True)
class Outside:
    """What one vantage found, on one of the host's addresses."""

    vantage: str
    observation: Observation | Missing


@dataclass(frozen=True)
class Look:
    """One conversation with the port that a check can judge: whose it is and what was said."""

    view: View
    source: str
    session: Session | Missing
    observed_at: str


class Hearing(NamedTuple):
    """The conversations of a view, for a check: of those that are alike one will do."""

    different: tuple[Look, ...]
    each: tuple[tuple[Look, int], ...]  # with the place of the one like it


def _hearing(looks: Iterable[Look], *, dated: bool) -> Hearing:
    different: dict[tuple[int, str], tuple[Look, int]] = {}
    each = []
    for look in looks:
        asked = look if dated else Look(look.view, look.source, look.session, "")
        # Vantages that were told the same share what was said.
        told = id(asked.session), asked.observed_at
        _, place = different.setdefault(told, (asked, len(different)))
        each.append((look, place))
    return Hearing(tuple(look for look, _ in different.values()), tuple(each))


_NOTHING_HEARD = Hearing((), ())


@dataclass(frozen=True)
class Endpoint:
    """One port. A witness that is None has looked, and there is nothing of this port there."""

    protocol: Protocol
    port: int
    name: str  # "imaps"
    tls: TlsUse
    configured: Configured | Missing | None
    running: Running | Missing
    filtered: Filtered | Missing
    outside: tuple[Outside, ...]
    leads_to: int | None = None  # the port that the packet filter leads its packets to

    @cached_property
    def id(self) -> str:
        """Stable over runs: ``imaps:993``."""
        return f"{self.name}:{self.port}"

    @cached_property
    def in_service(self) -> bool:
        """Whether any witness knows of something there."""
        return (
            isinstance(self.configured, Configured)
            or self.leads_to is not None
            or (isinstance(self.running, Running) and bool(self.running.sockets))
            or (isinstance(self.running, Running) and self.running.beyond != ())
            or bool(self.looks("outside"))
        )

    def observations(self) -> Iterator[tuple[str, Observation]]:
        """Each vantage's observations that took place, whatever they found."""
        for sighting in self.outside:
            if not isinstance(sighting.observation, Missing):
                yield sighting.vantage, sighting.observation

    def looks(self, view: View) -> tuple[Look, ...]:
        """The connections that came about, as `view` had them."""
        return self._looks.get(view, ())

    def hearing(self, view: View, *, dated: bool) -> Hearing:
        """The same for a check; of one that is not dated the looks have no time to go by."""
        return self._hearings.get((view, dated), _NOTHING_HEARD)

    @cached_property
    def _hearings(self) -> dict[tuple[View, bool], Hearing]:
        return {
            (view, dated): _hearing(looks, dated=dated)
            for view, looks in self._looks.items()
            for dated in (False, True)
        }

    @cached_property
    def _looks(self) -> dict[View, tuple[Look, ...]]:
        outside = [
            _look("outside", vantage, seen)
            for vantage, seen in self.observations()
            if seen.reach.state == "open"
        ]
        own = self.running.observation if isinstance(self.running, Running) else self.running
        if isinstance(own, Missing) or own.reach.state != "open":
            return {"outside": tuple(outside)}
        return {"outside": tuple(outside), "running": (_look("running", "the host", own),)}


def _look(view: View, whose: str, seen: Observation) -> Look:
    return Look(view, f"{whose} to {seen.address}", seen.session, seen.observed_at)
