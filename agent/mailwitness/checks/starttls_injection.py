"""What somebody slips in behind STARTTLS has no effect inside TLS."""

from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, known, not_applicable, passed


def _judge(case: Case) -> Verdict:
    session = case.session
    if session.starttls is None:
        return not_applicable("TLS from the first byte")
    if session.starttls.state == "not-offered":
        return not_applicable("no TLS is offered")
    injection = known(session.injection)
    if injection is None:
        return not_applicable("no STARTTLS")
    if known(injection.accepted):
        return failed(
            "a command sent in clear is obeyed inside TLS",
            [case.says(f"a NOOP behind STARTTLS is answered inside TLS: {injection.proof}")],
        )
    return passed("a command sent in clear behind STARTTLS is not obeyed", [])


CHECK = Check(
    id="starttls-injection",
    title="Commands can be slipped into TLS before it begins",
    severity=Severity.HIGH,
    rationale="Somebody on the way puts commands of their own behind STARTTLS; the server carries "
    "them out as if the client had sent them inside TLS, where they can take over the "
    "client's login or mail.",
    references=("RFC 3207 §6", "CVE-2011-0411", "CVE-2021-33515"),
    scope=Scope.LOOK,
    views=("outside",),  # the host does not ask itself
    judge=_judge,
    relay_severity=Severity.MEDIUM,
    remedies=(
        Remedy("dovecot", "", "Upgrade: 2.3.14.1 and newer throw away what comes with STARTTLS."),
        Remedy("postfix", "", "Upgrade: 2.8, 2.7.3 and newer throw away what comes with STARTTLS."),
        Remedy("", "", "A proxy or mail gateway in front of the server: upgrade that."),
    ),
)
