"""The JSON of `nft -j list ruleset` (nft 0.9.8 to 1.1) read into the common model.

Format: https://manpages.debian.org/libnftables-json(5). What is not known in a rule becomes a step
that says so; only what is no ruleset at all is an error.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    WIDTH,
    IntervalSet,
    between,
    parse_address,
    prefix,
    single,
    union,
)
from mailwitness.firewall.nft_text import describe
from mailwitness.firewall.ruleset import (
    ANY,
    Base,
    Chain,
    Content,
    Fib,
    FibResult,
    Field,
    FirewallError,
    Hook,
    Key,
    Kind,
    Mark,
    MarkChange,
    Match,
    Never,
    NoTrack,
    Opaque,
    Rule,
    Selector,
    SetMark,
    Step,
    Table,
    Target,
    Translate,
    Unknown,
    Verdict,
    VerdictMap,
    interface_named,
    interfaces_starting,
    with_joined,
)
from mailwitness.firewall.values import (
    ADDRESSES,
    INTERFACES,
    UnreadableError,
    number,
    route_type,
)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Object: TypeAlias = dict[str, Json]

SOURCE = "nft"
XT_REASON = "an iptables extension, which nft's JSON does not show"


def parse(text: str, where: str = "nft -j list ruleset") -> tuple[Table, ...]:
    """All tables for IP packets. Raises FirewallError for what is no ruleset."""
    try:
        old = OLD_VERSION.search(text[:METAINFO])
        document: Json = json.loads(text, object_hook=_doubt_cut_networks if old else None)
    except json.JSONDecodeError as error:
        raise FirewallError(f"{where}, line {error.lineno}, column {error.colno}", error.msg) from (
            error
        )
    except RecursionError as error:
        raise FirewallError(where, "nested too deep") from error
    if not isinstance(document, dict) or not isinstance(document.get("nftables"), list):
        raise FirewallError(where, 'no list of "nftables"')
    try:
        return _Document(where, document["nftables"]).tables()
    except RecursionError as error:
        raise FirewallError(where, "nested too deep") from error


METAINFO = 300  # characters in which nft names its version
OLD_VERSION = re.compile(r'"version": *"0\.')
CUT_LENGTH = 64


def _doubt_cut_networks(body: Object) -> Object:
    """Nft 0.9.8 shows IPv6 networks larger than /64 in a concatenation as /64."""
    parts = body.get("concat")
    for part in parts if isinstance(parts, list) else ():
        network = part.get("prefix") if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(network, dict):
            part["prefix"] = None if network.get("len") == CUT_LENGTH else network
    return body


FAMILIES = ("ip", "ip6", "inet", "netdev")


@dataclass(slots=True)
class _TableParts:
    """What the objects of one table have brought so far."""

    age: int
    doubt: str  # why the table may be asleep
    chains: dict[str, Base | None] = field(default_factory=dict)
    rules: dict[str, list[Object]] = field(default_factory=dict)
    sets: dict[str, Object] = field(default_factory=dict)
    # Sets that rules add elements to or delete them from, by the operations.
    filled: dict[str, set[str]] = field(default_factory=dict)


class _Document:
    """The objects of a listing, sorted into tables."""

    def __init__(self, where: str, objects: Json) -> None:
        assert isinstance(objects, list)
        self._where = where
        self._parts: dict[tuple[str, str], _TableParts] = {}
        self._asleep: set[tuple[str, str]] = set()
        for index, each in enumerate(objects):
            if not isinstance(each, dict) or len(each) != 1:
                raise FirewallError(f"{where}, object {index}", "not an object with one name")
            ((kind, body),) = each.items()
            if kind in ("table", "chain", "rule", "set", "map"):
                self._sort_in(f"{where}, object {index} ({kind})", kind, body)

    def _sort_in(self, where: str, kind: str, body: Json) -> None:
        if not isinstance(body, dict):
            raise FirewallError(where, "not an object")
        family = _text(body, "family", where)
        if family not in FAMILIES:
            return
        table = (family, _text(body, "name" if kind == "table" else "table", where))
        if kind == "table":
            age = body.get("handle")
            flags = body.get("flags")
            self._parts[table] = _TableParts(age if isinstance(age, int) else 0, _doubt(flags))
            if "dormant" in _words(flags):
                self._asleep.add(table)
            return
        parts = self._parts.get(table)
        if parts is None:
            raise FirewallError(where, f"table {' '.join(table)} was not listed before")
        if kind == "chain":
            parts.chains[_text(body, "name", where)] = _base(body, parts.doubt, where)
        elif kind == "rule":
            chain = _text(body, "chain", where)
            if chain not in parts.chains:
                raise FirewallError(where, f"chain {chain} was not listed before")
            if not isinstance(body.get("expr"), list):
                raise FirewallError(where, 'a rule without "expr"')
            parts.rules.setdefault(chain, []).append(body)
            for name, operation in _fillings(body):
                parts.filled.setdefault(name, set()).add(operation)
        else:
            parts.sets[_text(body, "name", where)] = body

    def tables(self) -> tuple[Table, ...]:
        """The tables in force: a dormant one has no chain on a hook."""
        return tuple(
            self._table(*key, parts)
            for key, parts in self._parts.items()
            if key not in self._asleep
        )

    def _table(self, family: str, name: str, parts: _TableParts) -> Table:
        reader = _Rules(family, parts)
        chains = {
            chain: Chain(chain, tuple(map(reader.rule, parts.rules.get(chain, ()))), base)
            for chain, base in parts.chains.items()
        }
        return Table(SOURCE, family, name, chains, parts.age)


def _text(body: Object, name: str, where: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise FirewallError(where, f'no "{name}"')
    return value


def _words(value: Json) -> list[str]:
    """A name, or a list of them."""
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _base(body: Object, doubt: str, where: str) -> Base | None:
    if "hook" not in body:
        return None
    priority = body.get("prio")
    if not isinstance(priority, int):
        raise FirewallError(where, "a hook without a priority")
    hook = _text(body, "hook", where)
    if hook not in set(Hook):
        raise FirewallError(where, f"hook {hook[:40]!r} is not known")
    devices = tuple(_words(body.get("dev")))
    bound_to_one = hook in (Hook.INGRESS, Hook.EGRESS)
    return Base(
        Hook(hook),
        priority,
        nat=body.get("type") == "nat",
        accepts=body.get("policy") != "drop",
        devices=devices,
        doubt="nft's JSON does not name the device of a chain"  # before nft 1.0.8
        if bound_to_one and not devices
        else doubt,
    )


def _doubt(flags: Json) -> str:
    """Why a table may be asleep: for the flag `dormant` nft prints garbage before 1.1."""
    listed = flags if isinstance(flags, list) else [flags]
    if flags is None or all(isinstance(each, str) and each in TABLE_FLAGS for each in listed):
        return ""
    return "nft's JSON does not name the flags of a table"


TABLE_FLAGS = frozenset({"dormant", "owner", "persist"})


def _fillings(rule: Object) -> Iterator[tuple[str, str]]:
    """The sets that a rule changes, and how."""
    expressions = rule["expr"]
    assert isinstance(expressions, list)
    for each in expressions:
        if isinstance(each, dict):
            for kind in ("set", "map", "meter"):
                body = each.get(kind)
                if isinstance(body, dict):
                    name = body.get(kind, body.get("name"))
                    if isinstance(name, str):
                        yield name.removeprefix("@"), str(body.get("op", "add"))


# Statements that let the packet through as it was.
WITHOUT_EFFECT = frozenset(
    {
        "counter",
        "log",
        "comment",
        "last",
        "flow",
        "dup",
        "ct helper",
        "ct timeout",
        "ct expectation",
        "secmark",
        "reset",
    }
)
CONDITIONAL = {
    "limit": "rate limit",
    "quota": "quota",
    "ct count": "number of connections",
    "meter": "rate limit",
}
OPAQUE = {
    "queue": "the packet is handed to a program (queue)",
    "tproxy": "transparent proxy (tproxy)",
    "synproxy": "synproxy",
    "fwd": "sent out of another device (fwd)",
    "xt": XT_REASON,
}
VERDICTS = {
    "accept": Kind.ACCEPT,
    "drop": Kind.DROP,
    "reject": Kind.DROP,
    "return": Kind.RETURN,
    "continue": Kind.CONTINUE,
}


# A `meta nfproto` before it is left out by nft 1.0.6 to 1.1.3.
RESET_REASON = "nft does not show whether a tcp reset is for one address family only"
# `meta protocol ip6` before a rejection by ICMP of either family prints as the `meta nfproto` that
# nft puts there itself and mostly leaves out.
REJECT_REASON = "nft may show meta nfproto for a meta protocol of the other address family"
HARMLESS_FIELDS = frozenset({"dscp", "ecn", "ttl", "hoplimit", "flowlabel"})
OF_FAMILY = {
    family: Match((Selector(Field.NFPROTO),), Content(((single(number),),)))
    for family, number in ((4, 2), (6, 10))
}
# A rejection by ICMP is for packets of its family alone.
ICMP_FAMILIES: Mapping[Json, int] = {"icmp": 4, "icmpv6": 6}


class _Rules:
    """Reads the rules of one table."""

    def __init__(self, family: str, parts: _TableParts) -> None:
        self._family = family
        self._parts = parts
        # A set is read once for each kind of key that it is asked with.
        self._contents: dict[tuple[str, tuple[Key, ...]], Content] = {}

    def rule(self, body: Object) -> Rule:
        """One rule."""
        expressions = body["expr"]
        assert isinstance(expressions, list)
        steps: list[Step] = []
        for each in expressions:
            try:
                steps += self._statement(each)
            except UnreadableError as error:
                match_only = isinstance(each, dict) and "match" in each
                reason = str(error)
                steps.append(Unknown(reason) if match_only else Opaque(reason))
        if self._family in ("inet", "netdev"):
            kinds = _rejections(expressions)
            if "tcp reset" in kinds and not _names_family(steps):
                steps.insert(0, Unknown(RESET_REASON))
            if kinds & ICMP_FAMILIES.keys() and _asks_family(expressions):
                steps.insert(0, Unknown(REJECT_REASON))
        place = f"handle {body['handle']}" if isinstance(body.get("handle"), int) else ""
        return Rule(place, describe(expressions), with_joined(steps))

    def _statement(self, statement: Json) -> list[Step]:
        if not isinstance(statement, dict) or len(statement) != 1:
            raise UnreadableError("a statement of an unknown form")
        ((name, body),) = statement.items()
        if name in WITHOUT_EFFECT:
            return []
        if name in CONDITIONAL:
            return [Unknown(CONDITIONAL[name])]
        if name in OPAQUE:
            return [Opaque(OPAQUE[name])]
        if name == "reject" and isinstance(body, dict) and body.get("type") in ICMP_FAMILIES:
            return [*self._needs_family(ICMP_FAMILIES[body["type"]]), Verdict(Kind.DROP)]
        if name in VERDICTS or name in ("jump", "goto"):
            return [_verdict(statement)]
        reader: Callable[[Object], list[Step]] | None = {
            "match": self._match,
            "vmap": self._verdict_map,
            "mangle": self._mangle,
            "set": self._fill,
            "map": self._fill,
        }.get(name)
        if reader is not None:
            if not isinstance(body, dict):
                raise UnreadableError(f"a statement of an unknown form ({name})")
            return reader(body)
        if name == "notrack":
            return [NoTrack()]
        if name in ("dnat", "redirect", "snat", "masquerade"):
            return self._translation(name, body if isinstance(body, dict) else {})
        raise UnreadableError(f"the statement {name[:40]!r} is not known")

    # Matches

    def _match(self, body: Object) -> list[Step]:
        left, right, op = body.get("left"), body.get("right"), body.get("op")
        keys, needs = self._keys(left)
        if any(isinstance(step, Never) for step in needs):
            return needs
        if op in ("in", "!") and not _is_lookup(right):
            return [*needs, _flag_match(keys, right, negated=op == "!")]
        if _may_be_cut(left, right):
            raise UnreadableError("a network of whole bytes, which nft prints like an address")
        inner = _between_two(right, keys[0]) if op == "!=" else None
        if inner is not None:
            return [*needs, Match(keys, Content(((inner,),)))]
        if op in ("==", "in", "!="):
            content = self._content(right, keys)
            return [*needs, Match(keys, content, negated=op == "!=")]
        if op in ("<", ">", "<=", ">=") and len(keys) == 1:
            if isinstance(keys[0], Unknown):
                raise UnreadableError(keys[0].reason)
            value = _values(right, keys[0]).only()
            if value is None:
                raise UnreadableError(f"{op} with more than one value")
            values = {
                "<": between(0, value - 1),
                "<=": between(0, value),
                ">": IntervalSet((value + 1,)),
                ">=": IntervalSet((value,)),
            }[op]
            return [*needs, Match(keys, Content(((values,),)))]
        raise UnreadableError(f"the operator {str(op)[:10]!r} is not known")

    def _keys(self, expression: Json) -> tuple[tuple[Key, ...], list[Step]]:
        """What an expression asks for, and the matches that nft leaves unsaid before it."""
        if isinstance(expression, dict) and isinstance(expression.get("concat"), list):
            keys: list[Key] = []
            needs: list[Step] = []
            parts = expression["concat"]
            assert isinstance(parts, list)
            for part in parts:
                key, need = self._key(part)
                keys.append(key)
                needs += need
            return tuple(keys), needs
        key, need = self._key(expression)
        return (key,), need

    def _key(self, expression: Json) -> tuple[Key, list[Step]]:
        if not isinstance(expression, dict) or len(expression) != 1:
            raise UnreadableError("an expression of an unknown form")
        ((name, body),) = expression.items()
        if name == "&" and isinstance(body, list) and len(body) == 2:  # noqa: PLR2004
            key, needs = self._key(body[0])
            if not isinstance(key, Selector) or key.mask is not None:
                return Unknown("a mask on what is not known"), needs
            return replace(key, mask=_bits(body[1], key)), needs
        if isinstance(body, dict):
            if name == "payload":
                return self._payload(body)
            if name == "meta":
                return _meta(body), []
            if name == "ct":
                return _connection(body)
            if name == "fib":
                return _fib(body), []
            if name == "exthdr":
                if "field" in body:
                    return Unknown(""), [Never()]
                return Selector(Field.EXTENSION_HEADER), self._needs_family(6)
        return Unknown(EXPRESSIONS.get(name, f"the expression {name[:40]!r} is not known")), []

    def _payload(self, body: Object) -> tuple[Key, list[Step]]:
        if "base" in body:
            place = (body.get("base"), body.get("offset"), body.get("len"))
            if place in RAW_PORTS:
                return Selector(RAW_PORTS[place]), []
            return Unknown("raw payload"), []
        protocol, name = str(body.get("protocol")), str(body.get("field"))
        if protocol in ("ip", "ip6"):
            needs = self._needs_family(4 if protocol == "ip" else 6)
            found = IP_FIELDS.get((protocol, name))
            return (Selector(found) if found else Unknown(f"{protocol} {name}")), needs
        if protocol in ("tcp", "th"):
            found = TCP_FIELDS.get(name)
            return (Selector(found) if found else Unknown(f"{protocol} {name}")), []
        if protocol == "ether":
            return Unknown("MAC address"), []
        if protocol in OTHER_TRANSPORTS:
            return Unknown(""), [Never()]
        return Unknown(f"{protocol} {name}"), []

    def _needs_family(self, family: int) -> list[Step]:
        """In a table of both families nft first asks for the right one, which it does not show."""
        return [] if self._family in ("ip", "ip6") else [OF_FAMILY[family]]

    def _content(self, right: Json, keys: tuple[Key, ...]) -> Content:
        """The elements on the right side of a match."""
        if isinstance(right, str) and right.startswith("@"):
            return self._named(right[1:], keys)
        if isinstance(right, dict) and "set" in right:
            elements = right["set"]
            return _elements(elements if isinstance(elements, list) else [elements], keys)
        return _elements([right], keys)

    def _named(self, name: str, keys: tuple[Key, ...]) -> Content:
        known = self._contents.get((name, keys))
        if known is not None:
            return known
        body = self._parts.sets.get(name)
        if body is None:
            raise UnreadableError(f"set {name} is not in the capture")
        elements = body.get("elem", [])
        if not isinstance(elements, list):
            elements = [elements]
        content = _elements(elements, keys)
        operations = self._parts.filled.get(name)
        if operations:
            content = replace(
                content,
                grows=f"set {name} is filled by rules",
                shrinks="delete" in operations,
            )
        self._contents[name, keys] = content
        return content

    # Maps

    def _pairs(self, data: Json) -> tuple[list[tuple[Json, Json]], str]:
        """Keys and values of a map, and why there may be more of them."""
        grows = ""
        if isinstance(data, str) and data.startswith("@"):
            name = data[1:]
            body = self._parts.sets.get(name)
            if body is None:
                raise UnreadableError(f"map {name} is not in the capture")
            if name in self._parts.filled:
                grows = f"map {name} is filled by rules"
            data = body.get("elem", [])
        elif isinstance(data, dict):
            data = data.get("set", [])
        if not isinstance(data, list):
            raise UnreadableError("a map of an unknown form")
        pairs: list[tuple[Json, Json]] = []
        for each in data:
            if not isinstance(each, list) or len(each) != 2:  # noqa: PLR2004
                raise UnreadableError("a map of an unknown form")
            pairs.append((each[0], each[1]))
        return pairs, grows

    def _verdict_map(self, body: Object) -> list[Step]:
        keys, needs = self._keys(body.get("key"))
        pairs, grows = self._pairs(body.get("data"))
        if grows:
            raise UnreadableError(grows)
        by_verdict: dict[Verdict, list[Json]] = {}
        otherwise = None
        for key, value in pairs:
            verdict = _verdict(value)
            if _element(key) == "*":
                otherwise = verdict
            else:
                by_verdict.setdefault(verdict, []).append(key)
        cases = tuple(
            (_elements(elements, keys), verdict) for verdict, elements in by_verdict.items()
        )
        return [*needs, VerdictMap(keys, cases, otherwise)]

    def _cases(
        self, mapping: Json
    ) -> tuple[tuple[Key, ...], list[tuple[Content, Json]], list[Step]]:
        """The cases of `key map { … }`, by value."""
        if not isinstance(mapping, dict):
            raise UnreadableError("a map of an unknown form")
        keys, needs = self._keys(mapping.get("key"))
        pairs, grows = self._pairs(mapping.get("data"))
        if grows:
            raise UnreadableError(grows)
        elements: dict[str, list[Json]] = {}
        values: dict[str, Json] = {}
        for key, value in pairs:
            name = json.dumps(value)
            values[name] = value
            elements.setdefault(name, []).append(key)
        contents = {name: _elements(each, keys) for name, each in elements.items()}
        catch_all = next((json.dumps(value) for key, value in pairs if _element(key) == "*"), None)
        if catch_all is not None:
            if len(keys) > 1:
                raise UnreadableError("a map of several keys with a catch-all")
            taken = union(
                values
                for name, content in contents.items()
                if name != catch_all
                for (values,) in content.rows
            )
            contents[catch_all] = Content(((EVERYTHING - taken,),))
        return keys, [(contents[name], values[name]) for name in values], needs

    # Statements that change the packet

    def _mangle(self, body: Object) -> list[Step]:
        target, value = body.get("key"), body.get("value")
        if not isinstance(target, dict) or len(target) != 1:
            raise UnreadableError("a statement of an unknown form (mangle)")
        ((kind, what),) = target.items()
        name = what.get("key") if isinstance(what, dict) else None
        if kind in ("meta", "ct") and name == "mark":
            mark = Mark.PACKET if kind == "meta" else Mark.CONNECTION
            if isinstance(value, dict) and "map" in value:
                keys, cases, needs = self._cases(value["map"])
                changes = tuple((content, _mark_change(each, mark)) for content, each in cases)
                return [*needs, SetMark(mark, keys, changes)]
            change = SetMark(mark, (), ((ANY, _mark_change(value, mark)),))
            return [*self._needs_within(value), change]
        harmless = (
            (kind == "meta" and name in ("priority", "nftrace", "secmark"))
            or (kind == "ct" and name in ("label", "helper", "event", "secmark", "timeout"))
            or kind in ("tcp option", "exthdr", "ip option")
        )
        if harmless:
            return []
        if kind == "payload" and isinstance(what, dict) and what.get("field") in HARMLESS_FIELDS:
            return self._payload(what)[1]
        raise UnreadableError(f"{kind} {name or ''} is set")

    def _needs_within(self, value: Json) -> list[Step]:
        """The address families that an expression asks for somewhere inside."""
        if isinstance(value, list):
            return [need for each in value for need in self._needs_within(each)]
        if not isinstance(value, dict):
            return []
        payload = value.get("payload")
        if isinstance(payload, dict):
            return self._payload(payload)[1]
        return [need for each in value.values() for need in self._needs_within(each)]

    def _fill(self, body: Object) -> list[Step]:
        """An element is added to a set; where the set is full the rule ends."""
        _, needs = self._keys(body.get("elem"))
        inner = body.get("stmt", [])
        for each in inner if isinstance(inner, list) else [inner]:
            needs += self._statement(each)
        name = str(body.get("set", body.get("map", ""))).removeprefix("@")
        known = self._parts.sets.get(name, {})
        size, held = known.get("size"), known.get("elem", [])
        if isinstance(size, int) and isinstance(held, list) and len(held) >= size:
            needs.append(Unknown(f"set {name} is full"))
        return needs

    def _translation(self, name: str, body: Object) -> list[Step]:
        if name in ("snat", "masquerade"):
            return [Translate((), ((ANY, Target()),), source=True)]
        family = {"ip": 4, "ip6": 6}.get(str(body.get("family")))
        address = body.get("addr")
        keys: tuple[Key, ...] = ()
        needs: list[Step] = []
        ports = body.get("port")
        port_values = None
        if ports is not None:
            if isinstance(ports, dict) and "map" in ports:
                return [self._mapped_ports(name, family, address, ports["map"])]
            port_values = _values(ports, Selector(Field.DPORT))
        if isinstance(address, dict) and "map" in address:
            keys, cases, needs = self._cases(address["map"])
            targets = tuple((content, _destination(each, port_values)) for content, each in cases)
        else:
            target = Target(
                None if address is None else _values(address, Selector(Field.DADDR)),
                port_values,
                own=name == "redirect",
            )
            targets = ((ANY, target),)
        targets = tuple((content, replace(each, family=family)) for content, each in targets)
        return [*needs, Translate(keys, targets)]

    def _mapped_ports(
        self, name: str, family: int | None, address: Json, mapping: Json
    ) -> Translate:
        """`redirect to :tcp dport map { … }`."""
        keys, cases, needs = self._cases(mapping)
        if needs:
            raise UnreadableError("a map of ports that not every packet has a key for")
        fixed = None if address is None else _values(address, Selector(Field.DADDR))
        targets = tuple(
            (
                content,
                Target(
                    fixed,
                    _values(each, Selector(Field.DPORT)),
                    own=name == "redirect",
                    family=family,
                ),
            )
            for content, each in cases
        )
        return Translate(keys, targets)


# Expressions whose value a capture does not hold.
EXPRESSIONS = {
    "numgen": "chance (numgen)",
    "jhash": "a hash",
    "symhash": "a hash",
    "socket": "state of a socket",
    "osf": "operating system of the client",
    "rt": "routing information (rt)",
    "tcp option": "TCP options",
    "ip option": "IP options",
    "ipsec": "IPsec state",
}
RAW_PORTS: Mapping[tuple[Json, Json, Json], Field] = {
    ("th", 0, 16): Field.SPORT,
    ("th", 16, 16): Field.DPORT,
    ("transport", 0, 16): Field.SPORT,
    ("transport", 16, 16): Field.DPORT,
}
IP_FIELDS = {
    ("ip", "saddr"): Field.SADDR,
    ("ip", "daddr"): Field.DADDR,
    ("ip", "protocol"): Field.L4PROTO,
    ("ip", "ttl"): Field.TTL,
    ("ip", "length"): Field.LENGTH,
    ("ip6", "saddr"): Field.SADDR,
    ("ip6", "daddr"): Field.DADDR,
    ("ip6", "nexthdr"): Field.L4PROTO,
    ("ip6", "hoplimit"): Field.TTL,
}
TCP_FIELDS = {"sport": Field.SPORT, "dport": Field.DPORT, "flags": Field.TCP_FLAGS}
OTHER_TRANSPORTS = frozenset(
    {"udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "ah", "esp", "comp", "arp"}
)
META = {
    "iif": Field.IIF,
    "iifname": Field.IIF,
    "oif": Field.OIF,
    "oifname": Field.OIF,
    "mark": Field.MARK,
    "l4proto": Field.L4PROTO,
    "nfproto": Field.NFPROTO,
    "protocol": Field.ETHERTYPE,
    "length": Field.LENGTH,
    "pkttype": Field.PKTTYPE,
    "ipsec": Field.IPSEC,
    "secpath": Field.IPSEC,
    "skuid": Field.SOCKET,
    "skgid": Field.SOCKET,
    "cgroup": Field.SOCKET,
}
META_REASONS = {"hour": "time of day", "day": "day of the week", "time": "date", "random": "chance"}
CONNECTION = {
    "state": Field.CT_STATE,
    "status": Field.CT_STATUS,
    "mark": Field.CT_MARK,
    "direction": Field.CT_DIRECTION,
    "l3proto": Field.CT_L3PROTO,
    "protocol": Field.CT_PROTOCOL,
}
ORIGINAL = {
    "saddr": Field.CT_SADDR,
    "daddr": Field.CT_DADDR,
    "proto-src": Field.CT_SPORT,
    "proto-dst": Field.CT_DPORT,
}


def _meta(body: Object) -> Key:
    name = str(body.get("key"))
    found = META.get(name)
    return Selector(found) if found else Unknown(META_REASONS.get(name, f"meta {name[:40]}"))


def _connection(body: Object) -> tuple[Key, list[Step]]:
    name = str(body.get("key"))
    if body.get("dir") == "original":
        family, _, rest = name.rpartition(" ")
        found = ORIGINAL.get(rest)
        if found is None:
            return Unknown(f"ct {name[:40]}"), []
        proto = {"ip": 2, "ip6": 10}.get(family)
        # `ct original ip saddr` is for connections of that family alone.
        needs: list[Step] = (
            []
            if proto is None
            else [Match((Selector(Field.CT_L3PROTO),), Content(((single(proto),),)))]
        )
        return Selector(found), needs
    if "dir" in body:
        return Unknown(f"ct {body.get('dir')} {name[:40]}"), []
    found = CONNECTION.get(name)
    return (Selector(found) if found else Unknown(f"ct {name[:40]}")), []


def _between_two(right: Json, key: Key) -> IntervalSet | None:
    """What lies between, for `!= 9-5`: so `< 9` with `> 5` after it prints, up to nft 1.1.3."""
    ends = right.get("range") if isinstance(right, dict) else None
    if not isinstance(ends, list) or len(ends) != 2:  # noqa: PLR2004
        return None
    high, low = (_values(end, key).only() for end in ends)
    if high is None or low is None or high <= low:
        return None
    return between(low + 1, high - 1)


def _rejections(expressions: list[Json]) -> set[str]:
    """The types of the rule's rejections: "tcp reset", "icmp"."""
    bodies = (each.get("reject") for each in expressions if isinstance(each, dict))
    return {str(body.get("type")) for body in bodies if isinstance(body, dict)}


