"""The daemon's setting means what it says: nothing beneath it says otherwise."""

from mailwitness.checks._versions import NEWEST, offers
from mailwitness.correlate.endpoint import Configured
from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    """Versions that the daemon's own setting admits, and the system's policy does not."""
    setting = known(case.endpoint.configured)
    if setting is None or setting.tls == "none":
        return not_applicable("no TLS is configured here")
    versions = known(setting.offer.versions)
    for version in versions:
        known(version.offered)
    library = known(setting.library)
    stopped = [version for version in versions if version.layer == "system"]
    if not stopped:
        return passed(
            f"{library.configuration.path} changes nothing of what the settings say",
            [Witness("configured", library.path, f"{library.version}, {library.source}")],
        )
    admitted = next(
        (each.decided_by for each in versions if each.layer == "setting" and each.offered),
        "its settings",
    )
    names = [version.version for version in stopped]
    return failed(
        f"{' and '.join(names)} would be offered, if the system's TLS policy let them",
        [
            Witness("configured", setting.source, admitted),
            *(
                Witness("configured", library.path, f"{each.version}: {each.decided_by}")
                for each in stopped
            ),
        ],
    )


def _newest_is_stopped(case: Case, _: Verdict) -> bool:
    """What is newer than all that is offered is barred by the system alone."""
    setting = case.endpoint.configured
    return isinstance(setting, Configured) and all(
        not isinstance(newest := offer.version(NEWEST), Missing) and newest.layer == "system"
        for offer in offers(setting)
    )


CHECK = Check(
    id="system-policy-overrides",
    title="The system's TLS policy changes what the daemon's setting means",
    severity=Severity.LOW,
    rationale="What is offered hangs on openssl.cnf, crypto-policies or the security level that "
    "the library was built with, not on the setting that people look at: an upgrade of the "
    "system, or a cipher list with another level, opens or closes what nobody decided on.",
    references=(
        "https://docs.openssl.org/3.0/man3/SSL_CTX_set_security_level/",
        "https://docs.openssl.org/3.0/man5/config/",
    ),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    explains=(Explains(("tls-modern-version",), when=_newest_is_stopped),),
    remedies=(
        Remedy(
            "dovecot",
            "<2.3",
            "Name the versions that are meant: ssl_protocols = !SSLv3 !TLSv1 !TLSv1.1\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "dovecot",
            ">=2.3",
            "Name the version that is meant: ssl_min_protocol = TLSv1.2\n"
            "What bars new versions (MaxProtocol, Protocol) must leave the system's file.\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "postfix",
            "",
            "Name the versions that are meant in smtpd_tls_protocols and "
            "smtpd_tls_mandatory_protocols; postfix check && postfix reload",
        ),
    ),
)
