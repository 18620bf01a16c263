"""Random nft rulesets: a skeleton of tables, sets and chains, and rules to add one by one."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.firewall.kernel.sources import Pool

PORTS = (25, 110, 143, 465, 587, 993, 995)
DEVICES = ("eth0", "eth1", "docker0", "lo")
STATES = ("new", "established", "related", "invalid", "untracked")
MARKS = (0, 1, 2, 3, 7, 0x10, 0x11, 0xFF)
PROTO = {4: "ip", 6: "ip6"}
OTHER_PROTO = {4: "ip6", 6: "ip"}
FAMILIES = {"ip": (4,), "ip6": (6,)}
CONTAINER = {4: "172.17.0.2", 6: "fd00:17::2"}
OTHER_OWN = {4: "192.0.2.11", 6: "2001:db8:1::11"}


@dataclass
class NftTable:
    """What rules of the table can refer to."""

    family: str
    name: str
    sets: dict[str, list[str]] = field(default_factory=dict)  # names by the key that they hold
    maps: list[tuple[str, str]] = field(default_factory=list)  # of verdicts: key and name
    growing: dict[str, list[str]] = field(default_factory=dict)  # dynamic sets by "ip", "ip6"
    marks: dict[str, list[str]] = field(default_factory=dict)  # maps to marks by their key

    @property
    def at(self) -> str:
        return f"{self.family} {self.name}"

    @property
    def families(self) -> tuple[int, ...]:
        return FAMILIES.get(self.family, (4, 6))


class NftRuleset:
    """Commands in their order; each may fail by itself without harm to the others.

    No table is dormant: listing one as JSON corrupts the memory of libnftables before 1.1.
    """

    def __init__(self, rng: random.Random, pool: Pool) -> None:
        self.rng = rng
        self.pool = pool
        self.commands: list[str] = []
        for index in range(rng.choice((1, 1, 1, 2, 2, 3))):
            self._table(NftTable(rng.choice(("ip", "ip6", "inet", "inet", "inet")), f"t{index}"))
        if self._chance(0.06):
            self._netdev()

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _no(self) -> str:
        return self.rng.choice(("", "", "", "!= "))

    # Tables

    def _table(self, table: NftTable) -> None:
        rng = self.rng
        self.commands.append(f"add table {table.at}")
        for index in range(rng.randrange(4)):
            self._set(table, f"s{index}")
        users = [f"u{index}" for index in range(rng.randrange(4))]
        self.commands += [f"add chain {table.at} {user}" for user in users]
        bases = [self._base(table, index) for index in range(rng.choice((1, 1, 2, 3)))]
        nat = self._nat_bases(table) if self._chance(0.3) else []
        if self._chance(0.4):
            self._verdict_map(table, users)
        if self._chance(0.15):
            self._mark_map(table)
        for position, user in enumerate(users):
            for _ in range(rng.randrange(5)):
                self._rule(table, user, users[:position])
        for base, hook in bases:
            self._rules(table, base, hook, users)
        if self._chance(0.1):
            self._source_nat(table)
        for chain in nat:
            for _ in range(rng.randrange(1, 4)):
                self._nat_rule(table, chain, users)

    def _rules(self, table: NftTable, base: str, hook: str, users: list[str]) -> None:
        if hook == "input" and self._chance(0.3):
            self._add(table, base, "ct state established,related accept")
        if hook in ("output", "postrouting") and self._chance(0.6):
            self._add(table, base, "ct state established accept")
        for _ in range(self.rng.choice((1, 2, 4, 8))):
            self._rule(table, base, users)

    def _nat_bases(self, table: NftTable) -> list[str]:
        names = [f"nat{index}" for index in range(self.rng.choice((1, 1, 2)))]
        for name in names:
            priority = self.rng.choice((-100, -100, -90, 20, -150))
            self.commands.append(
                f"add chain {table.at} {name} {{ type nat hook prerouting "
                f"priority {priority}; policy accept; }}"
            )
        return names

    def _add(self, table: NftTable, chain: str, rule: str) -> None:
        self.commands.append(f"add rule {table.at} {chain} {rule}")

    def _base(self, table: NftTable, index: int) -> tuple[str, str]:
        rng = self.rng
        hook = rng.choice(
            ("input",) * 8 + ("prerouting",) * 3 + ("forward", "output", "postrouting")
        )
        priority = rng.choice((-300, -250, -150, -101, -10, 0, 0, 0, 1, 10, 50, 99, 101, 150))
        policy = rng.choice(("accept", "accept", "drop"))
        if hook in ("output", "forward", "postrouting") and self._chance(0.7):
            policy = "accept"
        base = f"{hook}{index}"
        self.commands.append(
            f"add chain {table.at} {base} {{ type filter hook {hook} priority {priority}; "
            f"policy {policy}; }}"
        )
        return base, hook

    def _source_nat(self, table: NftTable) -> None:
        chain, hook = self.rng.choice((*(("src", "postrouting"),) * 3, ("srcin", "input")))
        family = self.rng.choice(table.families)
        which = f"{PROTO[family]} " if table.family == "inet" else ""
        self.commands.append(
            f"add chain {table.at} {chain} {{ type nat hook {hook} priority 100; }}"
        )
        translation = f"snat {which}to {OTHER_OWN[family]}"
        self._add(table, chain, f"{self._match(table, family)} {translation}")
        if hook == "postrouting":
            self._add(table, chain, f"{self._match(table, family)} masquerade")

    def _netdev(self) -> None:
        rng = self.rng
        table = NftTable("netdev", "nd")
        device = rng.choice(("eth0", "eth1"))
        base = f"hook {rng.choice(('ingress', 'ingress', 'egress'))} device {device}"
        priority = f"priority {rng.choice((-500, 0))}; policy accept;"
        self.commands += [
            "add table netdev nd",
            f"add chain netdev nd in {{ type filter {base} {priority} }}",
        ]
        for _ in range(rng.randrange(1, 4)):
            self._rule(table, "in", [])

    # Sets

    def _set(self, table: NftTable, name: str) -> None:
        rng, pool, family = self.rng, self.pool, self.rng.choice(table.families)
        address, proto = f"ipv{family}_addr", PROTO[family]
        source, service = f"{proto} saddr", f"{proto} saddr . tcp dport"
        match rng.choice(
            ("one", "range", "range", "port", "pair", "pair range", "timeout", "dynamic", "device")
        ):
            case "port":
                self._add_set(table, name, "type inet_service;", self._ports(), "tcp dport")
            case "device":
                names = [f'"{each}"' for each in rng.sample(DEVICES, 2)]
                self._add_set(table, name, "type ifname;", names, "iifname")
            case "pair":
                pairs = [f"{pool.address(family)} . {rng.choice(PORTS)}" for _ in range(4)]
                self._add_set(table, name, f"type {address} . inet_service;", pairs, service)
            case "pair range":
                pairs = [
                    f"{self._element(family)} . {rng.choice((rng.choice(PORTS), '100-600', 993))}"
                    for _ in range(rng.randrange(1, 5))
                ]
                spec = f"type {address} . inet_service; flags interval;"
                self._add_set(table, name, spec, pairs, service)
            case "range":
                elements = [self._element(family) for _ in range(rng.randrange(1, 7))]
                spec = f"type {address}; flags interval; auto-merge;"
                self._add_set(table, name, spec, elements, source)
            case "timeout":
                elements = [f"{pool.address(family)} timeout 1h" for _ in range(4)]
                self._add_set(table, name, f"type {address}; flags timeout;", elements, source)
            case "dynamic":
                spec = f"type {address}; size 65535; flags dynamic,timeout; timeout 1h;"
                self._add_set(table, name, spec, [pool.address(family)], source)
                if self._chance(0.3):
                    table.growing.setdefault(proto, []).append(name)
            case _:
                elements = [pool.address(family) for _ in range(rng.randrange(1, 6))]
                self._add_set(table, name, f"type {address};", elements, source)

    def _add_set(
        self, table: NftTable, name: str, spec: str, elements: Sequence[str], key: str
    ) -> None:
        self.commands.append(f"add set {table.at} {name} {{ {spec} }}")
        if self._chance(0.9):
            self.commands += [f"add element {table.at} {name} {{ {each} }}" for each in elements]
        table.sets.setdefault(key, []).append(name)

    def _verdict_map(self, table: NftTable, users: list[str]) -> None:
        family = self.rng.choice(table.families)
        name = f"vm{len(table.maps)}"
        self.commands.append(
            f"add map {table.at} {name} {{ type ipv{family}_addr : verdict; flags interval; }}"
        )
        for _ in range(self.rng.randrange(1, 6)):
            entry = f"{self._element(family)} : {self._map_verdict(users)}"
            self.commands.append(f"add element {table.at} {name} {{ {entry} }}")
        table.maps.append((f"{PROTO[family]} saddr", name))

    def _mark_map(self, table: NftTable) -> None:
        family = self.rng.choice(table.families)
        self.commands.append(f"add map {table.at} mm0 {{ type ipv{family}_addr : mark; }}")
        for _ in range(self.rng.randrange(4)):
            entry = f"{self.pool.address(family)} : {self.rng.choice(MARKS)}"
            self.commands.append(f"add element {table.at} mm0 {{ {entry} }}")
        table.marks[f"{PROTO[family]} saddr"] = ["mm0"]

    def _element(self, family: int) -> str:
        match self.rng.randrange(3):
            case 0:
                return self.pool.address(family)
            case 1:
                return self.pool.network(family)
            case _:
                return "-".join(self.pool.span(family))

    def _ports(self) -> list[str]:
        return [str(each) for each in self.rng.sample(PORTS, self.rng.randrange(1, 5))]

    # Rules

    def _rule(self, table: NftTable, chain: str, users: list[str]) -> None:
        rng = self.rng
        family = rng.choice(table.families)
        parts = []
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4))):
            parts.append(self._match(table, family))
            if self._chance(0.08):
                parts.append(self._statement(table, family))
        if self._chance(0.2):
            parts.append(rng.choice(("counter", 'log prefix "x "')))
        if self._chance(0.12):
            parts.append(self._statement(table, family))
        if self._chance(0.12):
            parts.append(self._dispatch(table, family, users))
        elif self._chance(0.85):
            parts.append(self._verdict(users))
        if (
            parts
            and parts[-1].startswith("reject with icmp ")
            and "meta protocol ip6" in " ".join(parts)
            and any(part.startswith("ip ") for part in parts)
        ):
            # nft leaves it out of the listing, without a trace, beside a match of IPv4.
            parts[-1] = "drop"
        if self._chance(0.1):
            parts.append(f'comment "c{rng.randrange(99)}"')
        if parts:
            self._add(table, chain, " ".join(parts))

    def _verdict(self, users: list[str]) -> str:
        choices = ["accept"] * 5 + ["drop"] * 3 + ["return", "continue"]
        if users:
            user = self.rng.choice(users)
            choices += [f"jump {user}"] * 4 + [f"goto {user}"] * 2
        verdict = self.rng.choice(choices)
        if verdict == "drop" and self._chance(0.2):
            kind = ("tcp reset", "icmpx port-unreachable", "icmp port-unreachable")
            return f"reject with {self.rng.choice(kind)}"
        return verdict

    def _map_verdict(self, users: list[str]) -> str:
        verdict = self._verdict(users)
        return "drop" if verdict.startswith("reject") else verdict

    def _cases(self, keys: Sequence[str], users: list[str]) -> str:
        return "{ " + ", ".join(f"{key} : {self._map_verdict(users)}" for key in keys) + " }"

    def _dispatch(self, table: NftTable, family: int, users: list[str]) -> str:
        rng, pool = self.rng, self.pool
        source = f"{PROTO[family]} saddr"
        maps = [name for key, name in table.maps if key == source]
        if maps and self._chance(0.25):
            return f"{source} vmap @{rng.choice(maps)}"
        match rng.randrange(9):
            case 0:
                key, keys = "tcp dport", [*self._ports(), *rng.choice(((), ("*",)))]
            case 1:
                key, keys = "ct state", rng.sample(STATES, 3)
            case 2:
                key, keys = "iifname", rng.sample(DEVICES, 2)
            case 3:
                key, keys = "meta l4proto", ["tcp", "udp"]
            case 4:
                key, keys = source, [pool.network(family)]
            case 5:
                key, keys = source, [pool.address(family), "*"]
            case 6:
                key = f"{source} . tcp dport"
                keys = [f"{self._element(family)} . {rng.choice(PORTS)}"]
            case 7:
                key, keys = "ct mark", ["0", "0x11"]
            case _:
                key, keys = "meta mark", ["0", "1-16", "0x11"]
        return f"{key} vmap {self._cases(keys, users)}"

    def _statement(self, table: NftTable, family: int) -> str:
        """Something that changes the packet, or nothing at all."""
        rng, pool, mark = self.rng, self.pool, self.rng.choice(MARKS)
        source = f"{PROTO[family]} saddr"
        growing = table.growing.get(PROTO[family])
        if growing and self._chance(0.2):
            operation = rng.choice(("add", "add", "update", "delete"))
            rate = rng.choice(("", "", " limit rate 100000/second"))
            return f"{operation} @{rng.choice(growing)} {{ {source}{rate} }}"
        if table.marks.get(source) and self._chance(0.2):
            return f"meta mark set {source} map @{rng.choice(table.marks[source])}"
        if self._chance(0.01):
            return f"meta mark set jhash {source} mod 2"
        return rng.choice(
            (
                f"meta mark set {mark}",
                f"meta mark set {mark}",
                f"ct mark set {mark}",
                "meta mark set ct mark",
                "ct mark set meta mark",
                f"meta mark set meta mark or {mark:#x}",
                f"meta mark set meta mark and {rng.choice((0xFFFFFFF0, 0xF0, 3)):#x}",
                f"meta mark set meta mark xor {mark:#x}",
                f"meta mark set tcp dport map {{ 25 : 1, 143 : 0x10, 993 : {mark} }}",
                f"meta mark set tcp dport map {{ 25 : 1, * : {mark} }}",
                f"meta mark set {source} map {{ {pool.network(family)} : 1, * : {mark} }}",
                f"meta mark set {source} map {{ {pool.network(family)} : {mark} }}",
                "ct mark set ct mark or 0x10",
                "ct mark set meta mark and 0xf0",
                "meta mark set ct mark and 0x0f xor 0x1",
                "notrack",
                "meta priority set 1:2",
                "ip dscp set cs1",
                "tcp option maxseg size set 1200",
                "counter",
            )
        )

    # Matches

    def _match(self, table: NftTable, family: int) -> str:
        rng = self.rng
        kind = rng.randrange(30)
        if kind < 7:
            return self._by_address(family)
        if kind < 13:
            target = rng.choice(
                (
                    str(rng.choice(PORTS)),
                    "{ " + ", ".join(self._ports()) + " }",
                    rng.choice(("100-600", "465-995", "143-143")),
                )
            )
            return f"tcp dport {self._no()}{target}"
        keys = [key for key in table.sets if not key.startswith(f"{OTHER_PROTO[family]} ")]
        if kind < 17 and keys:
            key = rng.choice(keys)
            return f"{key} {self._no()}@{rng.choice(table.sets[key])}"
        # Few, for they are undecided by design.
        if self._chance(0.015):
            return self._by_chance()
        reader: Callable[[NftTable, int], str] = rng.choice(
            (
                self._by_connection,
                self._by_mark,
                self._by_packet,
                self._by_device,
                self._by_parts,
                self._by_route,
                self._by_some_addresses,
            )
        )
        return reader(table, family)

    def _by_address(self, family: int) -> str:
        pool, proto = self.pool, PROTO[family]
        if self._chance(0.15):
            return f"{proto} daddr {self._no()}{pool.own(family)}"
        match self.rng.randrange(5):
            case 0:
                target = pool.address(family)
            case 1:
                target = pool.network(family)
            case 2:
                target = "-".join(pool.span(family))
            case 3:
                target = "{ " + ", ".join(sorted({pool.address(family) for _ in range(3)})) + " }"
            case _:
                target = f"{{ {pool.network(family)}, {pool.address(family)} }}"
        return f"{proto} saddr {self._no()}{target}"

    # `ct l3proto` and `ct protocol` with one value are often left out of nft's listing.
    def _by_connection(self, table: NftTable, family: int) -> str:
        rng, no = self.rng, self._no()
        origin = f"{PROTO[family]} saddr" if table.family == "inet" else "saddr"
        return rng.choice(
            (
                f"ct state {no}{rng.choice(STATES)}",
                f"ct state {rng.choice(STATES)},{rng.choice(STATES)}",
                f"ct state {no}{{ invalid, new }}",
                f"ct state ! {rng.choice(STATES)}",
                f"ct status {rng.choice(('', '! '))}dnat",
                f"ct status {rng.choice(('seen-reply', 'confirmed', '! confirmed'))}",
                f"ct original proto-dst {no}{rng.choice(PORTS)}",
                f"ct direction {rng.choice(('original', 'reply'))}",
                f"ct original {origin} {self.pool.network(family)}",
                f"ct original {origin.replace('saddr', 'daddr')} {self.pool.own(family)}",
                f"ct original proto-src {no}25",
                f"ct state . tcp dport {no}{{ new . 25, established . 993 }}",
                f"ct l3proto {no}{{ ipv4, ipv6 }}",
                f"ct l3proto != {rng.choice(('ipv4', 'ipv6'))}",
                f"ct protocol {no}{{ tcp, udp }}",
                "ct protocol != udp",
            )
        )

    def _by_mark(self, _: NftTable, __: int) -> str:
        rng, no, mark = self.rng, self._no(), self.rng.choice(MARKS)
        some_bits = rng.choice((0, 1, 16))
        return rng.choice(
            (
                f"ct mark {no}{mark}",
                f"ct mark and 0xf0 {no or '== '}0x10",
                f"meta mark {no}{mark}",
                f"meta mark {rng.choice(('1-16', '{ 1, 2 }'))}",
                f"meta mark and {rng.choice((0xF0, 1, 0xF)):#x} {no or '== '}{some_bits}",
                f"meta mark and 0x1 != 0x1 meta mark {no}0x11",
                f"tcp dport . meta mark {no}{{ 25 . 0, 143 . 1, 993 . 0x10 }}",
            )
        )

    def _by_packet(self, table: NftTable, family: int) -> str:
        rng, no = self.rng, self._no()
        protocol = "ip protocol tcp" if family == 4 else "ip6 nexthdr tcp"
        # In a table of one family nft accepts `meta protocol` and does not show it.
        by_family: tuple[str, ...] = (
            (f"meta protocol {PROTO[family]}", f"meta nfproto {rng.choice(('ipv4', 'ipv6'))}")
            if table.family == "inet"
            else ()
        )
        return rng.choice(
            (
                f"meta l4proto {no}{rng.choice(('tcp', 'udp', '{ tcp, icmp }'))}",
                f"tcp flags {rng.choice(('syn', '! syn', '!= syn', '{ fin, syn }'))}",
                "tcp flags syn / fin,syn,rst,ack",
                "tcp flags & (syn|rst) == syn|rst",
                f"tcp sport {rng.choice(('!= 53', '>= 1024', '< 1024', '1024-65535', '993'))}",
                f"udp dport {no}53",
                f"th dport {no}{rng.choice(PORTS)}",
                f"meta length {rng.choice(('> 10', '< 1000'))}",
                f"meta pkttype {no}host",
                protocol,
                *by_family,
                rng.choice(("exthdr hbh exists", "frag id 5")) if family == 6 else protocol,
                f"th sport {no}25",
                "meta secpath missing",
                f"@th,16,16 {no}{rng.choice(PORTS)}",
                "meta skuid 0",
            )
        )

    def _by_device(self, _: NftTable, __: int) -> str:
        rng, no = self.rng, self._no()
        return rng.choice(
            (
                f"iifname {no}{rng.choice((*DEVICES, 'eth*', 'docker*'))}",
                f"iif {no}{rng.choice(('eth0', 'eth1', 'lo'))}",
                f"iifname {no}{{ eth0, docker0 }}",
                f"oifname {no}{rng.choice(('docker0', 'eth*'))}",
            )
        )

    def _by_parts(self, _: NftTable, family: int) -> str:
        """Concatenations."""
        rng, pool, proto, no = self.rng, self.pool, PROTO[family], self._no()
        match rng.randrange(6):
            case 0:
                pairs = f"eth0 . {pool.address(family)}, eth1 . {pool.address(family)}"
                return f"iifname . {proto} saddr {no}{{ {pairs} }}"
            case 1:
                return f"meta l4proto . th dport {no}{{ tcp . 25, udp . 993, tcp . 993 }}"
            case 2:
                pairs = f"{pool.network(family)} . 25, {pool.address(family)} . 100-600"
                return f"{proto} saddr . tcp dport {no}{{ {pairs} }}"
            case 3:
                return f"{proto} saddr . iifname {no}{{ {pool.network(family)} . eth0 }}"
            case 4:
                own = pool.own_address(family)
                return f"{proto} daddr . {proto} saddr {no}{{ {own} . {pool.network(family)} }}"
            case _:
                return f'iifname . tcp dport {no}{{ eth0 . 25, "eth1" . 100-600 }}'

    def _by_route(self, _: NftTable, __: int) -> str:
        rng, no = self.rng, self._no()
        device, kind = rng.choice(("", ". iif ")), rng.choice(("local", "unicast"))
        return rng.choice(
            (
                f"fib daddr {device}type {no}{kind}",
                f"fib saddr type {no}{rng.choice(('local', 'unicast', 'broadcast'))}",
                f"fib saddr . iif oif {rng.choice(('exists', 'missing'))}",
                f"fib saddr oif {rng.choice(('exists', 'missing'))}",
                f"fib saddr oifname {no}eth0",
                f"fib saddr . mark . iif oif {rng.choice(('exists', 'missing'))}",
            )
        )

    def _by_some_addresses(self, _: NftTable, family: int) -> str:
        rng, pool, proto, no = self.rng, self.pool, PROTO[family], self._no()
        match rng.randrange(4):
            case 3:
                first, last = pool.span(family)
                return f"{proto} saddr < {last} {proto} saddr > {first}"
            case 0:
                return f"{proto} saddr {rng.choice(('<', '>', '<=', '>='))} {pool.address(family)}"
            case 1 if family == 4:
                masked = f"{rng.choice((10, 8, 45))}.0.{rng.randrange(3)}.0"
                return f"ip saddr and 255.0.255.0 {no or '== '}{masked}"
            case 1:
                start = pool.network(6, longest=32).partition("/")[0]
                return f"ip6 saddr and ffff:ffff:: {no or '== '}{start}"
            case _:
                return f"{proto} saddr {no}{{ {pool.address(family)}, * }}"

    def _by_chance(self) -> str:
        """What the engine cannot know from a capture."""
        return self.rng.choice(
            (
                "limit rate 100000/second burst 50000 packets",
                "limit rate over 100000/second burst 50000 packets",
                "ct count over 5000",
                "ether saddr 00:11:22:33:44:55",
                "numgen random mod 2 0",
                "meta iiftype ether",
                "meta cpu 0",
                "rt classid 0",
                'meta hour "08:00"-"17:00"',
                "quota over 1 gbytes",
            )
        )

    # NAT

    def _nat_rule(self, table: NftTable, chain: str, users: list[str]) -> None:
        rng = self.rng
        family = rng.choice(table.families)
        proto, container, other = PROTO[family], CONTAINER[family], OTHER_OWN[family]
        with_port = container if family == 4 else f"[{container}]"
        other_with_port = other if family == 4 else f"[{other}]"
        to = f"dnat {f'{proto} ' if table.family == 'inet' else ''}to"
        places = f"25 : {container} . 993, 143 : {other} . 25"
        last_container = f"{container[:-1]}{rng.choice((2, 3))}"
        port, network = rng.choice(PORTS), self.pool.network(family)
        action = rng.choice(
            (
                f"redirect to :{rng.choice((1993, 2525, 10143, 143, 7777))}",
                "redirect",
                f"{to} {with_port}:993",
                f"{to} {container}",
                f"{to} {other_with_port}:{port}",
                f"{to} tcp dport map {{ 25 : {container}, 993 : {other} }}",
                self._verdict(users),
                "redirect to :tcp dport map { 25 : 2525, 993 : 1993 }",
                f"{to} {with_port}:100-600",
                f"{to} {container}-{last_container}",
                f"{to.replace(' to', ' addr . port to')} tcp dport map {{ {places} }}",
                "redirect to :2000-2100",
                f"{to} {proto} saddr map {{ {network} : {container}, * : {other} }}",
                f"dnat to :{port}",
            )
        )
        matches = [f"tcp dport {rng.choice((port, '{ 25, 143, 993 }', '100-600'))}"]
        if self._chance(0.6):
            matches.append(self._match(table, family))
        if self._chance(0.3):
            matches.reverse()
        self._add(table, chain, f"{' '.join(matches)} {action}")