def _asks_family(expressions: list[Json]) -> bool:
    """Whether the listing has a `meta nfproto` with one value."""
    for each in expressions:
        body = each.get("match") if isinstance(each, dict) else None
        if isinstance(body, dict) and body.get("op") == "==":
            left = body.get("left")
            asked = left.get("meta") if isinstance(left, dict) else None
            if isinstance(asked, dict) and asked.get("key") == "nfproto":
                return True
    return False


def _names_family(steps: list[Step]) -> bool:
    families = {Selector(Field.NFPROTO), Selector(Field.ETHERTYPE)}
    return any(isinstance(step, Match) and families & set(step.keys) for step in steps)


def _may_be_cut(left: Json, right: Json) -> bool:
    """`ct original saddr 10.1.0.0/16`, and any of whole bytes, prints as 0.0.10.1 up to 1.1.3."""
    if not isinstance(left, dict) or not isinstance(right, str):
        return False
    asked = left.get("ct")
    # With a family ("ip saddr") it is another expression, which is shown right.
    if not isinstance(asked, dict) or asked.get("key") not in ("saddr", "daddr"):
        return False
    try:
        family, value = parse_address(right)
    except ValueError:
        return False
    return not value >> WIDTH[family] - 8


def _fib(body: Object) -> Key:
    flags = set(_words(body.get("flags")))
    result = {"type": FibResult.TYPE, "oif": FibResult.DEVICE, "oifname": FibResult.DEVICE}.get(
        str(body.get("result"))
    )
    of = {"saddr": Field.SADDR, "daddr": Field.DADDR}
    addresses = flags & set(of)
    devices = {"iif": Field.IIF, "oif": Field.OIF}
    device = flags & set(devices)
    if result is None or len(addresses) != 1 or len(device) > 1 or flags - FIB_FLAGS:
        return Unknown("a routing lookup (fib)")
    bound = devices[device.pop()] if device else None
    return Fib(of[addresses.pop()], result, bound, marked="mark" in flags)


