"""The engine against what real kernels answered to real SYNs."""

from collections import Counter

import pytest

from mailwitness.firewall.reach import read
from mailwitness.firewall.verdict import Answer
from tests.firewall.cases import Case, load

CASES = load()
TRACED = 8  # questions of each case


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_no_definite_answer_differs_from_the_kernel(case: Case) -> None:
    for query, part in case.answers():
        if part.answer is not Answer.UNDECIDED:
            assert (part.answer is Answer.ADMITTED) == query.admitted, (query, str(part.decided_by))
        else:
            assert part.reason


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_trace_ends_as_the_kernel_said(case: Case) -> None:
    firewall = read(case.capture)
    for query in case.queries[:: len(case.queries) // TRACED + 1]:
        place = (query.address, query.port, query.interface)
        trace = firewall.trace(case.network, query.source, *place)
        assert trace.result.answer is Answer.UNDECIDED or query.admitted == (
            trace.result.answer is Answer.ADMITTED
        )


def test_less_than_a_twentieth_is_undecided() -> None:
    parts = [part for case in CASES.values() for _, part in case.answers()]
    undecided = [part for part in parts if part.answer is Answer.UNDECIDED]
    for reason, count in Counter(part.reason for part in undecided).most_common():
        print(f"{count:6} undecided: {reason}")
    assert len(undecided) < 0.05 * len(parts)
    assert len(parts) > 20_000
