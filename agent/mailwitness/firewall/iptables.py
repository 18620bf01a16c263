"""The text of iptables-save and ip6tables-save, of either back end, read into the common model.

Matches and targets: https://manpages.debian.org/iptables-extensions(8). What is not known becomes
a step that says so; only what is no such text at all is an error.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mailwitness.firewall.addresses import (
    EVERYTHING,
    IntervalSet,
    between,
    parse_address,
    single,
    union,
)
from mailwitness.firewall.ipset import IpSets
from mailwitness.firewall.network import ROUTE_TYPES
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
    interface_named,
    interfaces_starting,
    with_joined,
)
from mailwitness.firewall.values import UnreadableError, network, number, port_range, route_type

NFT_BACK_END = "iptables-nft"
LEGACY_BACK_END = "iptables-legacy"

# Tables and their chains on the hooks: include/uapi/linux/netfilter_ipv4.h.
ALL_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
SRCNAT = 100

FILLING = re.compile(r"-j SET .*?--(?:add|del)-set (\S+)")


def filled_sets(text: str) -> frozenset[str]:
    """The ipsets that rules of this text add to or delete from."""
    return frozenset(FILLING.findall(text))


def parse(text: str, family: int, source: str, sets: IpSets, where: str) -> tuple[Table, ...]:
    """All tables of one text. Raises FirewallError with the line."""
    return _Text(text, family, source, sets, where).tables()


@dataclass(slots=True)
class _Draft:
    """A table while its lines are read."""

    name: str
    policies: dict[str, str] = field(default_factory=dict)
    rules: dict[str, list[Rule]] = field(default_factory=dict)


class _Text:
    """Reads line by line."""

    def __init__(self, text: str, family: int, source: str, sets: IpSets, where: str) -> None:
        self._family = family
        self._source = source
        self._where = where
        self._drafts: list[_Draft] = []
        self._open: _Draft | None = None
        at = 0
        for at, line in enumerate(text.splitlines(), 1):
            self._line(at, line.strip(), sets)
        if self._open is not None:
            raise FirewallError(f"{where}, line {at}", "the text ends within a table")

    def _line(self, at: int, line: str, sets: IpSets) -> None:
        if not line or line.startswith("#"):
            return
        if line.startswith("*"):
            self._open = _Draft(line[1:])
            self._drafts.append(self._open)
        elif self._open is None:
            raise self._error(at, line)
        elif line == "COMMIT":
            self._open = None
        elif line.startswith(":"):
            words = line[1:].split()
            if len(words) < 2:  # noqa: PLR2004
                raise self._error(at, line)
            self._open.policies[words[0]] = words[1]
        else:
            self._rule(at, line, self._open, sets)

    def _rule(self, at: int, line: str, draft: _Draft, sets: IpSets) -> None:
        rest = line.partition("] ")[2] if line.startswith("[") else line
        try:
            words = shlex.split(rest) if '"' in rest or "\\" in rest else rest.split()
        except ValueError as error:
            raise self._error(at, line) from error
        if len(words) < 2 or words[0] != "-A" or words[1] not in draft.policies:  # noqa: PLR2004
            raise self._error(at, line)
        reader = _RuleReader(self._family, sets, draft.policies)
        steps = reader.steps(words[2:])
        if self._source == NFT_BACK_END:
            steps = with_joined(list(steps))
        shown = rest if len(rest) <= LONGEST_TEXT else f"{rest[:LONGEST_TEXT]}…"
        draft.rules.setdefault(words[1], []).append(Rule(f"line {at}", shown, steps))

    def _error(self, at: int, line: str) -> FirewallError:
        return FirewallError(f"{self._where}, line {at}", f"not understood: {line[:60]!r}")

    def tables(self) -> tuple[Table, ...]:
        """In the order of the text."""
        family = "ip" if self._family == 4 else "ip6"  # noqa: PLR2004
        return tuple(
            Table(
                self._source,
                family,
                draft.name,
                {
                    name: Chain(
                        name,
                        tuple(draft.rules.get(name, ())),
                        _base(draft.name, name, policy),
                    )
                    for name, policy in draft.policies.items()
                },
            )
            for draft in self._drafts
        )


LONGEST_TEXT = 400


def _base(table: str, chain: str, policy: str) -> Base | None:
    """A policy of "-" is that of a user's chain."""
    if policy == "-" or chain not in ALL_HOOKS or table not in PRIORITIES:
        return None
    priority = PRIORITIES[table]
    if table == "nat" and chain in ("INPUT", "POSTROUTING"):
        priority = SRCNAT
    return Base(Hook(chain.lower()), priority, nat=table == "nat", accepts=policy != "DROP")