FIB_FLAGS = frozenset({"saddr", "daddr", "iif", "oif", "mark"})


# Values


def _verdict(statement: Json) -> Verdict:
    if isinstance(statement, dict) and len(statement) == 1:
        ((name, body),) = statement.items()
        if name in VERDICTS:
            return Verdict(VERDICTS[name])
        if name in ("jump", "goto") and isinstance(body, dict):
            target = body.get("target")
            if isinstance(target, str):
                return Verdict(Kind.JUMP if name == "jump" else Kind.GOTO, target)
    raise UnreadableError("a verdict that is not known")


def _is_lookup(right: Json) -> bool:
    return (isinstance(right, str) and right.startswith("@")) or (
        isinstance(right, dict) and bool(right.keys() & {"set", "range", "prefix"})
    )


def _flag_match(keys: tuple[Key, ...], right: Json, *, negated: bool) -> Match:
    """`ct state new,established`: any of the bits; negated: none of them."""
    (key,) = keys
    if not isinstance(key, Selector):
        return Match(keys, Content(((single(0),),)))
    if key.mask is not None:
        raise UnreadableError("a mask on a mask")
    masked_key = replace(key, mask=_bits(right, key))
    values = single(0) if negated else IntervalSet((1,))
    return Match((masked_key,), Content(((values,),)))


