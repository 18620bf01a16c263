"""A mail port of a host with what each witness says of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mailwitness.correlate.certificate import Certificate
from mailwitness.correlate.filtered import Filtered
from mailwitness.evidence.host import ConfigurationFile, Daemon, ListeningSocket, TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Protocol, Session
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
    """What narrower settings make of a port for some clients: a filter block of Dovecot's."""

    where: str  # "local_name mail.example.com"
    settings: dict[str, str]
    offer: Offer


@dataclass(frozen=True)
class Configured:
    """What the configuration makes of this port."""

    product: Literal["dovecot", "postfix"]
    source: str  # the command and the block or line that says so
    settings: dict[str, str]  # the effective ones that bear on TLS and login
    main: dict[str, str]  # what they would be without anything of this listener's or protocol's own
    origins: dict[str, str]  # where a file gives them: "/etc/postfix/main.cf:27"
    offer: Offer  # what they make it do, for a client whom no filter block matches
    scopes: tuple[Scope, ...]
    certificates: tuple[CertificateOnDisk, ...]  # served to a client that names no server
    files: tuple[ConfigurationFile, ...]
    daemon: Daemon | Missing | None
    library: TlsLibrary | Missing

    @property
    def tls(self) -> TlsUse | Missing:
        """Where TLS begins."""
        return self.offer.tls

    def origin(self, setting: str) -> str:
        """Where it is written, or that it is nowhere."""
        return self.origins.get(setting, "the default")


@dataclass(frozen=True)
class Running:
    """What the host itself finds on this port. No socket: nothing listens."""

    sockets: tuple[ListeningSocket, ...]
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

    @property
    def id(self) -> str:
        """Stable over runs: ``imaps:993``."""
        return f"{self.name}:{self.port}"

    @property
    def in_service(self) -> bool:
        """Whether any witness knows of something there."""
        return (
            isinstance(self.configured, Configured)
            or self.leads_to is not None
            or (isinstance(self.running, Running) and bool(self.running.sockets))
            or any(True for _ in self.looks("outside"))
        )

    def observations(self) -> Iterator[tuple[str, Observation]]:
        """Each vantage's observations that took place, whatever they found."""
        for sighting in self.outside:
            if not isinstance(sighting.observation, Missing):
                yield sighting.vantage, sighting.observation

    def looks(self, view: View) -> Iterator[Look]:
        """The connections that came about, as `view` had them."""
        if view == "outside":
            for vantage, seen in self.observations():
                if seen.reach.state == "open":
                    source = f"{vantage} to {seen.address}"
                    yield Look("outside", source, seen.session, seen.observed_at)
        elif view == "running" and isinstance(self.running, Running):
            own = self.running.observation
            if not isinstance(own, Missing) and own.reach.state == "open":
                yield Look("running", f"the host to {own.address}", own.session, own.observed_at)
