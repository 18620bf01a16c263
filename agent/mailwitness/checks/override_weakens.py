"""No setting of one listener, protocol or client is weaker than the main one."""

from collections.abc import Callable, Iterator, Mapping

from mailwitness.correlate.endpoint import RELAY_PORT, Configured
from mailwitness.evidence.missing import Missing
from mailwitness.host.postfix_ciphers import enforces_tls
from mailwitness.policy.check import Case, Check, Remedy, Scope
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
    "ssl_min_protocol": _in_order("ANY", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"),
    "disable_plaintext_auth": _in_order("no", "yes"),
    "auth_allow_cleartext": _in_order("yes", "no"),
}


def _judge(case: Case) -> Verdict:
    setting = known(case.endpoint.configured)
    if setting is None:
        return not_applicable("nothing is configured here")
    narrower = [(setting.source, setting.settings)]
    for scope in setting.scopes:
        known(scope.offer.tls)
        narrower.append((f"the block {scope.where}", scope.settings))
    weaker = [
        witness
        for where, settings in narrower
        for witness in _weaker(case.endpoint.port, setting, where, settings)
    ]
    if weaker:
        return failed("a setting of its own is weaker than the main one", weaker)
    return passed("nothing of its own is weaker than the main settings")


def _weaker(
    port: int, setting: Configured, where: str, settings: Mapping[str, str]
) -> Iterator[Witness]:
    for name, strength in _STRENGTHS.items():
        main, own = setting.main.get(name), settings.get(name)
        if main is None or own is None or own == main or not _in_force(port, name, settings):
            continue
        was, now = strength(main, setting.main), strength(own, settings)
        if was is not None and now is not None and now < was:
            yield Witness(
                "configured", f"{where}, {setting.origin(name)}", f"{name} = {own}, main: {main}"
            )


def _in_force(port: int, name: str, settings: Mapping[str, str]) -> bool:
    """Some settings say nothing beside others, and one is as it must be where mail comes in."""
    if name in ("smtpd_tls_security_level", "smtpd_tls_auth_only"):
        relay = port == RELAY_PORT and settings.get(name) == "may"  # RFC 3207 §4: never required
        return not relay and settings.get("smtpd_tls_wrappermode") != "yes"
    if name.endswith(("_protocols", "_ciphers")):
        return name.startswith("smtpd_tls_mandatory_") == enforces_tls(settings)
    return True


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
    remedies=(
        Remedy(
            "postfix",
            "",
            "postconf -P    # lists the overrides; then, for SERVICE and SETTING of the witness:\n"
            "postconf -PX SERVICE/inet/SETTING && postfix check && postfix reload",
        ),
        Remedy(
            "dovecot",
            "",
            "Take the setting out of its block, or give it the main value there.\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
    ),
)