@dataclass(slots=True)
class _Option:
    """One option with its words: `! --dports 25,143`."""

    name: str
    negated: bool
    words: list[str]

    @property
    def word(self) -> str:
        """The only word."""
        if len(self.words) != 1:
            raise UnreadableError(f"{self.name} without one value")
        return self.words[0]


@dataclass(slots=True)
class _Section:
    """The options of one match, or of the target."""

    kind: str  # "", "-m", "-j", "-g"
    name: str
    options: list[_Option] = field(default_factory=list)


# Their word is taken as it comes, however much it looks like an option.
FREE_TEXT = frozenset(
    {
        "--comment",
        "--log-prefix",
        "--nflog-prefix",
        "--ulog-prefix",
        "--string",
        "--hex-string",
        "--name",
        "--hashlimit-name",
        "--bytecode",
        "--u32",
        "--helper",
    }
)


def _sections(words: list[str]) -> list[_Section]:
    sections = [_Section("", "")]
    negated = False
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "!":
            negated = True
        elif word in ("-m", "-j", "-g") and at < len(words):
            sections.append(_Section(word, words[at]))
            at += 1
        elif word.startswith("-") or not sections[-1].options:
            option = _Option(word, negated, [])
            sections[-1].options.append(option)
            negated = False
            if word in FREE_TEXT and at < len(words):
                option.words.append(words[at])
                at += 1
        else:
            sections[-1].options[-1].words.append(word)
    return sections


Reader: TypeAlias = Callable[[list[_Option]], list[Step]]


