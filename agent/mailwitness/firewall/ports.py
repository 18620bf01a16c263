"""Which ports the packet filters cannot tell apart, so that they are asked about one of them."""

from collections.abc import Iterator

from mailwitness.firewall.addresses import IntervalSet, union
from mailwitness.firewall.network import Network
from mailwitness.firewall.ruleset import (
    AllOrAny,
    Content,
    Field,
    Key,
    Match,
    Ruleset,
    Selector,
    SetMark,
    Step,
    Translate,
    VerdictMap,
)

_PORTS = frozenset({Field.SPORT, Field.DPORT, Field.CT_SPORT, Field.CT_DPORT})


class Ports:
    """The ports of a ruleset, in groups of those that are in the same sets that its rules name."""

    def __init__(self, ruleset: Ruleset) -> None:
        steps = [
            step
            for table in ruleset.tables
            for chain in table.chains.values()
            for rule in chain.rules
            for step in rule.steps
        ]
        # A translation of the destination may go by the port, and a mask by any bit of it.
        self._told_apart = any(map(_may_tell_all_apart, steps))
        self._sets = frozenset(members for step in steps for members in _sets(step))

    def group(self, network: Network, family: int, address: int, port: int) -> tuple[object, ...]:
        """Ports of one group have one answer, but that where nothing listens it names the port."""
        if self._told_apart:
            return "port", port
        listens = (network.listens(family, address, port, here=here) for here in (True, False))
        return "group", *listens, *(port in members for members in self._sets)


def _may_tell_all_apart(step: Step) -> bool:
    if isinstance(step, Translate) and not step.source:
        return True
    return any(
        isinstance(key, Selector) and key.field in _PORTS and key.mask is not None
        for keys, _ in _asked(step)
        for key in keys
    )


def _sets(step: Step) -> Iterator[IntervalSet]:
    for keys, content in _asked(step):
        for column, key in enumerate(keys):
            if isinstance(key, Selector) and key.field in _PORTS:
                named = [row[column] for row in content.rows]
                # Alone it may be in any row; beside others, each row has others of its own.
                yield from named if len(keys) > 1 else [union(named)]


def _asked(step: Step) -> Iterator[tuple[tuple[Key, ...], Content]]:
    """The keys of a step, each time with what they are compared to."""
    match step:
        case Match(keys, content):
            yield keys, content
        case AllOrAny(matches):
            yield from ((each.keys, each.content) for each in matches)
        case VerdictMap(keys, cases):
            yield from ((keys, content) for content, _ in cases)
        case SetMark(_, keys, cases):
            yield from ((keys, content) for content, _ in cases)
        case Translate(keys, cases):
            yield from ((keys, content) for content, _ in cases)
        case _:
            return