def _bits(value: Json, key: Selector) -> int:
    """A number, a name, or several of them together."""
    if isinstance(value, list):
        bits = 0
        for each in value:
            bits |= _bits(each, key)
        return bits
    if isinstance(value, dict) and isinstance(value.get("|"), list):
        return _bits(value["|"], key)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if key.field in ADDRESSES:
            try:
                return parse_address(value)[1]
            except ValueError as error:
                raise UnreadableError(str(error)) from error
        return number(value, key.field)
    raise UnreadableError("a mask of an unknown form")


def _element(value: Json) -> Json:
    """Without the wrapping of an element that has a timeout, a counter or a comment."""
    if isinstance(value, dict) and isinstance(value.get("elem"), dict):
        inner = value["elem"]
        assert isinstance(inner, dict)
        return inner.get("val")
    return value


def _elements(elements: list[Json], keys: tuple[Key, ...]) -> Content:
    if len(keys) == 1:
        (key,) = keys
        return Content(((union(_values(_element(each), key) for each in elements),),))
    rows = []
    for each in elements:
        inner = _element(each)
        if inner == "*":
            rows.append((EVERYTHING,) * len(keys))
            continue
        parts = inner.get("concat") if isinstance(inner, dict) else None
        if not isinstance(parts, list) or len(parts) != len(keys):
            raise UnreadableError("an element that does not fit the key")
        rows.append(
            tuple(_values(_element(part), key) for part, key in zip(parts, keys, strict=True))
        )
    return Content(tuple(rows))


