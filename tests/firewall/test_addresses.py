"""Interval sets and what is left of them, held to Python's own sets of integers."""

from hypothesis import given
from hypothesis import strategies as st

from mailwitness.firewall import addresses
from mailwitness.firewall.addresses import IntervalSet, Remainder

HIGHEST = 60
POINTS = st.lists(st.integers(0, HIGHEST), unique=True, max_size=24).map(
    lambda points: IntervalSet(tuple(sorted(points)))
)


def held(members: IntervalSet) -> set[int]:
    """With some beyond the highest point, for intervals that stay open."""
    return {value for value in range(HIGHEST + 3) if value in members}


@given(POINTS, st.lists(st.tuples(st.booleans(), POINTS), max_size=12), st.integers(1, 3))
def test_what_is_left_is_what_was_not_taken(
    start: IntervalSet, steps: list[tuple[bool, IntervalSet]], half: int
) -> None:
    kept = addresses.BUCKET, addresses.FEW
    addresses.BUCKET, addresses.FEW = 2 * half, 8  # so that few points take many buckets
    try:
        rest, expected = Remainder(start), held(start)
        for puts_back, members in steps:
            assert held(rest.common(members)) == expected & held(members)
            if puts_back:
                rest.add(members)
                expected |= held(members)
            else:
                rest.discard(members)
                expected -= held(members)
            assert held(rest.members()) == expected
            assert bool(rest) == bool(rest.members())
    finally:
        addresses.BUCKET, addresses.FEW = kept


@given(POINTS, POINTS)
def test_set_operations(one: IntervalSet, other: IntervalSet) -> None:
    assert held(one & other) == held(one) & held(other)
    assert held(one | other) == held(one) | held(other)
    assert held(one - other) == held(one) - held(other)
    assert held(addresses.union([one, other])) == held(one) | held(other)
