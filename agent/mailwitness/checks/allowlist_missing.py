"""Whoever is on an allowlist of the port can connect to it."""

from mailwitness.checks._allowlists import is_ban, lists, not_known, settled, witnesses
from mailwitness.checks._availability import AVAILABILITY, nobody_gets_through
from mailwitness.checks._firewall_remedies import TRIED, admit
from mailwitness.correlate.allowlist import Access, ListAnswer
from mailwitness.firewall.verdict import Answer
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, few, not_applicable, passed


def _judge(case: Case) -> Verdict:
    found = lists(case)
    if not found:
        return not_applicable("no allowlist names this port")
    settled(found)
    lacking = [answer for answer in found if _shut_out(answer)]
    if lacking:
        details = (
            f"{answer.allowlist.name}: {few(_networks(answer))} cannot connect"
            for answer in lacking
        )
        shut_out = (access for answer in lacking for access in _shut_out(answer))
        return failed("; ".join(details), dict.fromkeys(witnesses(shut_out)))
    listed = [access for answer in found for access in answer.listed if not is_ban(access)]
    not_known(listed)
    if not listed:
        return not_applicable("the host has no address of the families of the list")
    names = ", ".join(answer.allowlist.name for answer in found)
    return passed(f"every network of {names} is admitted", dict.fromkeys(witnesses(listed)))


def _shut_out(answer: ListAnswer) -> list[Access]:
    """Without the banned ones, who are another check's matter."""
    return [
        access
        for access in answer.listed
        if access.share.answer is Answer.BLOCKED and not is_ban(access)
    ]


def _networks(answer: ListAnswer) -> tuple[str, ...]:
    return answer.networks(_shut_out(answer))


def _advise(case: Case) -> tuple[Remedy, ...]:
    missing = dict.fromkeys(cidr for answer in lists(case) for cidr in _networks(answer))
    return admit(case, list(missing))


CHECK = Check(
    id="allowlist-missing",
    title="An address of the allowlist is not admitted",
    severity=Severity.HIGH,
    relay_severity=Severity.HIGH,
    rationale="The service connects from every address that it publishes: where one of them is "
    "not admitted, connections fail now and then, by whichever address is used.",
    references=("mailbox-connector-2017: allowlists", "mailwitness_allowlists of the inventory"),
    scope=Scope.ENDPOINT,
    judge=_judge,
    advise=_advise,
    advice_tried=TRIED,
    always=True,
    explains=(Explains(AVAILABILITY, when=nobody_gets_through),),
    views=("filtered",),
)
