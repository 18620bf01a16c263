"""Everything that the agent asks of a host could be read."""

from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Explains, Scope
from mailwitness.policy.outcome import (
    Outcome,
    Severity,
    Verdict,
    Witness,
    failed,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    host = case.host
    if host.failure is not None and host.failure.kind == "failed":
        return failed(
            "the host left no evidence", [Witness("running", "the agent", host.failure.reason)]
        )
    if isinstance(host.inside, Missing):
        return not_applicable("the agent did not run on the host")
    if host.gaps:
        return failed(
            f"{len(host.gaps)} things could not be read",
            [
                Witness("running", f"the agent, uid {host.inside.agent.uid}", gap)
                for gap in host.gaps
            ],
        )
    return passed("everything that was asked for could be read")


def _for_want_of_it(case: Case, other: Verdict) -> bool:
    failure = case.host.failure
    lacking = (*case.host.gaps, *((failure.reason,) if failure else ()))
    return any(each.endswith(other.detail) for each in lacking)


CHECK = Check(
    id="evidence-partial",
    title="Not everything could be read on the host",
    severity=Severity.MEDIUM,
    rationale="What could not be read is judged neither good nor bad. Most often a right is "
    "missing: the packet filter, private files and other users' processes need root.",
    references=("docs/security-model.md",),
    scope=Scope.HOST,
    judge=_judge,
    always=True,
    explains=(Explains((), Outcome.NOT_ASSESSED, when=_for_want_of_it),),
)
