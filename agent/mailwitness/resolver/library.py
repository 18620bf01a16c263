"""What a TLS library lets pass of what a daemon asks it for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from mailwitness.evidence.host import CipherList, Suite, TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.probe.suites import SUITES, SUITES_OF_TLS_1_3
from mailwitness.resolver.offer import VERSIONS, Layer, VersionOffer

_NAMES = {**SUITES, **SUITES_OF_TLS_1_3}
_OLD = ("SSLv3", "TLSv1", "TLSv1.1")
# By what a suite authenticates the server: the kinds of keys that can.
_KEYS = {"RSA": "RSA", "ECDSA": "ECDSA", "DSS": "DSA"}
# SSL_CTX_set_security_level(3): the bits of security that each level asks of everything.
_LEVEL_BITS = (0, 80, 112, 128, 192, 256)
# NIST SP 800-57 part 1 rev. 5, table 2: moduli and the bits of security that they give.
_MODULI = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))


def finite_field_strength(modulus: int) -> int:
    """The bits of security of a modulus of that many bits, of RSA or finite fields."""
    return next((bits for least, bits in _MODULI if modulus >= least), 0)


def passes(strength: int, level: int) -> bool:
    """Whether that many bits of security are enough for the library's level."""
    return strength >= _LEVEL_BITS[min(level, len(_LEVEL_BITS) - 1)]


@dataclass(frozen=True)
class Key:
    """Of a certificate that a daemon can load; its signature's hash is SHA-1's or weaker or not."""

    kind: str  # "RSA", "ECDSA", "DSA", "EdDSA"
    bits: int
    weakly_signed: bool

    @property
    def strength(self) -> int:
        """Bits of security."""
        if self.kind in ("RSA", "DSA"):
            return finite_field_strength(self.bits)
        return self.bits // 2


@dataclass(frozen=True)
class Asked:
    """What a daemon asks of a library, beside the versions."""

    library: TlsLibrary
    ciphers: CipherList
    keys: tuple[Key, ...]
    finite_field: bool  # whether it has Diffie-Hellman parameters, or takes the library's
    # The system's bounds, where the daemon leaves them in force.
    minimum: str | None
    maximum: str | None

    @property
    def choice(self) -> "Choice":
        """What the suites hang on."""
        kinds = frozenset(key.kind for key in self.keys)
        suites, version = self.library.suites, self.library.version
        return Choice(suites, version, self.ciphers, kinds, self.finite_field)

    @property
    def refused(self) -> Missing | None:
        """Why the library takes one of the certificates for too weak, if it may."""
        level = self.ciphers.security_level
        for key in self.keys:
            if not passes(key.strength, level):
                return Missing(
                    f"at security level {level} (of {self.level_from}) the library refuses the "
                    f"{key.kind} key of {key.bits} bits"
                )
            if key.weakly_signed and level > 0:
                return Missing(
                    f"at security level {level} (of {self.level_from}) the library may refuse "
                    "a certificate that is signed with SHA-1"
                )
        return None

    @property
    def level_from(self) -> str:
        """The layer that the security level comes from."""
        level = self.ciphers.security_level
        if self.ciphers.asked_level is not None and level == self.ciphers.asked_level:
            return "the daemon"
        if "@SECLEVEL" in self.ciphers.text:
            return "the cipher list"
        if level != self.library.built_in.security_level:
            return self.library.configuration.path
        return "the library as it was built"


class Choice(NamedTuple):
    """All that the suites hang on which a handshake can end with."""

    suites: tuple[Suite, ...]  # of the library
    library: str  # its version
    ciphers: CipherList
    kinds: frozenset[str]  # of keys
    finite_field: bool


def expansion(library: TlsLibrary, text: str, level: int | None) -> CipherList | Missing:
    """What the library made of this list."""
    for ciphers in library.cipher_lists:
        if (ciphers.text, ciphers.asked_level) == (text, level):
            return ciphers
    return Missing("the library was not asked what this list of ciphers holds")


def answers(
    asked: Asked | Missing, admitted: Collection[str] | Missing, setting: str
) -> tuple[tuple[VersionOffer, ...] | Missing, dict[str, tuple[str, ...]] | Missing]:
    """Each version with the layer that decides it, and the suites of those that are offered.

    Args:
        asked: the library and what the daemon asks of it.
        admitted: the versions that the daemon's own setting admits.
        setting: that setting with its value.
    """
    if isinstance(asked, Missing):
        return asked, asked
    if isinstance(admitted, Missing):
        return admitted, admitted
    usable = _usable(asked.choice)
    offers = tuple(
        _version(asked, version, names, setting, admitted=version in admitted)
        for version, names in usable.items()
    )
    offered = {each.version for each in offers if each.offered is True}
    return offers, {
        version: names
        for version, names in usable.items()
        if version in offered and not isinstance(names, Missing)
    }


