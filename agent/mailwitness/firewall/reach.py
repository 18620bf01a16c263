"""The entry: a capture of the packet filters, and who can reach a port through them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from mailwitness.firewall import ipset, iptables, nft
from mailwitness.firewall.addresses import (
    EVERYTHING,
    WIDTH,
    IntervalSet,
    Remainder,
    parse_address,
    single,
    union,
)
from mailwitness.firewall.iptables import LEGACY_BACK_END, NFT_BACK_END
from mailwitness.firewall.network import Network
from mailwitness.firewall.packet import Packet
from mailwitness.firewall.ports import Ports
from mailwitness.firewall.ruleset import (
    Chain,
    Opaque,
    Rule,
    Ruleset,
    Table,
)
from mailwitness.firewall.verdict import (
    Answer,
    Decider,
    Layer,
    Reachability,
    Share,
    Trace,
    TraceStep,
    in_order,
)
from mailwitness.firewall.walk import Mention, Outcome, Walk, no_listener


@dataclass(frozen=True)
class Capture:
    """The packet filters of a host as the tools print them. None: there is none of that kind.

    `unread` names what could not be captured, with the reason: every answer is undecided then, for
    a filter that nobody saw may say anything.
    """

    nft: str | None = None  # nft -j list ruleset
    iptables_nft: str | None = None  # iptables-nft-save
    ip6tables_nft: str | None = None
    iptables_legacy: str | None = None  # iptables-legacy-save
    ip6tables_legacy: str | None = None
    ipset: str | None = None  # ipset save
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Firewall:
    """All packet filters of a host, read once and asked many times."""

    ruleset: Ruleset
    unread: tuple[str, ...] = ()
    # By network, address, interface and group of ports: most ports are like others.
    _found: dict[tuple[object, ...], tuple[int, tuple[Share, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def _ports(self) -> Ports:
        return Ports(self.ruleset)

    def reach(self, network: Network, address: str, port: int, interface: str) -> Reachability:
        """Who can open a TCP connection to the address and port, coming in over the interface.

        The address is one of the host's, or one that it forwards to. Raises ValueError if it is
        no address.
        """
        family, local = parse_address(address)
        group = self._ports.group(network, family, local, port)
        asked = network, family, local, interface, group
        if asked not in self._found:
            everyone = IntervalSet((0, 1 << WIDTH[family]))
            outcome = self._walk(network, family, local, port, interface, everyone, None)
            self._found[asked] = port, _shares(outcome, everyone)
        like, shares = self._found[asked]
        if like != port:
            theirs, own = (no_listener(family, local, each) for each in (like, port))
            shares = tuple(
                share._replace(decided_by=own) if share.decided_by == theirs else share
                for share in shares
            )
        return Reachability(family, address, port, interface, shares)

    def trace(
        self, network: Network, source: str, address: str, port: int, interface: str
    ) -> Trace:
        """The same for one source, rule by rule. Raises ValueError."""
        family, local = parse_address(address)
        source_family, value = parse_address(source)
        if family != source_family:
            raise ValueError(f"{source} and {address} are not of one family")
        steps: list[TraceStep] = []
        clients = single(value)
        outcome = self._walk(network, family, local, port, interface, clients, steps)
        (share,) = _shares(outcome, clients)
        return Trace(source, share, tuple(steps))

    def _walk(
        self,
        network: Network,
        family: int,
        local: int,
        port: int,
        interface: str,
        clients: IntervalSet,
        steps: list[TraceStep] | None,
    ) -> Outcome:
        walk = Walk(self.ruleset, network, steps)
        reasons = list(self.unread)
        if interface == "lo":
            reasons.append("what comes over lo went out over lo before, which is not followed")
        for reason in reasons:
            decider = Decider(Layer.OPEN, reason)
            walk.outcome.unknown.append(Mention(clients, decider, reason))
        if not reasons:
            syn = Packet(
                family=family,
                reply=False,
                iif=interface,
                oif="",
                local=single(local),
                port=single(port),
                asked=(local, port),
            )
            walk.run(syn, clients)
        return walk.outcome


def read(capture: Capture) -> Firewall:
    """The filters of a capture. Raises FirewallError for what is no output of the tool."""
    saves = [
        (capture.iptables_nft, 4, NFT_BACK_END, "iptables-nft-save"),
        (capture.ip6tables_nft, 6, NFT_BACK_END, "ip6tables-nft-save"),
        (capture.iptables_legacy, 4, LEGACY_BACK_END, "iptables-legacy-save"),
        (capture.ip6tables_legacy, 6, LEGACY_BACK_END, "ip6tables-legacy-save"),
    ]
    filled = frozenset().union(*(iptables.filled_sets(text) for text, *_ in saves if text))
    sets = ipset.IpSets(ipset.parse(capture.ipset) if capture.ipset else {}, filled)
    of_nft_back_end: list[Table] = []
    legacy: list[Table] = []
    for text, family, source, where in saves:
        if text is not None:
            tables = iptables.parse(text, family, source, sets, where)
            (of_nft_back_end if source == NFT_BACK_END else legacy).extend(tables)
    if capture.nft is None:
        native = tuple(of_nft_back_end)
    else:
        native = _completed(nft.parse(capture.nft), of_nft_back_end)
    return Firewall(Ruleset((*native, *legacy)), capture.unread)


def _completed(tables: tuple[Table, ...], saved: Iterable[Table]) -> tuple[Table, ...]:
    """iptables-nft's rules are nft rules, with parts that only iptables-nft-save can show.

    A rule with such a part is taken from there, if the chain has as many rules there: the order
    is the same. All others are what nft says.
    """
    by_name = {(table.family, table.name): table for table in saved}
    found = []
    for table in tables:
        other = by_name.get((table.family, table.name))
        if other is None:
            found.append(table)
            continue
        chains = {
            name: _completed_chain(chain, other.chains.get(name))
            for name, chain in table.chains.items()
        }
        found.append(replace(table, chains=chains))
    return tuple(found)


def _completed_chain(chain: Chain, saved: Chain | None) -> Chain:
    if saved is None or len(saved.rules) != len(chain.rules):
        return chain
    rules = tuple(
        Rule(rule.place, other.text, other.steps) if _hides_parts(rule) else rule
        for rule, other in zip(chain.rules, saved.rules, strict=True)
    )
    return replace(chain, rules=rules)


def _hides_parts(rule: Rule) -> bool:
    return any(isinstance(step, Opaque) and step.reason == nft.XT_REASON for step in rule.steps)


# From the outcome to the answer

UNDECIDED_ORDER = "two chains of one priority, and which comes first is not known"
NO_FILTER = Decider(Layer.OPEN, "no rule or policy stands in the way")


def _shares(outcome: Outcome, clients: IntervalSet) -> tuple[Share, ...]:
    """Splits the clients by their answer and by what decided it."""
    admitted = union(outcome.admitted)
    blocked = union(mention.clients for mention in outcome.blocked)
    unknown = union(mention.clients for mention in outcome.unknown)
    both = (admitted & blocked) | unknown
    # Whoever the walk lost is not decided either.
    undecided = (both | ~(admitted | blocked)) & clients
    # Of equal weight the last one that let the packet through says most.
    weighed = sorted(outcome.accepted, key=lambda mention: mention.weight)[::-1]
    fallback = Mention(EVERYTHING, NO_FILTER)
    unsorted = Mention(EVERYTHING, Decider(Layer.OPEN, UNDECIDED_ORDER), UNDECIDED_ORDER)
    return in_order(
        [
            *_divided(Answer.ADMITTED, (admitted - both) & clients, (*weighed, fallback)),
            *_divided(Answer.BLOCKED, (blocked - both) & clients, outcome.blocked),
            *_divided(Answer.UNDECIDED, undecided, (*outcome.unknown, *outcome.forks, unsorted)),
        ]
    )


def _divided(answer: Answer, members: IntervalSet, mentions: Iterable[Mention]) -> Iterable[Share]:
    """Gives each address to the first mention of it; one share for each thing mentioned."""
    rest = Remainder(members)
    found: dict[tuple[Decider, str], list[IntervalSet]] = {}
    for mention in mentions:
        if not rest:
            break
        if share := rest.common(mention.clients):
            rest.discard(mention.clients)
            found.setdefault((mention.decider, mention.reason), []).append(share)
    for (decider, reason), parts in found.items():
        yield Share(answer, union(parts), reason, decider)