class _RuleReader:
    """Reads one rule."""

    def __init__(self, family: int, sets: IpSets, chains: Mapping[str, str]) -> None:
        self._family = family
        self._sets = sets
        self._chains = chains

    def steps(self, words: list[str]) -> tuple[Step, ...]:
        """The matches, then the target."""
        steps: list[Step] = []
        for section in _sections(words):
            try:
                steps += self._section(section)
            except UnreadableError as error:
                known = section.kind in ("", "-m")
                steps.append(Unknown(str(error)) if known else Opaque(str(error)))
        return tuple(steps)

    def _section(self, section: _Section) -> list[Step]:
        match section.kind:
            case "":
                return [step for option in section.options for step in self._basic(option)]
            case "-m":
                return self._extension(section)
            case "-g":
                return [Verdict(Kind.GOTO, section.name)]
            case _:
                return self._target(section)

    # Matches

    def _basic(self, option: _Option) -> list[Step]:
        match option.name:
            case "-s" | "-d":
                which = Field.SADDR if option.name == "-s" else Field.DADDR
                return [_test(which, network(option.word), option)]
            case "-i" | "-o":
                which = Field.IIF if option.name == "-i" else Field.OIF
                return [_test(which, _interfaces(option.word), option)]
            case "-p":
                return [_test(Field.L4PROTO, single(number(option.word, Field.L4PROTO)), option)]
            case "-f":
                return [] if option.negated else [Never()]
            case name:
                raise UnreadableError(f"option {name[:40]}")

    def _extension(self, section: _Section) -> list[Step]:
        name, options = section.name, section.options
        if name in NO_MATCH:
            return []
        if name in OTHER_PROTOCOLS:
            return [Never()]
        if name in CONDITIONAL:
            return [Unknown(CONDITIONAL[name])]
        reader: Reader | None = {
            "tcp": self._tcp,
            "multiport": _multiport,
            "iprange": _iprange,
            "conntrack": self._conntrack,
            "state": self._conntrack,
            "mark": _mark,
            "connmark": _connmark,
            "set": self._set,
            "addrtype": self._addrtype,
            "pkttype": _pkttype,
            "length": _length,
            "ttl": _ttl,
            "hl": _ttl,
            "policy": _policy,
            "rpfilter": _rpfilter,
            "recent": _recent,
            "owner": _owner,
        }.get(name)
        if reader is None:
            raise UnreadableError(f"match {name[:40]}")
        return reader(options)

    def _tcp(self, options: list[_Option]) -> list[Step]:
        steps: list[Step] = []
        for option in options:
            match option.name:
                case "--dport" | "--sport":
                    which = Field.DPORT if option.name == "--dport" else Field.SPORT
                    steps.append(_test(which, port_range(option.word, ":"), option))
                case "--tcp-flags" if len(option.words) == 2:  # noqa: PLR2004
                    mask, wanted = map(_flags, option.words)
                    key = Selector(Field.TCP_FLAGS, mask)
                    steps.append(Match((key,), _one(single(wanted)), option.negated))
                case _:
                    steps.append(Unknown("TCP options"))
        return steps

    def _conntrack(self, options: list[_Option]) -> list[Step]:
        """Without a connection, xt_conntrack looks at the state alone, if it is asked for."""
        by_state = any(option.name in ("--ctstate", "--state") for option in options)
        steps: list[Step] = []
        for option in options:
            found = CT_VALUES.get(option.name)
            if option.name in ("--ctstate", "--state"):
                # xt_state knows no NAT; the names of it are not accepted there.
                mask = sum(number(name, Field.XT_STATE) for name in set(option.word.split(",")))
                key = Selector(Field.XT_STATE, mask)
                steps.append(Match((key,), _one(IntervalSet((1,))), option.negated))
            elif option.name == "--ctstatus" and option.word != "NONE":
                mask = sum(number(name, Field.CT_STATUS) for name in set(option.word.split(",")))
                key = Selector(Field.CT_STATUS, mask)
                steps.append(
                    Match((key,), _one(IntervalSet((1,))), option.negated, unconnected=by_state)
                )
            elif found is not None:
                which, read = found
                steps.append(
                    Match(
                        (Selector(which),),
                        _one(read(option.word)),
                        option.negated,
                        unconnected=by_state,
                    )
                )
            else:
                steps.append(Unknown(f"conntrack {option.name[:40]}"))
        return steps

    def _set(self, options: list[_Option]) -> list[Step]:
        if len(options) != 1 or options[0].name != "--match-set":
            names = " ".join(option.name for option in options)
            raise UnreadableError(f"ipset with {names[:60]}")
        (option,) = options
        if len(option.words) != 2:  # noqa: PLR2004
            raise UnreadableError("--match-set without a name and a direction")
        name, flags = option.words
        return self._sets.match(name, tuple(flags.split(",")), self._family, negated=option.negated)

    def _addrtype(self, options: list[_Option]) -> list[Step]:
        device: Field | None = None
        for option in options:
            if option.name == "--limit-iface-in":
                device = Field.IIF
            elif option.name == "--limit-iface-out":
                device = Field.OIF
        steps: list[Step] = []
        for option in options:
            if option.name in ("--src-type", "--dst-type"):
                of = Field.SADDR if option.name == "--src-type" else Field.DADDR
                key = Fib(of, FibResult.TYPE, device)
                types = self._types(option.word.split(","))
                steps.append(Match((key,), _one(types), option.negated))
        return steps

    def _types(self, names: list[str]) -> IntervalSet:
        """For IPv6, "unicast" is an address of that kind, whatever the routes say (match_type6)."""
        wanted = {route_type(name) for name in names}
        if self._family == 4:  # noqa: PLR2004
            return union(map(single, wanted))
        if len(wanted) > 1:
            raise UnreadableError("addrtype with several types")
        if wanted == {ROUTE_TYPES["unicast"]}:
            others = (ROUTE_TYPES["unspec"], ROUTE_TYPES["multicast"])
            return EVERYTHING - union(map(single, others))
        return union(map(single, wanted))

    # Targets

    def _target(self, section: _Section) -> list[Step]:
        name = section.name
        options = {option.name: option.words for option in section.options}
        if name in self._chains:
            return [Verdict(Kind.JUMP, name)]
        if name in VERDICTS:
            return [Verdict(VERDICTS[name])]
        if name in NO_EFFECT:
            return []
        if name in OPAQUE:
            return [Opaque(OPAQUE[name])]
        match name:
            case "NOTRACK":
                return [NoTrack()]
            case "CT":
                if "--notrack" in options:
                    return [NoTrack()]
                zone = any(option.startswith("--zone") for option in options)
                return [Opaque("conntrack zone")] if zone else []
            case "MARK" | "CONNMARK":
                return [_mark_target(name, options)]
            case "HMARK":
                change = MarkChange(unknown="a mark computed from what is not known")
                return [SetMark(Mark.PACKET, (), ((ANY, change),))]
            case "SNAT" | "MASQUERADE":
                return [Translate((), ((ANY, Target()),), source=True)]
            case "REDIRECT":
                ports = _first(options.get("--to-ports"))
                values = port_range(ports, "-") if ports else None
                return [Translate((), ((ANY, Target(ports=values, own=True)),))]
            case "DNAT":
                return [Translate((), ((ANY, self._destination(options)),))]
            case _:
                raise UnreadableError(f"target {name[:40]}")

    def _destination(self, options: Mapping[str, list[str]]) -> Target:
        """`--to-destination [address[-address]][:port[-port]]`; IPv6 in brackets before a port."""
        text = _first(options.get("--to-destination"))
        if not text or len(options["--to-destination"]) > 1:
            return Target(unknown="a translation of an unknown form")
        if self._family == 4 or text.count(":") == 1:  # noqa: PLR2004
            addresses, _, ports = text.partition(":")
        elif text.startswith("["):
            addresses, _, ports = text[1:].partition("]")
            ports = ports.removeprefix(":")
        else:
            addresses, ports = text, ""
        if "/" in ports:
            return Target(unknown="a translation of shifted ports")
        return Target(
            _address_range(addresses) if addresses else None,
            port_range(ports, "-") if ports else None,
        )