@lru_cache(maxsize=256)  # the releases of a fleet have few suites, lists of them and kinds of keys
def _usable(choice: Choice) -> Mapping[str, tuple[str, ...] | Missing]:
    by_name = {suite.name: suite for suite in choice.suites}
    return {version: _suites(choice, by_name, version) for version in VERSIONS}


def _suites(
    choice: Choice, by_name: Mapping[str, Suite], version: str
) -> tuple[str, ...] | Missing:
    """The names of those that a handshake of `version` can end with, as IANA has them."""
    if isinstance(choice.ciphers.suites, Missing):
        return choice.ciphers.suites
    names = next((each.names for each in choice.ciphers.suites if each.version == version), ())
    try:
        suites = [by_name[name] for name in names]
    except KeyError:
        return Missing("the evidence names suites that it does not describe")
    if version == "TLSv1.3":
        usable = [suite for suite in suites if suite.name.startswith("TLS_") and choice.kinds]
    else:
        agreed = _agreed(choice, version)
        usable = [
            suite
            for suite in suites
            if (suite.key_exchange, suite.authentication) in agreed
            and not suite.name.startswith("TLS_")
        ]
    return tuple([_NAMES.get(suite.number, suite.name) for suite in usable])


def _agreed(choice: Choice, version: str) -> set[tuple[str, str]]:
    """By what a handshake up to TLS 1.2 can exchange keys, each with what can authenticate it.

    PSK, SRP and GOST need what mail has not.
    """
    exchanges = ["RSA", "ECDH", *(["DH"] if choice.finite_field else [])]
    authentications = [name for name, kind in _KEYS.items() if kind in choice.kinds]
    # To exchange keys by RSA is to authenticate by it.
    agreed = set(product(exchanges, ["None", *authentications])) - {("RSA", "None")}
    if version in _OLD:
        return {pair for pair in agreed if _old_version_passes(choice, pair[1])}
    return agreed


def _old_version_passes(choice: Choice, authentication: str) -> bool:
    """What the level makes of versions whose hashes are MD5 and SHA-1; the lists do not say it.

    OpenSSL 1.1.1 refuses SHA-1 alone, by which ECDSA and DSA sign, from level 2 on, and takes
    the pair of RSA; from 3.0 on all of it is of level 0. SSL_CTX_set_security_level(3) of both.
    """
    level = choice.ciphers.security_level
    if choice.library.startswith("OpenSSL 1."):
        return level < 2 or authentication == "RSA"  # noqa: PLR2004
    return level == 0


def _version(
    asked: Asked,
    version: str,
    usable: tuple[str, ...] | Missing,
    setting: str,
    *,
    admitted: bool,
) -> VersionOffer:
    barred = _barred(asked, version)
    if not admitted:
        return VersionOffer(version, offered=False, layer="setting", decided_by=setting)
    if barred:
        return VersionOffer(version, offered=False, layer="system", decided_by=barred)
    if isinstance(usable, Missing):
        return VersionOffer(version, usable, "setting", setting)
    if usable:
        return VersionOffer(version, offered=True, layer="setting", decided_by=setting)
    return _nothing_usable(asked, version)


def _barred(asked: Asked, version: str) -> str | None:
    """What of the system's configuration keeps the version out."""
    file = asked.library.configuration.path
    if version in asked.library.defaults.switched_off:
        return f"{file} switches it off"
    if asked.maximum is not None and VERSIONS.index(version) > VERSIONS.index(asked.maximum):
        return f"{file}: MaxProtocol = {asked.maximum}"
    if asked.minimum is not None and VERSIONS.index(version) < VERSIONS.index(asked.minimum):
        return f"{file}: MinProtocol = {asked.minimum}"
    return None


def _nothing_usable(asked: Asked, version: str) -> VersionOffer:
    level = f"security level {asked.ciphers.security_level} (of {asked.level_from})"
    if version == "SSLv3":
        had = f"{asked.library.version} has no {version}"
        return VersionOffer(version, offered=False, layer="library", decided_by=had)
    if version in _OLD and asked.ciphers.security_level > 0:
        from_setting = "@SECLEVEL" in asked.ciphers.text
        layer: Layer = "setting" if from_setting else "system"
        return VersionOffer(version, offered=False, layer=layer, decided_by=level)
    why = f"no suite of the cipher list serves it with the keys that there are, at {level}"
    return VersionOffer(version, offered=False, layer="setting", decided_by=why)
