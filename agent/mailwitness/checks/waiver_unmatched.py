"""Every waiver for the host waives something."""

from mailwitness.checks._waivers import judge
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict


def _judge(case: Case) -> Verdict:
    return judge(case, "matches nothing", "a waiver waives nothing")


CHECK = Check(
    id="waiver-unmatched",
    title="A waiver matches no failure",
    severity=Severity.LOW,
    rationale="What it waived has been put right, or it never matched: left in place, it would "
    "hide the same failure when it comes back.",
    references=("docs/waivers.md",),
    scope=Scope.WAIVERS,
    judge=_judge,
    always=True,
    remedies=(Remedy("", "", "Take the entry out of the file, or correct its endpoint or hosts."),),
)
