"""Mail can be submitted over TLS from outside, on 465 or by STARTTLS on 587."""

from mailwitness.checks._availability import SUBMISSION_PORTS, available
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict


def _judge(case: Case) -> Verdict:
    return available(case, "submission", SUBMISSION_PORTS)


CHECK = Check(
    id="smtp-submission-available",
    title="Submission over TLS cannot be reached",
    severity=Severity.HIGH,
    rationale="A client outside sends mail by submission on port 465, or on 587 after STARTTLS; "
    "where neither answers with TLS it must not be used.",
    references=("RFC 6409", "RFC 8314 §3.3"),
    scope=Scope.HOST,
    ports=SUBMISSION_PORTS,
    judge=_judge,
    remedies=(
        Remedy(
            "postfix",
            "",
            "postconf -M 'submission/inet=submission inet n - y - - smtpd'; "
            "postconf -P 'submission/inet/smtpd_tls_security_level=encrypt' "
            "'submission/inet/smtpd_sasl_auth_enable=yes'; postfix check && postfix reload",
        ),
    ),
)
