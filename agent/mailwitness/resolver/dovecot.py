"""What a login service of Dovecot offers, by the effective settings of its protocol.

After doc.dovecot.org and src/login-common, src/lib-ssl-iostream of 2.2, 2.3 and 2.4.
"""

from collections.abc import Mapping

from mailwitness.evidence.host import TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.resolver.library import Asked, Key, answers, expansion
from mailwitness.resolver.offer import VERSIONS, Offer, TlsUse

# Those that a client could not be shown before it is known: RFC 4422 calls EXTERNAL's lower layer.
_HIDDEN = frozenset({"EXTERNAL"})
_CLEARTEXT = frozenset({"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"})


def offer(
    settings: Mapping[str, str],
    library: TlsLibrary | Missing,
    keys: tuple[Key, ...] | Missing,
    *,
    implicit: bool,
) -> Offer:
    """The offer of one listener to a client at another address than the host's own.

    Args:
        settings: the effective ones of the listener's protocol.
        library: the TLS library that the login process loads.
        keys: those of the certificates that it can load; none: it has none.
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
        _asked(settings, library, keys), admitted_versions(settings), versions_setting(settings)
    )
    return Offer(tls, offers, suites, before, inside)


def versions_setting(settings: Mapping[str, str]) -> str:
    """The setting that says which versions there are, with its value."""
    name = "ssl_min_protocol" if "ssl_min_protocol" in settings else "ssl_protocols"
    return f"{name} = {settings.get(name, '')}"


def admitted_versions(settings: Mapping[str, str]) -> frozenset[str] | Missing:
    """By the daemon's own setting: ssl_min_protocol from 2.3 on, ssl_protocols before."""
    if "ssl_min_protocol" in settings:
        least = settings["ssl_min_protocol"]
        lowest = {"ANY": "SSLv3", "LATEST": "TLSv1.3"}.get(least, least)
        if lowest not in VERSIONS:
            return Missing(f"ssl_min_protocol = {least!a} is no version")
        return frozenset(VERSIONS[VERSIONS.index(lowest) :])
    words = settings.get("ssl_protocols", "").split()
    named = {word for word in words if not word.startswith("!")}
    without = {word[1:] for word in words if word.startswith("!")}
    return frozenset(
        version
        for version in VERSIONS
        if version not in without and (not named or version in named)
    )


def _asked(
    settings: Mapping[str, str],
    library: TlsLibrary | Missing,
    keys: tuple[Key, ...] | Missing,
) -> Asked | Missing:
    if isinstance(library, Missing):
        return library
    if "ssl_min_protocol" not in settings:
        # Seen on 2.2.36: its MinProtocol does not hold, and DH parameters are made by Dovecot.
        return Missing("Dovecot before 2.3 passes over what the system sets; what holds is unknown")
    if isinstance(keys, Missing):
        return keys
    if not keys:
        return Missing("it has no certificate that it can load: every handshake fails")
    ciphers = expansion(library, settings.get("ssl_cipher_list", ""), None)
    if isinstance(ciphers, Missing):
        return ciphers
    # Dovecot takes none of the parameters that OpenSSL has of its own.
    finite_field = bool(settings.get("ssl_dh") or settings.get("ssl_server_dh_file"))
    own_minimum = settings.get("ssl_min_protocol", "ANY") != "ANY"
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
