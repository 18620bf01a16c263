"""What smtpd(8) offers, by the settings of one service of master.cf.

After postconf(5) and src/tls/tls_server.c, tls_proto.c and src/smtpd/smtpd.c of 3.4 to 3.10.
"""

from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

from mailwitness.evidence.host import TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.host.postfix_ciphers import SECURITY_LEVEL, cipher_list, enforces_tls
from mailwitness.resolver.library import Asked, Key, answers, expansion
from mailwitness.resolver.offer import VERSIONS, Offer, TlsUse

_BOUNDS_SINCE = Version("3.6")  # ">=TLSv1.2": an invalid list before, and TLS is off


def offer(
    settings: Mapping[str, str],
    library: TlsLibrary | Missing,
    keys: tuple[Key, ...] | Missing,
    sasl_mechanisms: tuple[str, ...] | Missing,
) -> Offer:
    """The offer of one service.

    Args:
        settings: the effective ones of the service.
        library: the TLS library that smtpd loads.
        keys: those of the certificates that it can load; none: it has none.
        sasl_mechanisms: those that the SASL implementation gives it.
    """
    tls = tls_use(settings)
    before = _mechanisms(settings, sasl_mechanisms, inside=False)
    inside = _mechanisms(settings, sasl_mechanisms, inside=True)
    if tls == "none":
        return Offer(tls, (), {}, before, None)
    name = protocols_setting(settings)
    offers, suites = answers(
        _asked(settings, library, keys),
        admitted_versions(settings),
        f"{name} = {settings.get(name, '')}",
    )
    return Offer(tls, offers, suites, None if tls == "implicit" else before, inside)


def tls_use(settings: Mapping[str, str]) -> TlsUse:
    """postconf(5): wrappermode wins; a level wins over the two older settings."""
    if settings.get("smtpd_tls_wrappermode") == "yes":
        return "implicit"
    if "starttls" in _hidden(settings):
        return "none"
    level = settings.get("smtpd_tls_security_level", "")
    if level:
        return "none" if level == "none" else "starttls"
    old = (settings.get("smtpd_use_tls"), settings.get("smtpd_enforce_tls"))
    return "starttls" if "yes" in old else "none"


def _hidden(settings: Mapping[str, str]) -> list[str]:
    """The keywords that EHLO leaves out."""
    return settings.get("smtpd_discard_ehlo_keywords", "").lower().replace(",", " ").split()


def protocols_setting(settings: Mapping[str, str]) -> str:
    """The name of the setting that says which versions there are."""
    return "smtpd_tls_mandatory_protocols" if enforces_tls(settings) else "smtpd_tls_protocols"


def admitted_versions(settings: Mapping[str, str]) -> frozenset[str] | Missing:
    """By the daemon's own setting."""
    name = protocols_setting(settings)
    found = versions_of(settings.get(name, ""), settings)
    return Missing(f"{name}: {found.reason}") if isinstance(found, Missing) else found


def versions_of(text: str, settings: Mapping[str, str]) -> frozenset[str] | Missing:
    """What a list of versions admits, in both notations; `settings` say which Postfix it is."""
    known = {version.lower(): version for version in VERSIONS}
    excluded: set[str] = set()
    included: set[str] = set()
    lowest, highest = VERSIONS[0], VERSIONS[-1]
    for word in text.replace(",", " ").replace(":", " ").split():
        operator = word[:2] if word[:2] in (">=", "<=") else word[: word.startswith("!")]
        version = word[len(operator) :].lower()
        if operator in (">=", "<=") and not _since(settings, _BOUNDS_SINCE):
            return Missing(f"{text}: Postfix knows {operator} from 3.6 on only")
        if version == "sslv2" and operator in ("", "!"):
            continue
        if version not in known:
            return Missing(f"{text}: {word!a} is no version")
        if operator == ">=":
            lowest = known[version]
        elif operator == "<=":
            highest = known[version]
        else:
            (excluded if operator else included).add(known[version])
    between = VERSIONS[VERSIONS.index(lowest) : VERSIONS.index(highest) + 1]
    return frozenset(
        version
        for version in between
        if version not in excluded and (not included or version in included)
    )


def _since(settings: Mapping[str, str], since: Version) -> bool:
    try:
        return Version(settings.get("mail_version", "").partition("-")[0]) >= since
    except InvalidVersion:
        return True


def _asked(
    settings: Mapping[str, str],
    library: TlsLibrary | Missing,
    keys: tuple[Key, ...] | Missing,
) -> Asked | Missing:
    text = cipher_list(settings)
    if isinstance(library, Missing):
        return library
    if isinstance(keys, Missing):
        return keys
    if isinstance(text, Missing):
        return text
    if not keys:
        return Missing("it has no certificate that it can load: STARTTLS is offered and fails")
    ciphers = expansion(library, text, SECURITY_LEVEL)
    if isinstance(ciphers, Missing):
        return ciphers
    # Before 3.6 the upper bound stays what the system has it be.
    own_maximum = _since(settings, _BOUNDS_SINCE)
    return Asked(
        library=library,
        ciphers=ciphers,
        keys=keys,
        finite_field=True,
        minimum=None,
        maximum=None if own_maximum else library.defaults.maximum,
    )


def _mechanisms(
    settings: Mapping[str, str], available: tuple[str, ...] | Missing, *, inside: bool
) -> tuple[str, ...] | Missing:
    """Those of EHLO; postconf(5), smtpd_sasl_mechanism_filter and smtpd_sasl_security_options."""
    if settings.get("smtpd_sasl_auth_enable") != "yes" or "auth" in _hidden(settings):
        return ()
    if not inside and (settings.get("smtpd_tls_auth_only") == "yes" or enforces_tls(settings)):
        return ()
    if settings.get("smtpd_sasl_exceptions_networks"):
        return Missing("smtpd_sasl_exceptions_networks hides AUTH from some clients")
    if isinstance(available, Missing):
        return available
    name = "smtpd_sasl_tls_security_options" if inside else "smtpd_sasl_security_options"
    options = settings.get(name, "").lower().replace(",", " ").split()
    return tuple(sorted(name for name in available if not _withheld(name, options)))


def _withheld(mechanism: str, options: list[str]) -> bool:
    traits = {
        "noplaintext": mechanism in ("PLAIN", "LOGIN"),
        "noanonymous": mechanism == "ANONYMOUS",
        "nodictionary": mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM"),
        "noactive": mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "NTLM"),
        "forward_secrecy": True,
        "mutual_auth": mechanism not in ("DIGEST-MD5", "GSSAPI"),
    }
    # smtpd_sasl_mechanism_filter's default: EXTERNAL is kept back.
    return mechanism == "EXTERNAL" or any(traits.get(option, False) for option in options)
