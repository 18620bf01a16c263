"""The certificate is within its dates."""

from mailwitness.checks._certificate_remedies import install
from mailwitness.checks._served import moment, served
from mailwitness.policy.check import Case, Check, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, not_applicable, passed


def _judge(case: Case) -> Verdict:
    certificates = served(case.session)
    if not certificates:
        return not_applicable("no TLS is offered")
    now = moment(case)
    bad = [
        case.says(
            f"{certificate.where}, valid {certificate.leaf.not_before:%Y-%m-%d} "
            f"to {certificate.leaf.not_after:%Y-%m-%d}"
        )
        for certificate in certificates
        if not certificate.leaf.not_before <= now <= certificate.leaf.not_after
    ]
    if bad:
        return failed("the certificate has expired or is not valid yet", bad)
    last = min(certificate.leaf.not_after for certificate in certificates)
    return passed(f"valid until {last:%Y-%m-%d}")


CHECK = Check(
    id="certificate-expired",
    title="The certificate has expired",
    severity=Severity.CRITICAL,
    rationale="Every client that verifies refuses to connect from the moment it expires.",
    references=("RFC 5280 §4.1.2.5",),
    scope=Scope.LOOK,
    judge=_judge,
    dated=True,
    remedies=install(dovecot=("Debian 12",), postfix=("Debian 12",)),
)
