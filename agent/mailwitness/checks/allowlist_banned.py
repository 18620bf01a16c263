"""Nobody on an allowlist is banned at the moment."""

import shlex
from collections.abc import Iterator

from mailwitness.checks._allowlists import is_ban, lists, settled, witnesses
from mailwitness.checks._availability import AVAILABILITY, nobody_gets_through
from mailwitness.checks._firewall_remedies import TRIED
from mailwitness.correlate.allowlist import sources
from mailwitness.correlate.gates import mail_bans
from mailwitness.evidence.host import HostEvidence
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    Witness,
    failed,
    few,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    found = lists(case)
    if not found:
        return not_applicable("no allowlist names this port")
    said = [*_by_fail2ban(case), *_by_filter(case)]
    if said:
        return failed("a listed address is banned right now", dict.fromkeys(said))
    settled(found)
    jails = known(_inside(case).access_control.fail2ban)
    if jails is None:
        return passed("fail2ban is not there, and no rule of a banning program holds them off")
    return passed(f"{len(jails)} jails of fail2ban ban none of them")


def _inside(case: Case) -> HostEvidence:
    return known(case.host.inside)


def _by_filter(case: Case) -> list[Witness]:
    banned = [access for answer in lists(case) for access in answer.listed if is_ban(access)]
    return list(witnesses(banned))


def _by_fail2ban(case: Case) -> list[Witness]:
    return [
        Witness("filtered", f"fail2ban, jail {jail}", f"{few(bans)} banned")
        for jail, bans in _bans(case)
    ]


def _bans(case: Case) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The jails that ban listed addresses, each with the bans."""
    listed = [answer.allowlist for answer in lists(case)]
    for family in (4, 6):
        yield from mail_bans(_inside(case), family, sources(listed, family))


def _advise(case: Case) -> tuple[Remedy, ...]:
    undo = [
        f"fail2ban-client set {shlex.quote(jail)} unbanip {ban}"
        for jail, bans in _bans(case)
        for ban in bans
    ]
    return (Remedy("fail2ban", "", "\n".join(undo)),) if undo else ()


CHECK = Check(
    id="allowlist-banned",
    title="An address of the allowlist is banned right now",
    severity=Severity.HIGH,
    relay_severity=Severity.HIGH,
    rationale="A ban that a failed login brought about keeps the whole service out until it ends, "
    "and comes back with the next one.",
    references=("jail.conf(5): ignoreip",),
    scope=Scope.ENDPOINT,
    judge=_judge,
    advise=_advise,
    advice_tried=TRIED,
    always=True,
    explains=(Explains(AVAILABILITY, when=nobody_gets_through),),
    views=("filtered",),
    remedies=(
        Remedy(
            "",
            "",
            "Put the listed networks on the ignoreip of the jails, in /etc/fail2ban/jail.local,\n"
            "then: fail2ban-client reload",
        ),
    ),
)
