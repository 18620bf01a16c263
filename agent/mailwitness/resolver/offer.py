"""What the configuration makes a listener offer, and which layer decides each part of it."""

from dataclasses import dataclass
from typing import Literal

from mailwitness.evidence import probe
from mailwitness.evidence.missing import Missing

TlsUse = Literal["implicit", "starttls", "none"]
# No library that these daemons load has SSL 2.0: it went with OpenSSL 1.1.0.
VERSIONS = probe.VERSIONS[1:]
Layer = Literal["setting", "system", "library"]


@dataclass(frozen=True)
class VersionOffer:
    """Whether a protocol version is offered, and what decides it.

    `layer`: the daemon's own setting; the system's configuration of the library, or the level
    that it was built with; or what the library has at all.
    """

    version: str
    offered: bool | Missing
    layer: Layer
    decided_by: str  # for people: the setting with its value, the file with its line


@dataclass(frozen=True)
class Offer:
    """What a client without a certificate of its own can have of a listener.

    `suites`: names of the IANA registry by version, in no order. `mechanisms_*`: SASL, upper
    case, sorted; None where that part of the conversation does not exist.
    """

    tls: TlsUse | Missing
    versions: tuple[VersionOffer, ...] | Missing
    suites: dict[str, tuple[str, ...]] | Missing
    mechanisms_before_tls: tuple[str, ...] | Missing | None
    mechanisms_inside_tls: tuple[str, ...] | Missing | None

    @classmethod
    def unknown(cls, why: Missing) -> "Offer":
        """Nothing can be told."""
        return cls(why, why, why, why, why)

    def version(self, name: str) -> VersionOffer | Missing:
        """The answer for one version."""
        if isinstance(self.versions, Missing):
            return self.versions
        for offer in self.versions:
            if offer.version == name:
                return offer
        return Missing(f"nothing is known of {name}")
