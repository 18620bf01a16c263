"""One model for every packet filter: base chains on hooks, rules, what they match and what they do.

nft's JSON and the text of iptables-save are both read into this. A rule is a row of steps that run
in order until a match fails, as the kernel's nf_tables does; an iptables rule is its matches, then
its target. Every value is an integer, names of interfaces included, so one kind of set serves all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from functools import cached_property

from mailwitness.firewall.addresses import WIDTH, IntervalSet


class FirewallError(Exception):
    """A capture that is not what it should be: `where` says in which one and at what place."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class Field(StrEnum):
    """What a rule can ask of a packet; the value is how a reason names it."""

    SADDR = "source address"
    DADDR = "destination address"
    SPORT = "source port"
    DPORT = "destination port"
    IIF = "incoming interface"
    OIF = "outgoing interface"
    MARK = "mark"
    L4PROTO = "protocol"
    NFPROTO = "address family"
    ETHERTYPE = "ethernet protocol"
    TCP_FLAGS = "TCP flags"
    LENGTH = "packet length"
    TTL = "TTL"
    PKTTYPE = "packet type"
    IPSEC = "IPsec"
    EXTENSION_HEADER = "IPv6 extension header"
    SOCKET = "owner of the socket"
    CT_STATE = "connection state"
    XT_STATE = "connection state with NAT"
    CT_STATUS = "connection status"
    CT_MARK = "connection mark"
    CT_DIRECTION = "connection direction"
    CT_SADDR = "connection's original source"
    CT_DADDR = "connection's original destination"
    CT_SPORT = "connection's original source port"
    CT_DPORT = "connection's original destination port"
    CT_L3PROTO = "connection's address family"
    CT_PROTOCOL = "connection's protocol"


NEEDS_CONNECTION = frozenset(
    {
        Field.CT_STATUS,
        Field.CT_MARK,
        Field.CT_DIRECTION,
        Field.CT_SADDR,
        Field.CT_DADDR,
        Field.CT_SPORT,
        Field.CT_DPORT,
        Field.CT_L3PROTO,
        Field.CT_PROTOCOL,
    }
)

# Bits of `ct state`: include/uapi/linux/netfilter/nf_conntrack_common.h. The last two are
# iptables' own (xt_conntrack.h) and stand in XT_STATE only.
STATES = {
    "invalid": 1,
    "established": 2,
    "related": 4,
    "new": 8,
    "untracked": 64,
    "snat": 1 << 16,
    "dnat": 1 << 17,
}


@dataclass(frozen=True, slots=True)
class Selector:
    """A field of the packet, `&` a mask."""

    field: Field
    mask: int | None = None


class FibResult(Enum):
    """What is asked of the routing table."""

    TYPE = auto()
    DEVICE = auto()


@dataclass(frozen=True, slots=True)
class Fib:
    """A question to the routing table about an address of the packet.

    With a device (IIF or OIF) it is bound to that one: nft's `fib saddr . iif`. With the mark it
    may follow other rules than those of the main table.
    """

    of: Field
    result: FibResult
    device: Field | None = None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that is asked and not known here, with the reason."""

    reason: str


Key = Selector | Fib | Unknown


@dataclass(frozen=True)
class Content:
    """The elements of a set: rows of one value set per part of the key; any row may match.

    `grows` is the reason why the set may hold more than was captured, if it may; with `shrinks`
    it may hold less, too.
    """

    rows: tuple[tuple[IntervalSet, ...], ...]
    grows: str = ""
    shrinks: bool = False


# The content for no keys at all: it holds for every packet.
ANY = Content(((),))


@dataclass(frozen=True, slots=True)
class Match:
    """The rule goes on if the keys are (or, negated, are not) in the content.

    `unconnected` is the answer for a packet that no connection belongs to, where a key needs one.
    """

    keys: tuple[Key, ...]
    content: Content
    negated: bool = False
    unconnected: bool = False


@dataclass(frozen=True, slots=True)
class AllOrAny:
    """Matches that the kernel may hold as a single one, of which the capture shows the parts.

    The tools join `!=` on neighbouring fields of a header into one comparison (nft's
    payload_do_merge(), iptables-nft likewise until 1.8.11): it is fulfilled where any of them is,
    and prints like two that must all be. So it surely holds where all do, possibly where any does.
    """

    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Never:
    """A match that no TCP packet of this kind fulfils, negated or not: `udp dport`, say."""


class Kind(Enum):
    """What a verdict does."""

    ACCEPT = auto()
    DROP = auto()
    RETURN = auto()
    CONTINUE = auto()
    JUMP = auto()
    GOTO = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a rule. The target is the name of a chain."""

    kind: Kind
    target: str = ""


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """A verdict by key. Where two cases hold for one key, either of them may be the one."""

    keys: tuple[Key, ...]
    cases: tuple[tuple[Content, Verdict], ...]
    otherwise: Verdict | None = None


