"""Sets of integers as sorted disjoint intervals: source addresses, and every other packet field."""

import socket
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WIDTH = {4: 32, 6: 128}
_OCTETS, _OCTET_BITS, _HIGHEST_OCTET = 4, 8, 255


@dataclass(slots=True, unsafe_hash=True)  # frozen takes twice the time: a host has thousands
class IntervalSet:
    """A set of integers from 0 up, as the sorted points where membership changes.

    `(5, 8, 20)` holds 5, 6, 7 and everything from 20 up: an odd number of points leaves the last
    interval open. An integer is in the set if the number of points up to it is odd, so a set is
    asked by bisection, and its complement differs in one point only.
    """

    points: tuple[int, ...]

    def __contains__(self, value: int) -> bool:
        return bisect_right(self.points, value) % 2 == 1

    def __bool__(self) -> bool:
        return bool(self.points)

    def __invert__(self) -> "IntervalSet":
        if self.points and self.points[0] == 0:
            return IntervalSet(self.points[1:])
        return IntervalSet((0, *self.points))

    def __and__(self, other: "IntervalSet") -> "IntervalSet":
        """The part in both. Costs the smaller one's intervals, a bisection each, and the result."""
        small, large = (self, other) if len(self.points) <= len(other.points) else (other, self)
        if not small.points or large.points == EVERYTHING.points:
            return small
        if small.points == EVERYTHING.points:
            return large
        if len(small.points) == 2:  # noqa: PLR2004 - one interval, as most are
            return IntervalSet(tuple(_between(large.points, *small.points)))
        cut: list[int] = []
        for low, high in _pairs(small.points):
            cut += _between(large.points, low, high)
        return IntervalSet(tuple(cut))

    def __sub__(self, other: "IntervalSet") -> "IntervalSet":
        return self & ~other if self.points and other.points else self

    def __or__(self, other: "IntervalSet") -> "IntervalSet":
        if not self.points or not other.points:
            return self if self.points else other
        return ~(~self & ~other)

    def overlaps(self, other: "IntervalSet") -> bool:
        """Whether they have any member in common."""
        return bool(self & other)

    def covers(self, other: "IntervalSet") -> bool:
        """Whether every member of the other is in this one."""
        return not other - self

    def intervals(self, width: int) -> Iterator[tuple[int, int]]:
        """First and last of each interval, of the integers of so many bits."""
        for low, high in _pairs(self.points):
            if low >> width:
                return
            yield low, (1 << width) - 1 if high is None else min(high - 1, (1 << width) - 1)

    def only(self) -> int | None:
        """The member, if there is exactly one."""
        points = self.points
        return points[0] if len(points) == 2 and points[1] == points[0] + 1 else None  # noqa: PLR2004


def _pairs(points: tuple[int, ...]) -> Iterator[tuple[int, int | None]]:
    """Start and end (exclusive; None where open) of each interval."""
    for index in range(0, len(points) - 1, 2):
        yield points[index], points[index + 1]
    if len(points) % 2:
        yield points[-1], None


def _between(points: tuple[int, ...] | list[int], low: int, high: int | None) -> list[int]:
    """The points of the part from low to below high."""
    first = bisect_right(points, low)
    last = len(points) if high is None else bisect_left(points, high)
    part = [low] if first % 2 else []
    part += points[first:last]
    if last % 2 and high is not None:
        part.append(high)
    return part


NOTHING = IntervalSet(())
EVERYTHING = IntervalSet((0,))


def single(value: int) -> IntervalSet:
    """The set of one integer."""
    return IntervalSet((value, value + 1))


def between(first: int, last: int) -> IntervalSet:
    """Both ends included, as every tool writes its ranges; nothing if they are reversed."""
    return IntervalSet((first, last + 1)) if first <= last else NOTHING


def prefix(address: int, length: int, width: int) -> IntervalSet:
    """A network; bits of the address beyond the prefix are ignored, as the kernel masks them."""
    free = width - length
    low = address >> free << free
    return IntervalSet((low, low + (1 << free)))


def masked(mask: int, values: IntervalSet, width: int) -> IntervalSet | None:
    """The integers whose `&` with the mask is among the values.

    None where that would take too many intervals: a mask with holes picks one block for every
    combination of the bits in the holes.
    """
    full = (1 << width) - 1
    free = (mask & -mask).bit_length() - 1 if mask else width
    if mask == full >> free << free:
        blocks = []
        for low, last in values.intervals(width):
            first = -(-low >> free) << free
            blocks.append((first, ((last >> free) << free) + (1 << free)))
        return union(IntervalSet(block) for block in blocks if block[0] < block[1])
    wanted = values.only()
    if wanted is None:
        return None
    if wanted & ~mask:
        return NOTHING
    holes = [1 << bit for bit in range(free, width) if not mask >> bit & 1]
    if len(holes) > MOST_HOLES:
        return None
    starts = [wanted]
    for hole in holes:
        starts += [start | hole for start in starts]
    return union(IntervalSet((start, start + (1 << free))) for start in starts)


MOST_HOLES = 14