NO_MATCH = frozenset({"comment"})
# Of these a SYN over TCP has none: the rule does not match, negated or not.
OTHER_PROTOCOLS = frozenset(
    {
        "udp",
        "udplite",
        "sctp",
        "dccp",
        "icmp",
        "icmp6",
        "icmpv6",
        "ah",
        "esp",
        "frag",
        "rt",
        "hbh",
        "dst",
        "mh",
    }
)
CONDITIONAL = {
    "limit": "rate limit",
    "hashlimit": "rate limit",
    "connlimit": "number of connections",
    "quota": "quota",
    "statistic": "chance (statistic)",
    "time": "time of day",
    "mac": "MAC address",
    "u32": "bytes of the packet (u32)",
    "string": "bytes of the packet (string)",
    "bpf": "a program (bpf)",
    "dscp": "DSCP",
    "tos": "DSCP",
    "ecn": "ECN",
    "tcpmss": "TCP options",
    "socket": "state of a socket",
    "osf": "operating system of the client",
    "geoip": "country of the client (geoip)",
    "physdev": "a port of a bridge (physdev)",
    "connbytes": "bytes of the connection",
    "nfacct": "quota",
    "cpu": "which CPU",
    "cluster": "a hash",
}
VERDICTS = {
    "ACCEPT": Kind.ACCEPT,
    "DROP": Kind.DROP,
    "REJECT": Kind.DROP,
    "RETURN": Kind.RETURN,
}
NO_EFFECT = frozenset(
    {
        "LOG",
        "NFLOG",
        "ULOG",
        "AUDIT",
        "TRACE",
        "TEE",
        "SET",
        "CLASSIFY",
        "DSCP",
        "TOS",
        "TTL",
        "HL",
        "ECN",
        "TCPMSS",
        "TCPOPTSTRIP",
        "SECMARK",
        "CONNSECMARK",
        "CHECKSUM",
        "IDLETIMER",
        "LED",
        "RATEEST",
    }
)
OPAQUE = {
    "NFQUEUE": "the packet is handed to a program (NFQUEUE)",
    "QUEUE": "the packet is handed to a program (QUEUE)",
    "TPROXY": "transparent proxy (TPROXY)",
    "SYNPROXY": "SYNPROXY",
    "NETMAP": "a network is translated to another (NETMAP)",
}