class Mark(Enum):
    """Which of the two marks."""

    PACKET = auto()
    CONNECTION = auto()


@dataclass(frozen=True, slots=True)
class MarkChange:
    """The new mark: `(own & keep) ^ (other mark & take) ^ constant`; with a reason, not known."""

    keep: int = 0
    take: int = 0
    constant: int = 0
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class SetMark:
    """Sets a mark; without keys there is one case. No case for a key ends the rule."""

    mark: Mark
    keys: tuple[Key, ...]
    cases: tuple[tuple[Content, MarkChange], ...]


@dataclass(frozen=True, slots=True)
class NoTrack:
    """No connection is made for the packet."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a translation sends the packet. None: left as is; `own`: the device's own address."""

    addresses: IntervalSet | None = None
    ports: IntervalSet | None = None
    own: bool = False
    family: int | None = None  # packets of the other one are left alone
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Translate:
    """NAT; of the destination, unless `source`. It ends the rule and the other nat chains."""

    keys: tuple[Key, ...] = ()
    cases: tuple[tuple[Content, Target], ...] = ()
    source: bool = False


@dataclass(frozen=True, slots=True)
class Opaque:
    """A statement that may do anything: what becomes of the packet is not known."""

    reason: str


Step = (
    Match
    | AllOrAny
    | Never
    | Unknown
    | Verdict
    | VerdictMap
    | SetMark
    | NoTrack
    | Translate
    | Opaque
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `place` is nft's handle, or the line of the capture: "handle 7", "line 12"."""

    place: str
    text: str
    steps: tuple[Step, ...]


class Hook(StrEnum):
    """Where in the kernel a base chain stands."""

    INGRESS = "ingress"
    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"
    EGRESS = "egress"


@dataclass(frozen=True)
class Base:
    """How a base chain is attached. An empty tuple of devices: it is not bound to any.

    `doubt` is the reason why packets may not pass it at all, if the capture leaves that open.
    """

    hook: Hook
    priority: int
    nat: bool
    accepts: bool  # the policy
    devices: tuple[str, ...] = ()
    doubt: str = ""


@dataclass(frozen=True)
class Chain:
    """A chain, a base chain if it has a base."""

    name: str
    rules: tuple[Rule, ...]
    base: Base | None = None

    @cached_property
    def changes_packets(self) -> bool:
        """Whether a rule of it changes what later rules see."""
        kinds = (SetMark, NoTrack, Translate)
        return any(isinstance(step, kinds) for rule in self.rules for step in rule.steps)


@dataclass(frozen=True)
class Table:
    """A table: chains that can reach each other, in the order of their making."""

    source: str  # "nft", "iptables-legacy", ...
    family: str  # as nft writes it: "ip", "ip6", "inet", "netdev"
    name: str
    chains: Mapping[str, Chain]
    age: int = 0  # nft's handle of it: higher is newer

    def serves(self, family: int) -> bool:
        """Whether packets of this address family pass it."""
        return self.family in ("inet", "netdev", "ip" if family == 4 else "ip6")  # noqa: PLR2004

    @cached_property
    def changes_packets(self) -> bool:
        """Whether any chain of it changes what later rules see."""
        return any(chain.changes_packets for chain in self.chains.values())


@dataclass(frozen=True, slots=True)
class Attached:
    """A base chain with its table."""

    table: Table
    chain: Chain
    priority: int


@dataclass(frozen=True)
class Ruleset:
    """All tables in force."""

    tables: tuple[Table, ...]

    @cached_property
    def size(self) -> int:
        """The number of rules."""
        return sum(len(chain.rules) for table in self.tables for chain in table.chains.values())

    def attached(self, family: int, hook: Hook) -> tuple[Attached, ...]:
        """By priority; of equal ones the newest first, as nf_hook_entries_grow() inserts them."""
        return self._attached.get((family, hook), ())

    @cached_property
    def _attached(self) -> dict[tuple[int, Hook], tuple[Attached, ...]]:
        found: dict[tuple[int, Hook], list[tuple[tuple[int, int, int], Attached]]] = {}
        for table in self.tables:
            for index, chain in enumerate(table.chains.values()):
                if chain.base is not None:
                    key = (chain.base.priority, -table.age, -index)
                    each = Attached(table, chain, chain.base.priority)
                    for family in filter(table.serves, WIDTH):
                        found.setdefault((family, chain.base.hook), []).append((key, each))
        return {
            where: tuple(each for _, each in sorted(chains, key=lambda one: one[0]))
            for where, chains in found.items()
        }

    @cached_property
    def tracked(self) -> frozenset[int]:
        """The address families whose connections are surely tracked.

        The kernel begins to with the first rule that asks for connections or translates them
        (nf_ct_netns_get()), wherever the rule stands. A nat chain alone is not enough.
        """
        return frozenset(
            family
            for family in WIDTH
            if any(
                _asks_for_connections(step, family)
                for table in self.tables
                if table.serves(family) and table.family != "netdev"
                for chain in table.chains.values()
                for rule in chain.rules
                for step in rule.steps
            )
        )


def _asks_for_connections(step: Step, family: int) -> bool:
    match step:
        case Match(keys):
            fields = {key.field for key in keys if isinstance(key, Selector)}
            return bool(fields & (NEEDS_CONNECTION | {Field.CT_STATE, Field.XT_STATE}))
        case SetMark(mark):
            return mark is Mark.CONNECTION
        case Translate(cases=cases):
            return any(target.family in (None, family) for _, target in cases)
        case _:
            return False


NEIGHBOURS = (
    {Field.SPORT, Field.DPORT},
    {Field.SADDR, Field.DADDR},
    {Field.TTL, Field.L4PROTO},
)


def with_joined(steps: list[Step]) -> tuple[Step, ...]:
    """The steps, those `!=` that the tools may have joined put together."""
    found: dict[Field, Match] = {}
    for step in steps:
        match step:
            case Match((Selector(field, None),), Content(((values,),)), negated=True):
                if values.only() is not None:
                    found[field] = step
    for pair in NEIGHBOURS:
        if pair <= set(found):
            joined = tuple(step for field, step in found.items() if field in pair)
            first = steps.index(joined[0])
            rest = [step for step in steps[first:] if step not in joined]
            return with_joined([*steps[:first], AllOrAny(joined), *rest])
    return tuple(steps)


def interface_named(name: str) -> IntervalSet:
    """The one interface.

    Names are compared as the kernel does, padded with zeros to 16 bytes, as one number.
    """
    value = interface_number(name)
    return IntervalSet((value, value + 1))


def interfaces_starting(name: str) -> IntervalSet:
    """All interfaces whose names start so."""
    start = name.encode()[:IFNAMSIZ]
    free = 8 * (IFNAMSIZ - len(start))
    low = int.from_bytes(start, "big") << free
    return IntervalSet((low, low + (1 << free)))


def interface_number(name: str) -> int:
    """The number that stands for the name; 0 for no interface."""
    return int.from_bytes(name.encode()[:IFNAMSIZ].ljust(IFNAMSIZ, b"\0"), "big")


def interface_name(number: int) -> str:
    """The name that the number stands for."""
    return number.to_bytes(IFNAMSIZ, "big").rstrip(b"\0").decode(errors="replace")


IFNAMSIZ = 16