def union(sets: Iterable[IntervalSet]) -> IntervalSet:
    """All of them together, in one sort: n log n in the number of intervals."""
    filled = [each for each in sets if each.points]
    if len(filled) == 1:
        return filled[0]
    spans: list[tuple[int, int]] = []
    open_from: int | None = None
    for each in filled:
        for low, high in _pairs(each.points):
            if high is not None:
                spans.append((low, high))
            elif open_from is None or low < open_from:
                open_from = low
    spans.sort()
    points: list[int] = []
    for low, high in spans:
        if points and low <= points[-1]:
            points[-1] = max(points[-1], high)
        else:
            points += (low, high)
    whole = IntervalSet(tuple(points))
    return whole if open_from is None else whole | IntervalSet((open_from,))


class Remainder:
    """What is left of a set while one rule after the other takes its share.

    A rule costs the number of its own intervals, not of those that are left: the points stand in
    short lists, of whole intervals each, that are changed in place.
    """

    __slots__ = ("_buckets", "_starts")

    def __init__(self, members: IntervalSet) -> None:
        self._fill(members)

    def _fill(self, members: IntervalSet) -> None:
        points = list(members.points)
        if len(points) % 2:
            points.append(OPEN_END)
        self._buckets = [points[at : at + BUCKET] for at in range(0, len(points), BUCKET)]
        self._starts = [bucket[0] for bucket in self._buckets]

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def _size(self) -> int:
        return sum(map(len, self._buckets))

    def members(self) -> IntervalSet:
        """All that is left."""
        points = [point for bucket in self._buckets for point in bucket]
        if points and points[-1] == OPEN_END:
            points.pop()
        return IntervalSet(tuple(points))

    def common(self, wanted: IntervalSet) -> IntervalSet:
        """The part of what is left that is wanted; it stays."""
        if wanted is EVERYTHING:
            return self.members()
        if len(wanted.points) > FEW and len(wanted.points) * SIMILAR > self._size():
            return self.members() & wanted
        part: list[int] = []
        for low, high in _pairs(wanted.points):
            end = OPEN_END if high is None else high
            for at in self._touched(low, end):
                part += _between(self._buckets[at], low, end)
        if part and part[-1] == OPEN_END:
            part.pop()
        return IntervalSet(tuple(part))

    def discard(self, unwanted: IntervalSet) -> None:
        """Takes it away."""
        if unwanted is EVERYTHING:
            self._fill(NOTHING)
        elif len(unwanted.points) > FEW:
            self._fill(self.members() - unwanted)
        else:
            for low, high in _pairs(unwanted.points):
                self._cut(low, OPEN_END if high is None else high)

    def _touched(self, low: int, high: int) -> range:
        """The buckets that may hold a part of the interval."""
        first = max(bisect_right(self._starts, low) - 1, 0)
        return range(first, max(bisect_left(self._starts, high), first))

    def _cut(self, low: int, high: int) -> None:
        for at in reversed(self._touched(low, high)):
            points = self._buckets[at]
            first = bisect_left(points, low)
            last = bisect_right(points, high)
            edges = [low] if first % 2 else []
            if last % 2:
                edges.append(high)
            points[first:last] = edges
            halves = [points] if len(points) <= 2 * BUCKET else [points[:BUCKET], points[BUCKET:]]
            halves = halves if points else []
            self._buckets[at : at + 1] = halves
            self._starts[at : at + 1] = [half[0] for half in halves]

    def add(self, members: IntervalSet) -> None:
        """Puts some back."""
        self._fill(self.members() | members)


# Above all members: ends the last interval of a bucket, where that is open.
OPEN_END = 1 << 200
BUCKET = 1024  # points, an even number
SIMILAR = 4  # times as many points, up to which a whole pass is faster than single look-ups
FEW = 16  # points from which on a new list is faster than many changes of the old one


def parse_address(text: str) -> tuple[int, int]:
    """Family (4 or 6) and value. Raises ValueError."""
    family, kind = (6, socket.AF_INET6) if ":" in text else (4, socket.AF_INET)
    try:
        return family, int.from_bytes(socket.inet_pton(kind, text), "big")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"not an address: {text[:60]!r}") from error


def format_address(family: int, value: int) -> str:
    """As the system writes it."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6  # noqa: PLR2004
    return socket.inet_ntop(kind, value.to_bytes(WIDTH[family] // 8, "big"))


def leading_octets(text: str) -> tuple[int, IntervalSet] | None:
    """The IPv4 addresses that begin with ``192.0.2``, and the bits of that; None: no such thing.

    So tcp wrappers (hosts_access(5), with a dot behind) and Postfix (access(5)) write networks.
    """
    octets = text.split(".")
    if len(octets) >= _OCTETS or not all(
        each.isdecimal() and int(each) <= _HIGHEST_OCTET for each in octets
    ):
        return None
    bits = _OCTET_BITS * len(octets)
    value = int.from_bytes(bytes(map(int, octets)).ljust(_OCTETS, b"\0"), "big")
    return bits, prefix(value, bits, WIDTH[4])


def parse_network(text: str) -> tuple[int, IntervalSet]:
    """Family and members of an address, with or without `/prefix` or `/mask`. Raises ValueError."""
    address, slash, length = text.partition("/")
    family, value = parse_address(address)
    width = WIDTH[family]
    if not slash:
        return family, single(value)
    if length.isdecimal() and int(length) <= width:
        return family, prefix(value, int(length), width)
    mask_family, mask = parse_address(length)
    if mask_family != family:
        raise ValueError(f"not a network: {text[:60]!r}")
    members = masked(mask, single(value & mask), width)
    if members is None:
        raise ValueError(f"a mask with too many holes: {text[:60]!r}")
    return family, members