def _values(value: Json, key: Key) -> IntervalSet:
    """The integers that a value stands for, as an element of a set with this key."""
    if isinstance(key, Unknown):
        # Never looked at: what the packet has there is not known.
        return EVERYTHING if value == "*" else single(0)
    if isinstance(value, dict):
        return _compound(value, key)
    if isinstance(value, list):
        if not isinstance(key, Selector):
            raise UnreadableError("a value of an unknown form")
        return single(_bits(value, key))
    if value == "*":
        return EVERYTHING
    if isinstance(key, Fib):
        return _fib_values(value, key)
    if isinstance(value, bool):
        return single(int(value))
    if isinstance(value, int):
        if key.field in INTERFACES:
            if value == 0:
                return single(0)
            raise UnreadableError("an interface by its number")
        return single(value) if value >= 0 else NOTHING
    if isinstance(value, str):
        if key.field in ADDRESSES:
            return _address(value)
        if key.field in INTERFACES:
            return _interface(value)
        return single(number(value, key.field))
    raise UnreadableError("a value of an unknown form")


def _address(text: str) -> IntervalSet:
    try:
        return single(parse_address(text)[1])
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def _interface(name: str) -> IntervalSet:
    if name.endswith("\\*"):
        return interface_named(name[:-2] + "*")
    return interfaces_starting(name[:-1]) if name.endswith("*") else interface_named(name)


