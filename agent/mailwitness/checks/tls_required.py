"""Every mail port offers TLS, and none lets a password cross without it."""

from mailwitness.checks._availability import AVAILABILITY
from mailwitness.correlate.login import readable_logins
from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    failed,
    known,
    passed,
)


def _judge(case: Case) -> Verdict:
    session = case.session
    if session.starttls is None:
        return passed("TLS from the first byte")
    if session.starttls.state == "not-offered":
        return failed("no TLS is offered", [case.says("STARTTLS is not among the capabilities")])
    if session.starttls.state == "refused":
        return failed(
            "STARTTLS is offered and does not work",
            [case.says(f"STARTTLS answered {session.starttls.detail}")],
        )
    if session.starttls.state == "unknown":
        raise NotKnownError(f"STARTTLS: {session.starttls.detail}")
    assert session.before_tls is not None
    ways = readable_logins(case.endpoint.protocol, known(session.before_tls))
    if ways:
        return failed(
            "TLS is offered and not required: a password may cross without it",
            [case.says(f"offered before TLS: {', '.join(ways)}")],
        )
    return passed("TLS is offered, and no password can cross without it")


def _no_tls_is_offered(case: Case, _: Verdict) -> bool:
    """Then a login without TLS is the only one there is."""
    looks = case.endpoint.looks("outside")
    return bool(looks) and all(
        not isinstance(look.session, Missing) and not look.session.offers_tls for look in looks
    )


CHECK = Check(
    id="tls-required",
    title="Mail can cross without TLS",
    severity=Severity.HIGH,
    rationale="On a port without TLS, or where TLS is optional for logins, passwords and mail can "
    "be read and changed by anybody on the way; a client may not even notice.",
    references=("RFC 8314 §3", "RFC 9051 §11.1", "RFC 3207"),
    scope=Scope.LOOK,
    views=("outside",),  # from the host itself Dovecot holds every connection for secured
    judge=_judge,
    explains=(Explains((*AVAILABILITY, "auth-cleartext"), when=_no_tls_is_offered),),
    remedies=(
        Remedy(
            "dovecot",
            "<2.4",
            "ssl = required\ndisable_plaintext_auth = yes\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
            settings=("ssl = required", "disable_plaintext_auth = yes"),
            proven=("Debian 11",),
        ),
        Remedy(
            "dovecot",
            ">=2.4",
            "ssl = required\nauth_allow_cleartext = no\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
            settings=("ssl = required", "auth_allow_cleartext = no"),
        ),
        Remedy(
            "postfix",
            "",
            "On submission: postconf -P 'submission/inet/smtpd_tls_security_level=encrypt'. "
            "On port 25: postconf -e smtpd_tls_security_level=may smtpd_tls_auth_only=yes. "
            "Then: postfix check && postfix reload",
        ),
    ),
)
