"""No waiver for the host has run out."""

from mailwitness.checks._waivers import judge
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict


def _judge(case: Case) -> Verdict:
    return judge(case, "expired", "a waiver has expired, and what it waived fails again")


CHECK = Check(
    id="waiver-expired",
    title="A waiver has expired",
    severity=Severity.MEDIUM,
    rationale="Somebody agreed to bear a failure until a day that has passed: it is due to be "
    "put right, or to be agreed upon anew.",
    references=("docs/waivers.md",),
    scope=Scope.WAIVERS,
    judge=_judge,
    always=True,
    remedies=(
        Remedy(
            "",
            "",
            "Put right what it waived and take the entry out of the file, or have its owner "
            "agree to a later day in `expires`.",
        ),
    ),
)