def _compound(value: Object, key: Selector | Fib) -> IntervalSet:
    network = value.get("prefix")
    if "prefix" in value and network is None:
        raise UnreadableError("an IPv6 network that nft 0.9 may show too small")
    if isinstance(network, dict):
        address, length = network.get("addr"), network.get("len")
        if isinstance(address, str) and isinstance(length, int) and not isinstance(length, bool):
            try:
                family, low = parse_address(address)
            except ValueError as error:
                raise UnreadableError(str(error)) from error
            if 0 <= length <= WIDTH[family]:
                members = prefix(low, length, WIDTH[family])
                # `ip saddr & 255.0.0.0 == 10.0.0.1`, which nothing fulfils, prints as a prefix.
                return members if low in members.points else NOTHING
    ends = value.get("range")
    if isinstance(ends, list) and len(ends) == 2:  # noqa: PLR2004
        first, last = (_values(end, key).only() for end in ends)
        if first is not None and last is not None:
            return between(first, last)
    if isinstance(value.get("|"), list) and isinstance(key, Selector):
        return single(_bits(value, key))
    raise UnreadableError("a value of an unknown form")


def _fib_values(value: Json, key: Fib) -> IntervalSet:
    if key.result is FibResult.TYPE:
        if isinstance(value, str):
            return single(route_type(value))
    elif isinstance(value, bool):
        # `exists` and `missing`: any device at all, or none.
        return IntervalSet((1,)) if value else single(0)
    elif value in (0, "0"):
        return single(0)
    elif isinstance(value, str):
        return _interface(value)
    raise UnreadableError("a routing lookup with an unknown value")


