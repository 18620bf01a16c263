"""The certificate is not signed by its own key, unless the client trusts it as it is."""

from mailwitness.checks._certificate_remedies import install
from mailwitness.checks._served import moment, served
from mailwitness.correlate import trust
from mailwitness.policy.check import Case, Check, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, known, not_applicable, passed


def _judge(case: Case) -> Verdict:
    certificates = served(case.session)
    if not certificates:
        return not_applicable("no TLS is offered")
    own = [certificate for certificate in certificates if certificate.leaf.self_signed]
    if not own:
        return passed("not self-signed")
    roots = known(trust.store(case.host.plan.trust_store))
    bad = [
        case.says(certificate.where)
        for certificate in own
        if trust.chain_problem(certificate.leaf, (), roots, moment(case))
    ]
    if bad:
        return failed("signed by its own key and not in the trust store", bad)
    return passed("self-signed, and in the trust store")


CHECK = Check(
    id="certificate-self-signed",
    title="The certificate is self-signed",
    severity=Severity.HIGH,
    rationale="Nobody but the server itself says whose certificate this is: a client that "
    "verifies cannot connect, and one with an exception cannot tell it from a forgery.",
    references=("RFC 5280 §6", "RFC 8314 §5.2"),
    scope=Scope.LOOK,
    judge=_judge,
    dated=True,
    remedies=install(dovecot=("Debian 11",), postfix=("Debian 11",)),
)