def _one(values: IntervalSet) -> Content:
    return Content(((values,),))


def _test(which: Field, values: IntervalSet, option: _Option) -> Match:
    return Match((Selector(which),), _one(values), option.negated)


def _first(words: list[str] | None) -> str:
    return words[0] if words else ""


def _interfaces(name: str) -> IntervalSet:
    return interfaces_starting(name[:-1]) if name.endswith("+") else interface_named(name)


def _flags(names: str) -> int:
    flags = 0
    for name in names.split(","):
        flags |= {"ALL": 0x3F, "NONE": 0}.get(name) or (
            0 if name == "NONE" else number(name, Field.TCP_FLAGS)
        )
    return flags


def _multiport(options: list[_Option]) -> list[Step]:
    steps: list[Step] = []
    for option in options:
        ports = union(port_range(each, ":") for each in option.word.split(","))
        keys: tuple[Key, ...]
        match option.name:
            case "--dports":
                keys, rows = (Selector(Field.DPORT),), ((ports,),)
            case "--sports":
                keys, rows = (Selector(Field.SPORT),), ((ports,),)
            case "--ports":
                keys = (Selector(Field.SPORT), Selector(Field.DPORT))
                both: tuple[tuple[IntervalSet, ...], ...] = (
                    (ports, EVERYTHING),
                    (EVERYTHING, ports),
                )
                steps.append(Match(keys, Content(both), option.negated))
                continue
            case name:
                raise UnreadableError(f"multiport {name[:40]}")
        steps.append(Match(keys, Content(rows), option.negated))
    return steps


def _address_range(text: str) -> IntervalSet:
    first, dash, last = text.partition("-")
    try:
        low = parse_address(first)[1]
        return between(low, parse_address(last)[1]) if dash else single(low)
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def _iprange(options: list[_Option]) -> list[Step]:
    fields = {"--src-range": Field.SADDR, "--dst-range": Field.DADDR}
    steps: list[Step] = []
    for option in options:
        if option.name not in fields:
            raise UnreadableError(f"iprange {option.name[:40]}")
        steps.append(_test(fields[option.name], _address_range(option.word), option))
    return steps


def _ct_ports(text: str) -> IntervalSet:
    return port_range(text, ":")


CT_VALUES: Mapping[str, tuple[Field, Callable[[str], IntervalSet]]] = {
    "--ctorigsrc": (Field.CT_SADDR, network),
    "--ctorigdst": (Field.CT_DADDR, network),
    "--ctorigsrcport": (Field.CT_SPORT, _ct_ports),
    "--ctorigdstport": (Field.CT_DPORT, _ct_ports),
    "--ctproto": (Field.CT_PROTOCOL, lambda text: single(number(text, Field.CT_PROTOCOL))),
    "--ctdir": (Field.CT_DIRECTION, lambda text: single(number(text, Field.CT_DIRECTION))),
}


def _value_and_mask(text: str) -> tuple[int, int]:
    value, _, mask = text.partition("/")
    try:
        return int(value, 0), int(mask, 0) if mask else ALL_BITS
    except ValueError as error:
        raise UnreadableError(f"mark {text[:40]!r} is not known") from error


ALL_BITS = (1 << 32) - 1


def _mark(options: list[_Option]) -> list[Step]:
    return _marks(options, Field.MARK)


