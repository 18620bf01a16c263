"""What a login service of Dovecot offers, by the effective settings of its protocol.

After doc.dovecot.org and src/login-common, src/lib-ssl-iostream of 2.2, 2.3 and 2.4.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailwitness.evidence.host import TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.resolver.library import (
    Asked,
    Key,
    answers,
    expansion,
    finite_field_strength,
    passes,
)
from mailwitness.resolver.offer import VERSIONS, Offer, TlsUse

# Those that a client could not be shown before it is known: RFC 4422 calls EXTERNAL's lower layer.
_HIDDEN = frozenset({"EXTERNAL"})
_CLEARTEXT = frozenset({"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"})
# Before 2.3: what ssl_protocols can name, of which it says nothing about TLS 1.3.
_NAMED = VERSIONS[: VERSIONS.index("TLSv1.3")]
# From here on ssl_protocols gives a lowest version, if OpenSSL can take one (1.1.0 and newer).
_LOWEST_VERSION_SINCE = (2, 2, 34)
_DH_BITS = re.compile(r"[0-9]{1,5}", re.ASCII)
_DH_BITS_BEFORE_2_3 = "1024"  # src/ssl-params/ssl-params-settings.c


@dataclass(frozen=True)
class Given:
    """What a login service finds on its host, beside the settings."""

    version: str | Missing  # Dovecot's own
    library: TlsLibrary | Missing  # that the login process loads
    keys: tuple[Key, ...] | Missing  # of the certificates that it can load; none: it has none
    dh_bits: int | Missing  # of the parameters that the settings name; 0: they name none


def offer(settings: Mapping[str, str], given: Given, *, implicit: bool) -> Offer:
    """The offer of one listener to a client at another address than the host's own.

    Args:
        settings: the effective ones of the listener's protocol.
        given: what they are given to.
        implicit: whether the listener begins with TLS.
    """
    tls: TlsUse = "implicit" if implicit else "starttls"
    if settings.get("ssl") == "no":
        tls = "none"
    before = None if implicit else _mechanisms(settings, inside=False)
    if tls == "none":
        return Offer(tls, (), {}, before, None)
    inside = _mechanisms(settings, inside=True)
    offers, suites = answers(
        _asked(settings, given),
        admitted_versions(settings, given.library, given.version),
        versions_setting(settings),
    )
    return Offer(tls, offers, suites, before, inside)


def versions_setting(settings: Mapping[str, str]) -> str:
    """The setting that says which versions there are, with its value."""
    name = "ssl_min_protocol" if "ssl_min_protocol" in settings else "ssl_protocols"
    return f"{name} = {settings.get(name, '')}"


def admitted_versions(
    settings: Mapping[str, str], library: TlsLibrary | Missing, version: str | Missing
) -> frozenset[str] | Missing:
    """By the daemon's own setting: ssl_min_protocol from 2.3 on, ssl_protocols before."""
    if "ssl_min_protocol" in settings:
        least = settings["ssl_min_protocol"]
        lowest = {"ANY": "SSLv3", "LATEST": "TLSv1.3"}.get(least, least)
        if lowest not in VERSIONS:
            return Missing(f"ssl_min_protocol = {least!a} is no version")
        return frozenset(VERSIONS[VERSIONS.index(lowest) :])
    bounds = _gives_lowest_version(library, version)
    if isinstance(bounds, Missing):
        return bounds
    words = settings.get("ssl_protocols", "").replace(",", " ").split()
    named = {word for word in words if not word.startswith("!")}
    without = {word[1:] for word in words if word.startswith("!")}
    known = {*_NAMED, "SSLv2"} if _is_old(library) else {*_NAMED}
    if strange := sorted((named | without) - known):
        return Missing(f"ssl_protocols names {strange[0]!a}, with which this Dovecot serves no TLS")
    left = [each for each in _NAMED if each not in without and (not named or each in named)]
    if not bounds:
        return frozenset((*left, "TLSv1.3"))
    if not left:
        return Missing("ssl_protocols leaves no version, with which this Dovecot serves no TLS")
    return frozenset(VERSIONS[VERSIONS.index(left[0]) :])


def _gives_lowest_version(library: TlsLibrary | Missing, version: str | Missing) -> bool | Missing:
    """Whether ssl_protocols makes a minimum, which holds over the system's, or options beside it.

    After src/login-common/ssl-proxy-openssl.c of 2.2.33 and 2.2.34, and seen of 2.2.36.
    """
    if isinstance(library, Missing):
        return library
    if isinstance(version, Missing):
        return version
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return Missing(
            f"what ssl_protocols means hangs on Dovecot's version, and {version!a} is none"
        )
    found = tuple(int(number) for number in numbers.groups())
    return found >= _LOWEST_VERSION_SINCE and not _is_old(library)


def _is_old(library: TlsLibrary | Missing) -> bool:
    """Whether it still names SSLv2, and takes no lowest version: OpenSSL before 1.1.0."""
    return isinstance(library, TlsLibrary) and library.version.startswith("OpenSSL 1.0.")


def _asked(settings: Mapping[str, str], given: Given) -> Asked | Missing:
    library, keys = given.library, given.keys
    if isinstance(library, Missing):
        return library
    if isinstance(keys, Missing):
        return keys
    if not keys:
        return Missing("it has no certificate that it can load: every handshake fails")
    ciphers = expansion(library, settings.get("ssl_cipher_list", ""), None)
    if isinstance(ciphers, Missing):
        return ciphers
    level = ciphers.security_level
    if "ssl_min_protocol" in settings:
        own_minimum: bool | Missing = settings["ssl_min_protocol"] != "ANY"
        if isinstance(given.dh_bits, Missing):
            return given.dh_bits
        if given.dh_bits and not passes(finite_field_strength(given.dh_bits), level):
            return Missing(
                f"at security level {level} the library refuses DH parameters of {given.dh_bits} "
                "bits, and the login process ends"
            )
        # Dovecot takes none of the parameters that OpenSSL has of its own.
        finite_field = given.dh_bits > 0
    else:
        own_minimum = _gives_lowest_version(library, given.version)
        # It makes parameters of its own, and OpenSSL asks of them what the level does, at use.
        made = settings.get("ssl_dh_parameters_length", _DH_BITS_BEFORE_2_3)
        if not _DH_BITS.fullmatch(made):
            return Missing(f"ssl_dh_parameters_length = {made!a} is no size")
        finite_field = passes(finite_field_strength(int(made)), level)
    if isinstance(own_minimum, Missing):
        return own_minimum
    asked = Asked(
        library=library,
        ciphers=ciphers,
        keys=keys,
        finite_field=finite_field,
        minimum=None if own_minimum else library.defaults.minimum,
        maximum=library.defaults.maximum,
    )
    return asked.refused or asked


def _mechanisms(settings: Mapping[str, str], *, inside: bool) -> tuple[str, ...] | Missing:
    """Those of CAPABILITY or CAPA."""
    named = {word.upper() for word in settings.get("auth_mechanisms", "").split()} - _HIDDEN
    if inside:
        return tuple(sorted(named))
    if settings.get("login_trusted_networks", "").strip():
        return Missing("login_trusted_networks shows some clients more than others")
    if settings.get("ssl") == "required":
        return ()
    cleartext = (
        settings.get("auth_allow_cleartext") == "yes"  # from 2.4 on
        or settings.get("disable_plaintext_auth") == "no"
    )
    return tuple(sorted(name for name in named if cleartext or name not in _CLEARTEXT))