def _destination(value: Json, ports: IntervalSet | None) -> Target:
    """The value of a map that dnat asks: an address, or an address with a port."""
    address = Selector(Field.DADDR)
    if isinstance(value, dict) and isinstance(value.get("concat"), list):
        parts = value["concat"]
        assert isinstance(parts, list)
        if len(parts) == 2:  # noqa: PLR2004
            port = _values(parts[1], Selector(Field.DPORT))
            return Target(_values(parts[0], address), port)
        raise UnreadableError("a map of an unknown form")
    return Target(_values(value, address), ports)


ALL_BITS = (1 << 32) - 1


def _mark_change(value: Json, mark: Mark) -> MarkChange:
    """What an expression like `meta mark & 0xff | 0x10` makes of the mark."""
    if isinstance(value, int) and not isinstance(value, bool):
        return MarkChange(constant=value & ALL_BITS)
    unknown = MarkChange(unknown="a mark computed from what is not known")
    if not isinstance(value, dict) or len(value) != 1:
        return unknown
    ((name, body),) = value.items()
    if name in ("meta", "ct") and isinstance(body, dict) and body.get("key") == "mark":
        own = (name == "meta") == (mark is Mark.PACKET)
        return MarkChange(keep=ALL_BITS) if own else MarkChange(take=ALL_BITS)
    if name not in ("&", "|", "^") or not isinstance(body, list) or not body:
        return unknown
    change = _mark_change(body[0], mark)
    for operand in body[1:]:
        if isinstance(operand, bool) or not isinstance(operand, int) or change.unknown:
            return unknown
        change = _combined(change, name, operand & ALL_BITS)
    return change


def _combined(change: MarkChange, operator: str, operand: int) -> MarkChange:
    if operator == "^":
        return replace(change, constant=change.constant ^ operand)
    bits = operand if operator == "&" else ALL_BITS & ~operand
    cleared = MarkChange(change.keep & bits, change.take & bits, change.constant & bits)
    return cleared if operator == "&" else replace(cleared, constant=cleared.constant | operand)
