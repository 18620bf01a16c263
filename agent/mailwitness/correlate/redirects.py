"""Where the packet filter leads a port: to another port, or into another network namespace."""

from collections.abc import Collection, Iterable, Iterator

from mailwitness.correlate.endpoint import Beyond
from mailwitness.evidence.host import NetworkNamespace
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import IntervalSet, parse_address
from mailwitness.firewall.ruleset import (
    Field,
    Match,
    Rule,
    Ruleset,
    Selector,
    Target,
    Translate,
)

_PORT_BITS = 16
_MOST = 64  # ports of one rule: a range of thousands is a proxy's matter, not a mail port's
_DPORT = (Selector(Field.DPORT),)

Translation = tuple[int, Target]  # a port that a rule names, and where it leads its packets


def translations(ruleset: Ruleset) -> Iterator[Translation]:
    """All of its rules; a big ruleset is walked once for all ports."""
    for table in ruleset.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                yield from _of_rule(rule)


def redirected(leads: Iterable[Translation], targets: Collection[int]) -> dict[int, int]:
    """The ports that redirect or dnat lead to one of the targets, each with that target."""
    return {
        port: goal
        for port, target in leads
        for goal in (_ports(target.ports) if target.ports else ())
        if goal in targets and port != goal
    }


def beyond(
    leads: Iterable[Translation],
    namespaces: tuple[NetworkNamespace, ...] | Missing,
    port: int,
) -> tuple[Beyond, ...] | Missing:
    """What listens in other network namespaces where dnat leads the packets of this port."""
    targets = [target for its, target in leads if its == port and target.addresses]
    if isinstance(namespaces, Missing):
        return namespaces if targets else ()
    return tuple(
        Beyond(address, socket)
        for space in namespaces
        for address in (() if isinstance(space.addresses, Missing) else space.addresses)
        for socket in space.sockets
        if any(_leads_to(each, address, socket.port, port) for each in targets)
    )


def _leads_to(target: Target, address: str, goal: int, port: int) -> bool:
    family, value = parse_address(address)
    return (
        target.family in (None, family)
        and target.addresses is not None
        and value in target.addresses
        and (goal == port if target.ports is None else goal in target.ports)
    )


def _of_rule(rule: Rule) -> Iterator[Translation]:
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
                yield from ((port, target) for port in ports)


def _ports(members: IntervalSet) -> list[int]:
    found: list[int] = []
    for first, last in members.intervals(_PORT_BITS):
        found += range(first, min(last, first + _MOST) + 1)
        if len(found) > _MOST:
            return []
    return found
