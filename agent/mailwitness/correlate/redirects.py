"""Ports that the packet filter leads to another port: clients reach a service by these, too."""

from collections.abc import Collection, Iterator

from mailwitness.firewall.addresses import IntervalSet
from mailwitness.firewall.ruleset import Field, Match, Rule, Ruleset, Selector, Translate

_PORT_BITS = 16
_MOST = 64  # ports of one rule: a range of thousands is a proxy's matter, not a mail port's
_DPORT = (Selector(Field.DPORT),)


def redirected(ruleset: Ruleset, targets: Collection[int]) -> dict[int, int]:
    """The ports that redirect or dnat lead to one of the targets, each with that target."""
    return {
        port: target
        for table in ruleset.tables
        for chain in table.chains.values()
        for rule in chain.rules
        for port, target in _of_rule(rule, targets)
        if port != target
    }


def _of_rule(rule: Rule, targets: Collection[int]) -> Iterator[tuple[int, int]]:
    asked: list[int] = []
    for step in rule.steps:
        if isinstance(step, Match) and step.keys == _DPORT and not step.negated:
            asked = [port for row in step.content.rows for port in _ports(row[0])]
        elif isinstance(step, Translate) and not step.source:
            for content, target in step.cases:
                by_map = step.keys == _DPORT
                ports = (
                    [port for row in content.rows for port in _ports(row[0])] if by_map else asked
                )
                for goal in _ports(target.ports) if target.ports else ():
                    yield from ((port, goal) for port in ports if goal in targets)


def _ports(members: IntervalSet) -> list[int]:
    found: list[int] = []
    for first, last in members.intervals(_PORT_BITS):
        found += range(first, min(last, first + _MOST) + 1)
        if len(found) > _MOST:
            return []
    return found
