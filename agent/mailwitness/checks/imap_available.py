"""IMAP over TLS can be had from outside, on 993 or by STARTTLS on 143."""

from mailwitness.checks._availability import IMAP_PORTS, available
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict


def _judge(case: Case) -> Verdict:
    return available(case, "IMAP", IMAP_PORTS)


CHECK = Check(
    id="imap-available",
    title="IMAP over TLS cannot be reached",
    severity=Severity.HIGH,
    rationale="A client outside reads mail by IMAP on port 993, or on 143 after STARTTLS; where "
    "neither answers with TLS there is nothing to connect to.",
    references=("RFC 9051", "RFC 8314 §3.2"),
    scope=Scope.HOST,
    ports=IMAP_PORTS,
    judge=_judge,
    remedies=(
        Remedy(
            "dovecot",
            "<2.4",
            "Set 'ssl = required' and have 'imap' in 'protocols'; see that no 'service imap-login' "
            "block sets 'port = 0' for imaps. Then: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "dovecot",
            ">=2.4",
            "Set 'ssl = required' and 'protocols { imap = yes }'; see that no 'service imap-login' "
            "block sets 'port = 0' for imaps. Then: doveconf -n >/dev/null && doveadm reload",
        ),
    ),
)
