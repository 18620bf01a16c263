"""Dumps that no kernel printed: undecided or a clear error, never a crash, never a guess."""

import contextlib
import json
import random

import pytest

from mailwitness.firewall.reach import Capture, read
from mailwitness.firewall.ruleset import FirewallError
from mailwitness.firewall.verdict import Answer, Reachability
from tests.firewall.cases import load

CASES = load()
NFT = {name: case for name, case in CASES.items() if case.capture.nft}


# A port that a listener of the recorded host stands behind, asked from outside.
HOST = CASES["real-persistent-allow-partial-nft"]
ASKED = next(query for query in HOST.queries if query.admitted)


def answers(nft: str) -> set[Answer]:
    return {share.answer for share in reach(Capture(nft=nft)).shares}


def reach(capture: Capture) -> Reachability:
    return read(capture).reach(HOST.network, ASKED.address, ASKED.port, ASKED.interface)


@pytest.mark.parametrize("cut", [0, 1, 17, 100, 1000])
def test_a_truncated_dump_is_an_error_that_names_the_place(cut: int) -> None:
    text = HOST.capture.nft or ""
    with pytest.raises(FirewallError) as raised:
        read(Capture(nft=text[:cut]))
    assert "nft" in str(raised.value)


def test_what_nobody_captured_leaves_everything_undecided() -> None:
    (part,) = reach(Capture(unread=("nft: not permitted",))).shares
    assert (part.answer, part.reason) == (Answer.UNDECIDED, "nft: not permitted")


def test_random_damage_never_crashes_the_engine() -> None:
    chance = random.Random(993)
    for case in NFT.values():
        text = case.capture.nft or ""
        for _ in range(8):
            damaged = list(text)
            for _ in range(chance.randint(1, 5)):
                at = chance.randrange(len(damaged))
                damaged[at] = chance.choice('{}[]",:0a@-')
            with contextlib.suppress(FirewallError):
                assert answers("".join(damaged))


def rule(*expression: object) -> dict[str, object]:
    place = {"family": "inet", "table": "t", "chain": "input", "handle": 4}
    return {"rule": {**place, "expr": list(expression)}}


def ruleset(*rules: dict[str, object], more: tuple[dict[str, object], ...] = ()) -> str:
    chain: dict[str, object] = {
        "family": "inet",
        "table": "t",
        "name": "input",
        "handle": 1,
        "type": "filter",
    }
    chain |= {"hook": "input", "prio": 0, "policy": "drop"}
    table = {"table": {"family": "inet", "name": "t", "handle": 1}}
    return json.dumps({"nftables": [table, {"chain": chain}, *more, *rules]})


def test_an_unknown_expression_is_undecided() -> None:
    found = answers(ruleset(rule({"nosuch": 1}, {"accept": None})))
    assert Answer.UNDECIDED in found
    assert Answer.ADMITTED not in found  # the martians stay blocked


def test_a_set_that_is_not_there_is_no_admission() -> None:
    left = {"payload": {"protocol": "ip", "field": "saddr"}}
    match = {"match": {"op": "==", "left": left, "right": "@nosuch"}}
    assert Answer.ADMITTED not in answers(ruleset(rule(match, {"accept": None})))


def test_a_loop_of_jumps_ends() -> None:
    loop: dict[str, object] = {
        "chain": {"family": "inet", "table": "t", "name": "loop", "handle": 2}
    }
    again = {"family": "inet", "table": "t", "chain": "loop", "handle": 5}
    back: dict[str, object] = {"rule": {**again, "expr": [{"jump": {"target": "loop"}}]}}
    text = ruleset(rule({"jump": {"target": "loop"}}), back, more=(loop,))
    assert Answer.ADMITTED not in answers(text)
