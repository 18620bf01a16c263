"""The certificate that a client gets for a name is one for that name."""

from mailwitness.checks._certificate_remedies import install
from mailwitness.correlate.certificate import parse
from mailwitness.policy.check import Case, Check, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    session = case.session
    if not session.offers_tls:
        return not_applicable("no TLS is offered")
    names = case.host.plan.names
    if not names:
        raise NotKnownError("what clients call this host is not known: set mailwitness_names")
    chains = {chain.server_name: chain for chain in session.chains}
    bad = []
    for name in names:
        if name not in chains:
            raise NotKnownError(f"the certificate served for {name} was not seen")
        leaf = known(parse(known(chains[name].leaf)))
        if not leaf.covers(name):
            stated = ", ".join(leaf.names) or "no name at all in subjectAltName"
            bad.append(case.says(f"for {name}: {leaf.subject}, valid for {stated}"))
    if bad:
        return failed("the certificate is not for the name that clients use", bad)
    return passed(f"valid for {', '.join(names)}")


CHECK = Check(
    id="certificate-name-mismatch",
    title="The certificate is for another name",
    severity=Severity.HIGH,
    rationale="A client compares the name it was told to connect to with those in the "
    "certificate; where none fits it must take the server for another one.",
    references=("RFC 7817 §3", "RFC 9525 §6"),
    scope=Scope.LOOK,
    judge=_judge,
    remedies=install(
        dovecot=("Debian 11",), dovecot_2_4=("Debian 13",), postfix=("Debian 11", "Debian 13")
    ),
)
