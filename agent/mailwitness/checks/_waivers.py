"""What the checks of waivers share: those that name the host, by what became of them."""

from mailwitness.policy.check import Case
from mailwitness.policy.outcome import Verdict, Witness, failed, not_applicable, passed
from mailwitness.policy.waiver import State


def judge(case: Case, bad: State, problem: str) -> Verdict:
    """Fails where a waiver for this host is in the state `bad`."""
    if not case.waivers:
        return not_applicable("no waiver names this host")
    found = [waiver for waiver, state in case.waivers if state == bad]
    if not found:
        return passed(f"{len(case.waivers)} waivers name this host, none of them such")
    return failed(
        problem,
        [
            Witness(
                "configured",
                waiver.source,
                f"{waiver.check} of {waiver.endpoint or 'all endpoints'}, until {waiver.expires}, "
                f"by {waiver.owner}: {waiver.reason}",
            )
            for waiver in found
        ],
    )
