"""What is said of a port: who is admitted, who is blocked, what is undecided, and by which rule."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from mailwitness.firewall.addresses import (
    WIDTH,
    IntervalSet,
    format_address,
    parse_address,
    union,
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


@dataclass(frozen=True, slots=True)
class Decider:
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


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive source addresses that fare alike. The reason is empty unless undecided."""

    first: int
    last: int
    answer: Answer
    reason: str
    decided_by: Decider


@dataclass(frozen=True)
class Reachability:
    """The answer for every source address of the family: sorted parts that leave no gap."""

    family: int
    address: str
    port: int
    interface: str
    parts: tuple[Part, ...]

    @cached_property
    def _starts(self) -> list[int]:
        return [part.first for part in self.parts]

    def of(self, source: str) -> Part:
        """The part that holds the source. Raises ValueError for one of the other family."""
        family, value = parse_address(source)
        if family != self.family:
            raise ValueError(f"not an IPv{self.family} address: {source}")
        return self.parts[bisect_right(self._starts, value) - 1]

    def sources(self, answer: Answer) -> IntervalSet:
        """All source addresses with this answer."""
        return union(
            IntervalSet((part.first, part.last + 1)) for part in self.parts if part.answer is answer
        )

    def within(self, sources: IntervalSet) -> tuple[Part, ...]:
        """The parts of these sources only, cut to them: for an allowlist."""
        cut = []
        for first, last in sources.intervals(WIDTH[self.family]):
            for part in self.parts[bisect_right(self._starts, first) - 1 :]:
                if part.first > last:
                    break
                low, high = max(first, part.first), min(last, part.last)
                cut.append(Part(low, high, part.answer, part.reason, part.decided_by))
        return tuple(cut)


def networks(family: int, members: IntervalSet) -> Iterable[str]:
    """The fewest CIDR networks that make up the set, in order."""
    width = WIDTH[family]
    for first, last in members.intervals(width):
        low = first
        while low <= last:
            # As large as the alignment of its start and the end of the interval allow.
            free = min((low & -low).bit_length() - 1 if low else width, width)
            free = min(free, (last - low + 1).bit_length() - 1)
            yield f"{format_address(family, low)}/{width - free}"
            low += 1 << free


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
    result: Part
    steps: tuple[TraceStep, ...]
