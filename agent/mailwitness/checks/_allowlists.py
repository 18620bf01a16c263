"""What the checks of allowlists have in common: the lists of a port, bans, witnesses."""

import re
from collections.abc import Iterable, Iterator

from mailwitness.correlate.allowlist import Access, ListAnswer
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.verdict import Answer
from mailwitness.policy.check import Case
from mailwitness.policy.outcome import NotKnownError, Witness

# How programs that ban addresses name their tables, chains and sets.
_BANNING = re.compile(r"\bf2b\b|fail2ban|sshguard|crowdsec", re.IGNORECASE)


def lists(case: Case) -> tuple[ListAnswer, ...]:
    """The inventory's lists that name the endpoint's port."""
    return case.host.allowlists_of(case.endpoint)


def is_ban(access: Access) -> bool:
    """Whether a program that bans misbehaving addresses keeps these out, for the time being."""
    return access.share.answer is not Answer.ADMITTED and bool(
        _BANNING.search(str(access.share.decided_by))
    )


def witnesses(accesses: Iterable[Access]) -> Iterator[Witness]:
    """Each of them as the packet filter and the daemon's access rules have it."""
    for access in accesses:
        share = access.share
        yield Witness(
            "filtered",
            f"{access.way.address} over {access.way.interface}",
            f"{_few(access)} {share.answer}{share.why} by {share.decided_by}",
        )


def _few(access: Access) -> str:
    shown, more = access.networks(4)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def settled(found: Iterable[ListAnswer]) -> None:
    """Nothing, or out of the check where the filter as a whole is not known."""
    for answer in found:
        if isinstance(answer.filtered, Missing):
            raise NotKnownError(answer.filtered.reason)


def not_known(accesses: Iterable[Access]) -> None:
    """Out of the check where any of these is undecided."""
    reasons = dict.fromkeys(
        f"{_few(access)}: {access.share.reason}"
        for access in accesses
        if access.share.answer is Answer.UNDECIDED
    )
    if reasons:
        raise NotKnownError("; ".join(reasons))
