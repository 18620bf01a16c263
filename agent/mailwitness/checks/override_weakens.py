"""No setting of one listener, protocol or client is weaker than the main one."""

from collections.abc import Callable, Iterator, Mapping

from mailwitness import resolver
from mailwitness.checks._versions import named_in
from mailwitness.correlate.endpoint import RELAY_PORT, Configured
from mailwitness.evidence.missing import Missing
from mailwitness.host.postfix_ciphers import enforces_tls
from mailwitness.policy.check import SERVICE, Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)
from mailwitness.resolver.offer import VERSIONS
from mailwitness.resolver.postfix import versions_of

# How much protection a value gives; a value that is not there is not compared.
_Strength = Callable[[str, Mapping[str, str]], float | None]


def _in_order(*values: str) -> _Strength:
    def strength(value: str, _: Mapping[str, str]) -> float | None:
        return values.index(value) if value in values else None

    return strength


def _lowest_version(value: str, settings: Mapping[str, str]) -> float | None:
    """Of a list in Postfix's notations; all of TLS 1.2 and newer are as good as each other."""
    admitted = versions_of(value, settings)
    if isinstance(admitted, Missing) or not admitted:
        return None
    modern = VERSIONS.index("TLSv1.2")
    return min(modern, *(VERSIONS.index(version) for version in admitted))


_STRENGTHS: Mapping[str, _Strength] = {
    "smtpd_tls_security_level": _in_order("none", "may", "encrypt"),
    "smtpd_tls_auth_only": _in_order("no", "yes"),
    "smtpd_tls_protocols": _lowest_version,
    "smtpd_tls_mandatory_protocols": _lowest_version,
    "smtpd_tls_ciphers": _in_order("null", "export", "low", "medium", "high"),
    "smtpd_tls_mandatory_ciphers": _in_order("null", "export", "low", "medium", "high"),
    "ssl": _in_order("no", "yes", "required"),
    "ssl_protocols": _lowest_version,
    "ssl_min_protocol": _in_order("ANY", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"),
    "disable_plaintext_auth": _in_order("no", "yes"),
    "auth_allow_cleartext": _in_order("yes", "no"),
}


# Each with the value with which no password is taken before TLS.
_NOT_IN_CLEAR = {
    "auth_allow_cleartext": "no",
    "disable_plaintext_auth": "yes",
    "smtpd_tls_auth_only": "yes",
    "smtpd_tls_security_level": "encrypt",
    "ssl": "required",
}


def _judge(case: Case) -> Verdict:
    setting = known(case.endpoint.configured)
    if setting is None:
        return not_applicable("nothing is configured here")
    for scope in setting.scopes:
        known(scope.offer.tls)
    weaker = [
        witness
        for where, settings in _narrower(setting)
        for witness in _witnesses(case.endpoint.port, setting, where, settings)
    ]
    if weaker:
        return failed("a setting of its own is weaker than the main one", weaker)
    return passed("nothing of its own is weaker than the main settings")


def _narrower(setting: Configured) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The settings of this listener, and of each block for some of its clients."""
    yield setting.source, setting.settings
    yield from ((f"the block {scope.where}", scope.settings) for scope in setting.scopes)


def _witnesses(
    port: int, setting: Configured, where: str, settings: Mapping[str, str]
) -> Iterator[Witness]:
    for name in _weaker(port, setting.main, settings):
        source = f"{where}, {setting.origin(name)}"
        yield Witness(
            "configured", source, f"{name} = {settings[name]}, main: {setting.main[name]}"
        )


def _weaker(port: int, main: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    """The names of the settings that are weaker than the main ones."""
    for name in sorted(_STRENGTHS.keys() & main.keys() & own.keys()):
        if own[name] != main[name] and _in_force(port, name, own):
            was, now = _STRENGTHS[name](main[name], main), _STRENGTHS[name](own[name], own)
            if was is not None and now is not None and now < was:
                yield name


def _in_force(port: int, name: str, settings: Mapping[str, str]) -> bool:
    """Some settings say nothing beside others, and one is as it must be where mail comes in."""
    if name in ("smtpd_tls_security_level", "smtpd_tls_auth_only"):
        relay = port == RELAY_PORT and settings.get(name) == "may"  # RFC 3207 §4: never required
        return not relay and settings.get("smtpd_tls_wrappermode") != "yes"
    if name.endswith(("_protocols", "_ciphers")):
        return name.startswith("smtpd_tls_mandatory_") == enforces_tls(settings)
    return True


def _main_refuses(case: Case, legacy: Verdict) -> bool:
    """Whether the override admits these versions, and nothing does with the main values."""
    setting, versions = case.endpoint.configured, named_in(legacy)
    if not isinstance(setting, Configured) or not versions:
        return False
    admitted: set[str] = set()
    for _, own in _narrower(setting):
        weaker = _weaker(case.endpoint.port, setting.main, own)
        restored = {**own, **{name: setting.main[name] for name in weaker}}
        before, after = (_admitted(setting, settings) for settings in (own, restored))
        if isinstance(before, Missing) or isinstance(after, Missing) or versions & after:
            return False
        admitted |= before
    return versions <= admitted


def _admitted(setting: Configured, settings: Mapping[str, str]) -> frozenset[str] | Missing:
    if setting.product == "postfix":
        return resolver.postfix.admitted_versions(settings)
    return resolver.dovecot.admitted_versions(settings, setting.library, setting.version)


def _main_keeps_passwords_in_tls(case: Case, _: Verdict) -> bool:
    """Whether one of the weaker settings is, outside, what keeps passwords out of the clear."""
    setting = case.endpoint.configured
    return isinstance(setting, Configured) and any(
        _NOT_IN_CLEAR.get(name) == setting.main[name] and not own.get("login_trusted_networks")
        for _, own in _narrower(setting)
        for name in _weaker(case.endpoint.port, setting.main, own)
    )


def _advise(case: Case) -> tuple[Remedy, ...]:
    """What takes the weaker settings of this service of Postfix away."""
    setting = case.endpoint.configured
    if not isinstance(setting, Configured) or setting.product != "postfix":
        return ()
    names = _weaker(case.endpoint.port, setting.main, setting.settings)
    words = " ".join(f"'{SERVICE}/{name}'" for name in names)
    return (Remedy("postfix", "", f"postconf -PX {words} && postfix check && postfix reload"),)


CHECK = Check(
    id="override-weakens",
    title="A setting of one listener is weaker than the main one",
    severity=Severity.MEDIUM,
    rationale="Whoever reads the main settings believes more than holds: the override in master.cf "
    "or in a block of its own decides for this port or these clients.",
    references=(
        "https://www.postfix.org/master.5.html",
        "https://doc.dovecot.org/2.3/configuration_manual/config_file/",
    ),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    advise=_advise,
    advice_tried="on a lab host with Debian 13 (`tests/lab/test_remedy.py`)",
    explains=(
        Explains(("tls-legacy-version",), when=_main_refuses),
        Explains(("auth-cleartext", "tls-required"), when=_main_keeps_passwords_in_tls),
    ),
    remedies=(
        Remedy(
            "dovecot",
            "",
            "Take the setting out of its block, or give it the main value there.\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
    ),
)
