"""By which address a host sees a vantage, and what its filter makes of exactly that one."""

import ipaddress
from dataclasses import dataclass

from mailwitness.correlate.filtered import Filtered
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation
from mailwitness.firewall.addresses import NOTHING, parse_address
from mailwitness.firewall.verdict import Answer, Layer, Reachability, Share


def seen_as(seen: Observation, filtered: Filtered) -> str | Missing:
    """The source address that the host sees, or why that is not known.

    The vantage knows its own end. That is what the host sees, too, where both are in one network,
    or where it is a public address; a private one may be translated by a router in between.
    """
    source = seen.reach.source_address
    if isinstance(source, Missing):
        return source
    try:
        family, value = parse_address(source)
    except ValueError as error:
        return Missing(f"the vantage's own address: {error}")
    if value in filtered.nobody.get(family, NOTHING):
        return Missing(f"the vantage is the host itself, or connects from {source} as it does")
    beside = filtered.networks.get(seen.address, NOTHING)
    if value in beside or ipaddress.ip_address(source).is_global:
        return source
    return Missing(
        f"the vantage connects from {source}, which is private and not in the network of "
        f"{seen.address}: a router in between may translate it"
    )


@dataclass(frozen=True)
class Decision:
    """What the host makes of a vantage's connection."""

    share: Share
    way: Reachability
    of: str  # the vantage's address, or "every source" where that is not known and all fare alike

    @property
    def doubt(self) -> str:
        """Why it is undecided."""
        return f"what the host says of {self.of}: {self.share.reason}"

    @property
    def by_daemon(self) -> bool:
        """By its access rules: a daemon answers first and refuses then."""
        return self.share.decided_by.layer is Layer.SERVICE


def decision(seen: Observation, filtered: Filtered) -> Decision | Missing:
    """What the host's filter says of the connection that a vantage tried, and who decided it."""
    ways = [way for way in filtered.ways if way.address == seen.address]
    if not ways:
        return Missing(f"{seen.address} is none of the host's own addresses")
    source = seen_as(seen, filtered)
    if isinstance(source, Missing):
        found = [_of_all(way) for way in ways]
        alike = [each for each in found if each is not None]
        if len(alike) < len(ways):
            return Missing(f"{source.reason}; and not all sources fare alike")
    else:
        alike = [Decision(way.of(source), way, source) for way in ways]
    if len({each.share.answer for each in alike}) > 1:
        return Missing(f"over which interface the vantage comes to {seen.address} is not known")
    share = alike[0].share
    if share.answer is Answer.BLOCKED and share.decided_by.layer is Layer.ROUTING:
        return Missing(f"by its routes the host has no connection with {alike[0].of} at all")
    return alike[0]


def _of_all(way: Reachability) -> Decision | None:
    """Where all sources fare alike."""
    that_could = [each for each in way.shares if each.decided_by.layer is not Layer.ROUTING]
    if len({each.answer for each in that_could}) != 1:
        return None
    return Decision(that_could[0], way, "every source")
