"""A port that is meant for its allowlists alone admits nobody else."""

from mailwitness.checks._allowlists import lists, not_known, settled, witnesses
from mailwitness.checks._firewall_remedies import TRIED, shut
from mailwitness.correlate.allowlist import ListAnswer
from mailwitness.firewall.verdict import Answer
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, few, not_applicable, passed


def _judge(case: Case) -> Verdict:
    answer = _exclusive(case)
    if answer is None:
        return not_applicable("no exclusive allowlist names this port")
    settled([answer])
    admitted = [access for access in answer.strangers if access.share.answer is Answer.ADMITTED]
    if answer.others == "everyone":
        families = {access.way.family for access in answer.strangers} - {*answer.open_families}
        by = f" by IPv{answer.open_families[0]}" if families else ""
        return failed(f"everyone is admitted{by}", witnesses(admitted))
    if admitted:
        return failed(f"admitted, too: {few(answer.admitted_others)}", witnesses(admitted))
    not_known(answer.strangers)
    return passed(
        "nobody outside the allowlists of the port is admitted", witnesses(answer.strangers)
    )


def _exclusive(case: Case) -> ListAnswer | None:
    """Strangers are the same to each list of a port."""
    return next((answer for answer in lists(case) if answer.allowlist.exclusive), None)


def _advise(case: Case) -> tuple[Remedy, ...]:
    answer = _exclusive(case)
    if answer is None:
        return ()
    listed = dict.fromkeys(cidr for each in lists(case) for cidr in each.allowlist.cidrs)
    return shut(case, listed, answer.strangers)


CHECK = Check(
    id="allowlist-open",
    title="A port that is meant for an allowlist admits others",
    severity=Severity.HIGH,
    relay_severity=Severity.HIGH,
    rationale="The inventory says that nobody outside the lists may reach this port, and the "
    "packet filter lets others in.",
    references=("mailwitness_allowlists of the inventory: exclusive",),
    scope=Scope.ENDPOINT,
    judge=_judge,
    advise=_advise,
    advice_tried=TRIED,
    always=True,
    views=("filtered",),
)
