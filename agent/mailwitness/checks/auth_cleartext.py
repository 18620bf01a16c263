"""No password mechanism is offered before TLS."""

from mailwitness.correlate.login import readable_logins
from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, known, not_applicable, passed


def _judge(case: Case) -> Verdict:
    before_tls = case.session.before_tls
    if before_tls is None:
        return not_applicable("TLS from the first byte")
    ways = readable_logins(case.endpoint.protocol, known(before_tls))
    if ways:
        return failed(
            "a password can be sent before TLS", [case.says(f"before TLS: {', '.join(ways)}")]
        )
    return passed("no password mechanism before TLS")


def _tls_is_offered(case: Case, _: Verdict) -> bool:
    """Then it is these logins alone that make TLS optional."""
    looks = case.endpoint.looks("outside")
    return bool(looks) and all(
        not isinstance(look.session, Missing) and look.session.offers_tls for look in looks
    )


CHECK = Check(
    id="auth-cleartext",
    title="Passwords are accepted without TLS",
    severity=Severity.HIGH,
    rationale="A client that is not set to insist on TLS sends its password readable to anybody "
    "on the way, and so does every client whose connection somebody strips of STARTTLS.",
    references=("RFC 8314 §4.1", "RFC 9051 §6.2.3", "RFC 4954 §4"),
    scope=Scope.LOOK,
    views=("outside",),  # from the host itself Dovecot holds every connection for secured
    judge=_judge,
    explains=(Explains(("tls-required",), when=_tls_is_offered),),
    remedies=(
        Remedy(
            "dovecot",
            "<2.4",
            "disable_plaintext_auth = yes\nand see that login_trusted_networks does not hold the "
            "clients' addresses. Then: doveconf -n >/dev/null && doveadm reload",
            settings=("disable_plaintext_auth = yes",),
            proven=("Debian 11", "Debian 12"),
        ),
        Remedy(
            "dovecot",
            ">=2.4",
            "auth_allow_cleartext = no\nThen: doveconf -n >/dev/null && doveadm reload",
            settings=("auth_allow_cleartext = no",),
            proven=("Debian 13",),
        ),
        Remedy(
            "postfix",
            "",
            "postconf -e smtpd_tls_auth_only=yes; postfix check && postfix reload",
            settings=("-e 'smtpd_tls_auth_only = yes'",),
            proven=("Debian 11", "Debian 12", "Debian 13"),
        ),
    ),
)
