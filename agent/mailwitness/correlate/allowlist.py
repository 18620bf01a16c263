"""Allowlists held against what the filters of a host do: who is missing, who else gets in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mailwitness.correlate.filtered import Filtered, all_admitted, shares
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.run import Allowlist
from mailwitness.firewall.addresses import (
    EVERYTHING,
    WIDTH,
    IntervalSet,
    parse_network,
    union,
)
from mailwitness.firewall.verdict import Answer, Reachability, Share, first_networks, networks

Admitted = Literal["full", "partial", "none", "unknown"]
Others = Literal["none", "some", "everyone", "unknown"]


@dataclass(frozen=True)
class Access:
    """What became of the sources of a family on one way in, as far as a question asked."""

    way: Reachability
    share: Share

    def networks(self, most: int) -> tuple[tuple[str, ...], int]:
        """The first of the fewest networks that make up the sources, and how many more."""
        return first_networks(self.way.family, self.share.sources, most)


@dataclass(frozen=True)
class ListAnswer:
    """A list, held against one port."""

    allowlist: Allowlist
    port: int
    filtered: Filtered | Missing
    listed: tuple[Access, ...]  # of the listed sources, on each way that clients take
    strangers: tuple[Access, ...]  # of all others than those of the port's lists, on every way

    @property
    def admitted(self) -> Admitted:
        """Of the listed sources."""
        answers = {access.share.answer for access in self.listed}
        if not answers or answers == {Answer.UNDECIDED}:
            return "unknown"
        if answers == {Answer.ADMITTED}:
            return "full"
        if answers == {Answer.BLOCKED}:
            return "none"
        # Whoever is blocked is so whatever the undecided ones are.
        return "partial" if Answer.BLOCKED in answers else "unknown"

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The listed networks, or their parts, that are blocked on a way that clients take."""
        return self.networks(
            access for access in self.listed if access.share.answer is Answer.BLOCKED
        )

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Those of which it is not known."""
        if isinstance(self.filtered, Missing):
            return self.allowlist.cidrs
        return self.networks(
            access for access in self.listed if access.share.answer is Answer.UNDECIDED
        )

    def networks(self, accesses: Iterable[Access]) -> tuple[str, ...]:
        """The entries of the list that these make up, and the parts of those that they share.

        Addresses that no client can have do not tear an entry apart.
        """
        if isinstance(self.filtered, Missing):
            return ()
        accesses = tuple(accesses)
        found: list[str] = []
        for family in WIDTH:
            members = union(a.share.sources for a in accesses if a.way.family == family)
            rest = members
            for cidr in self.allowlist.cidrs if members else ():
                its_family, entry = parse_network(cidr)
                clients = entry - self.filtered.nobody[family]
                if its_family == family and clients and members.covers(clients):
                    found.append(cidr)
                    rest -= entry
            found += networks(family, rest)
        return tuple(found)

    @cached_property
    def others(self) -> Others:
        """Who else is admitted."""
        answers = {access.share.answer for access in self.strangers}
        if Answer.ADMITTED not in answers:
            return "none" if answers == {Answer.BLOCKED} else "unknown"
        return "everyone" if self.open_families else "some"

    @cached_property
    def open_families(self) -> tuple[int, ...]:
        """The address families, 4 or 6, by which nobody at all is kept out on some way."""
        ways = (group for group in _by_way(self.strangers) if _nobody_kept_out(group))
        return tuple(sorted({group[0].way.family for group in ways}))

    @cached_property
    def admitted_others(self) -> tuple[str, ...]:
        """Their networks."""
        return _together(self.strangers, Answer.ADMITTED)

    @property
    def decided_by(self) -> tuple[str, ...]:
        """What decided of the listed sources, those first who are not admitted."""
        order = (Answer.BLOCKED, Answer.UNDECIDED, Answer.ADMITTED)
        ranked = sorted(self.listed, key=lambda access: order.index(access.share.answer))
        return tuple(dict.fromkeys(str(access.share.decided_by) for access in ranked))


def answers(
    lists: Iterable[Allowlist], port: int, filtered: Filtered | Missing
) -> Iterator[ListAnswer]:
    """Each of these lists that names the port, held against it."""
    of_port = [each for each in lists if port in each.ports]
    if isinstance(filtered, Missing):
        yield from (ListAnswer(each, port, filtered, (), ()) for each in of_port)
        return
    strangers = tuple(_strangers(of_port, filtered)) if of_port else ()
    for each in of_port:
        yield ListAnswer(each, port, filtered, tuple(_listed(each, filtered)), strangers)


def sources(lists: Iterable[Allowlist], family: int) -> IntervalSet:
    """The addresses of that family in these lists."""
    parsed = (parse_network(cidr) for each in lists for cidr in each.cidrs)
    return union(members for its_family, members in parsed if its_family == family)


def _listed(allowlist: Allowlist, filtered: Filtered) -> Iterator[Access]:
    for family in WIDTH:
        wanted = sources([allowlist], family) - filtered.nobody[family]
        for way in filtered.by_clients(family) if wanted else ():
            yield from (Access(way, share) for share in shares(way, wanted))


def _strangers(lists: Iterable[Allowlist], filtered: Filtered) -> Iterator[Access]:
    lists = tuple(lists)
    for way in filtered.ways:
        others = EVERYTHING - sources(lists, way.family)
        yield from (Access(way, share) for share in shares(way, others))


def _together(accesses: Iterable[Access], answer: Answer) -> tuple[str, ...]:
    accesses = tuple(accesses)
    found: list[str] = []
    for family in WIDTH:
        members = union(
            access.share.sources
            for access in accesses
            if access.way.family == family and access.share.answer is answer
        )
        found += networks(family, members)
    return tuple(found)


def _by_way(accesses: Iterable[Access]) -> Iterable[list[Access]]:
    groups: dict[int, list[Access]] = {}
    for access in accesses:
        groups.setdefault(id(access.way), []).append(access)
    return groups.values()


def _nobody_kept_out(accesses: Iterable[Access]) -> bool:
    return all_admitted(access.share for access in accesses)
