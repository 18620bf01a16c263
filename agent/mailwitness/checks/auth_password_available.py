"""User name and password are taken, inside TLS."""

from mailwitness.correlate.login import password_logins
from mailwitness.policy.check import SERVICE, Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, known, not_applicable, passed


def _judge(case: Case) -> Verdict:
    session = case.session
    if not session.offers_tls:
        return not_applicable("no TLS is offered")
    ways = password_logins(case.endpoint.protocol, known(session.inside_tls))
    if ways:
        return passed(f"inside TLS: {', '.join(ways)}")
    lines = known(session.inside_tls).lines
    return failed(
        "no login by user name and password is offered, not inside TLS either",
        [case.says(f"inside TLS: {' | '.join(lines) or 'no capability'}")],
    )


CHECK = Check(
    id="auth-password-available",
    title="No login by user name and password",
    severity=Severity.HIGH,
    rationale="A service outside that is given a mailbox's name and password cannot use either: "
    "the server offers no mechanism that takes them.",
    references=("RFC 9051 §6.2.3", "RFC 4616", "RFC 4954 §4"),
    scope=Scope.LOOK,
    judge=_judge,
    remedies=(
        Remedy(
            "dovecot",
            "",
            "auth_mechanisms = plain login\nThen: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "postfix",
            "",
            f"postconf -P '{SERVICE}/smtpd_sasl_auth_enable=yes'; postfix check && postfix reload\n"
            "Where the logins are Dovecot's, before that: "
            "postconf -e smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth",
            settings=(f"-P '{SERVICE}/smtpd_sasl_auth_enable=yes'",),
            proven=("Debian 12",),
        ),
    ),
)