def _connmark(options: list[_Option]) -> list[Step]:
    return _marks(options, Field.CT_MARK)


def _marks(options: list[_Option], which: Field) -> list[Step]:
    steps: list[Step] = []
    for option in options:
        value, mask = _value_and_mask(option.word)
        steps.append(Match((Selector(which, mask),), _one(single(value)), option.negated))
    return steps


def _pkttype(options: list[_Option]) -> list[Step]:
    return [
        _test(Field.PKTTYPE, single(number(option.word, Field.PKTTYPE)), option)
        for option in options
    ]


def _length(options: list[_Option]) -> list[Step]:
    return [_test(Field.LENGTH, port_range(option.word, ":"), option) for option in options]


def _ttl(options: list[_Option]) -> list[Step]:
    steps: list[Step] = []
    for option in options:
        (value,) = port_range(option.word, ":").points[:1]
        kind = option.name.rpartition("-")[2]
        values = {
            "eq": single(value),
            "lt": between(0, value - 1),
            "gt": IntervalSet((value + 1,)),
        }.get(kind)
        if values is None:
            raise UnreadableError(f"TTL {option.name[:40]}")
        steps.append(_test(Field.TTL, values, option))
    return steps


def _policy(options: list[_Option]) -> list[Step]:
    """Of IPsec policies only the coarse question has an answer: a plain SYN came by none."""
    given = {option.name: option for option in options}
    if set(given) != {"--dir", "--pol"} or given["--dir"].word != "in":
        raise UnreadableError("IPsec policy")
    return [_test(Field.IPSEC, single(int(given["--pol"].word == "ipsec")), given["--pol"])]


def _rpfilter(options: list[_Option]) -> list[Step]:
    names = {option.name for option in options}
    if names - {"--loose", "--invert", "--validmark"}:
        raise UnreadableError("rpfilter with options")
    device = None if "--loose" in names else Field.IIF
    key = Fib(Field.SADDR, FibResult.DEVICE, device, marked="--validmark" in names)
    return [Match((key,), _one(IntervalSet((1,))), negated="--invert" in names)]


def _recent(options: list[_Option]) -> list[Step]:
    """`--set` only records, and always matches; without it the match asks the past."""
    names = {option.name for option in options}
    if "--set" in names and not names & {"--rttl"}:
        negated = next(option.negated for option in options if option.name == "--set")
        return [Never()] if negated else []
    return [Unknown("earlier packets (recent)")]


def _owner(options: list[_Option]) -> list[Step]:
    """Who sent a packet is known on the way out only; a SYN that comes in has no owner."""
    return [_test(Field.SOCKET, single(0), option) for option in options]


def _mark_target(name: str, options: Mapping[str, list[str]]) -> SetMark:
    mark = Mark.PACKET if name == "MARK" else Mark.CONNECTION
    if "--set-xmark" in options or "--set-mark" in options:
        exclusive = "--set-xmark" in options
        text = _first(options["--set-xmark" if exclusive else "--set-mark"])
        value, mask = _value_and_mask(text)
        # --set-mark clears the bits of the value, too: MARK_parse_v2().
        keep = ALL_BITS & ~(mask if exclusive else mask | value)
        return SetMark(mark, (), ((ANY, MarkChange(keep=keep, constant=value)),))
    of_packet = _mask(options, "--nfmask")
    of_connection = _mask(options, "--ctmask")
    if "--save-mark" in options:
        change = MarkChange(keep=ALL_BITS & ~of_connection, take=of_packet)
        return SetMark(Mark.CONNECTION, (), ((ANY, change),))
    if "--restore-mark" in options:
        change = MarkChange(keep=ALL_BITS & ~of_packet, take=of_connection)
        return SetMark(Mark.PACKET, (), ((ANY, change),))
    raise UnreadableError(f"target {name} with options")


def _mask(options: Mapping[str, list[str]], name: str) -> int:
    text = _first(options.get(name)) or _first(options.get("--mask"))
    return _value_and_mask(text)[0] if text else ALL_BITS
