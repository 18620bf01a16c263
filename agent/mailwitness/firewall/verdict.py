"""What is said of a port: who is admitted, who is blocked, what is undecided, and by which rule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from mailwitness.firewall.addresses import (
    WIDTH,
    IntervalSet,
    format_address,
    parse_address,
)


class Answer(StrEnum):
    """What becomes of a connection attempt."""

    ADMITTED = "admitted"
    BLOCKED = "blocked"
    UNDECIDED = "undecided"


class Layer(StrEnum):
    """What kind of thing decided."""

    RULE = "rule"
    POLICY = "policy"
    LISTENER = "listener"
    ROUTING = "routing"
    SERVICE = "service"  # what the daemon itself lets in
    OPEN = "no filter"


class Decider(NamedTuple):
    """The rule, policy or other layer that decided, so that an administrator finds it."""

    layer: Layer
    text: str
    source: str = ""  # "nft", "iptables-legacy", ...
    family: str = ""
    table: str = ""
    chain: str = ""
    place: str = ""  # "handle 7" or "line 12"

    def __str__(self) -> str:
        if not self.table:
            return self.text
        where = " ".join(filter(None, (self.source, self.family, self.table, self.chain)))
        return f"{where}{f' {self.place}' if self.place else ''}: {self.text}"


class Share(NamedTuple):
    """Source addresses that fare alike, by one rule. The reason is empty unless undecided."""

    answer: Answer
    sources: IntervalSet
    reason: str
    decided_by: Decider

    @property
    def why(self) -> str:
        """The reason, to stand behind the answer in a sentence; else nothing."""
        return f" ({self.reason})" if self.reason else ""

    def within(self, sources: IntervalSet) -> "Share":
        """The part of it that is among these; may be empty."""
        return Share(self.answer, self.sources & sources, self.reason, self.decided_by)


@dataclass(frozen=True)
class Reachability:
    """The answer for every source address of the family: each is in one share, none is empty."""

    family: int
    address: str
    port: int
    interface: str
    shares: tuple[Share, ...]

    def of(self, source: str) -> Share:
        """The share that holds the source. Raises ValueError for one of the other family."""
        family, value = parse_address(source)
        if family != self.family:
            raise ValueError(f"not an IPv{self.family} address: {source}")
        return next(share for share in self.shares if value in share.sources)

    def within(self, sources: IntervalSet) -> tuple[Share, ...]:
        """The shares of these sources only, cut to them, by their lowest address."""
        return in_order(share.within(sources) for share in self.shares)


def in_order(shares: Iterable[Share]) -> tuple[Share, ...]:
    """Those that hold any address, by the lowest."""
    return tuple(
        sorted((share for share in shares if share.sources), key=lambda share: share.sources.points)
    )


def networks(family: int, members: IntervalSet) -> Iterable[str]:
    """The fewest CIDR networks that make up the set, in order."""
    return (_network(family, *block) for block in _blocks(WIDTH[family], members))


@lru_cache(maxsize=256)  # a host's ports mostly divide the sources alike
def first_networks(family: int, members: IntervalSet, most: int) -> tuple[tuple[str, ...], int]:
    """At most so many of them, and how many more there are, which nobody writes out."""
    blocks = _blocks(WIDTH[family], members)
    listed = tuple(_network(family, *block) for block in islice(blocks, most))
    return listed, _how_many(WIDTH[family], members) - len(listed)


def _how_many(width: int, members: IntervalSet) -> int:
    """Of them, without making them."""
    return sum(up.bit_count() + down.bit_count() for _, up, down in _halves(width, members))


def _blocks(width: int, members: IntervalSet) -> Iterator[tuple[int, int]]:
    """The first address of each network, and how many of its bits are free."""
    for low, up, down in _halves(width, members):
        at, left = low, up
        while left:
            free = (left & -left).bit_length() - 1
            yield at, free
            at += 1 << free
            left &= left - 1
        left = down
        while left:
            free = left.bit_length() - 1
            yield at, free
            at += 1 << free
            left ^= 1 << free


def _halves(width: int, members: IntervalSet) -> Iterator[tuple[int, int, int]]:
    """The start of each interval, how far it is to its roundest number, and from that to its end.

    Each bit of these distances is a network: they grow up to the roundest number, and then shrink.
    """
    for low, last in members.intervals(width):
        end = last + 1
        free = (low ^ end).bit_length() - 1
        roundest = end >> free << free
        yield low, roundest - low, end - roundest


@lru_cache(maxsize=4096)  # those around a fleet's own networks are the same for its hosts
def _network(family: int, low: int, free: int) -> str:
    return f"{format_address(family, low)}/{WIDTH[family] - free}"


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One thing that happened to the packet of one source on its way.

    `matched` is "yes" or "perhaps"; `effect` says what followed, in words.
    """

    hook: str
    decider: Decider
    matched: str
    effect: str
    reply: bool


@dataclass(frozen=True)
class Trace:
    """The way of one source's SYN, and of the answer to it, rule by rule."""

    source: str
    result: Share
    steps: tuple[TraceStep, ...]
