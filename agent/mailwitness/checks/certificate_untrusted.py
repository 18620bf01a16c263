"""The served chain leads to a CA that the client trusts."""

from mailwitness.checks._certificate_remedies import install
from mailwitness.checks._served import moment, served
from mailwitness.correlate import trust
from mailwitness.policy.check import Case, Check, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, known, not_applicable, passed


def _judge(case: Case) -> Verdict:
    certificates = served(case.session)
    if not certificates:
        return not_applicable("no TLS is offered")
    roots = known(trust.store(case.host.plan.trust_store))
    problems = []
    self_signed = 0
    for certificate in certificates:
        problem = trust.chain_problem(
            certificate.leaf, tuple(certificate.intermediates()), roots, moment(case)
        )
        if problem and certificate.leaf.self_signed:
            self_signed += 1
        elif problem:
            problems.append(
                case.says(f"{certificate.where}, issued by {certificate.leaf.issuer}: {problem}")
            )
    if problems:
        return failed("no chain to a trusted CA can be built from what is served", problems)
    if self_signed == len(certificates):
        return not_applicable("self-signed, which certificate-self-signed judges")
    return passed("the chain leads to a trusted CA")


CHECK = Check(
    id="certificate-untrusted",
    title="The certificate's issuer is not trusted",
    severity=Severity.HIGH,
    rationale="A client that verifies cannot connect; one that is told not to verify can be "
    "led to anybody's server.",
    references=("RFC 5280 §6", "RFC 8314 §5.2"),
    scope=Scope.LOOK,
    judge=_judge,
    dated=True,
    remedies=install(postfix=()),
)
