"""The host could be logged in to."""

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
    if host.failure is not None and host.failure.kind == "unreachable":
        return failed(
            "no login on the host came about",
            [Witness("running", "Ansible", host.failure.reason)],
        )
    if host.status == "unreachable":
        return failed(
            f"nothing of the host answers: {host.reason}",
            [Witness("outside", vantage, host.reason or "") for vantage, _ in host.probes],
        )
    if isinstance(host.inside, Missing) and host.failure is None:
        return not_applicable("no login on the host was to be made")
    return passed("the host was logged in to")


def _nothing_to_judge(case: Case, other: Verdict) -> bool:
    failure = case.host.failure
    return case.host.status == "unreachable" or bool(failure and failure.reason in other.detail)


CHECK = Check(
    id="host-unreachable",
    title="The host could not be reached",
    severity=Severity.HIGH,
    rationale="Nothing is known of the inside of a host that cannot be logged in to: it may be "
    "down, renamed, or closed to the control node.",
    references=(
        "https://docs.ansible.com/ansible-core/2.19/inventory_guide/connection_details.html",
    ),
    scope=Scope.HOST,
    judge=_judge,
    always=True,
    explains=(Explains((), Outcome.NOT_ASSESSED, when=_nothing_to_judge),),
)
