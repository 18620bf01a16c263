"""Random texts for iptables-restore, ip6tables-restore and ipset restore."""

import random
from typing import Literal

from tests.firewall.kernel.filters import HOOKS
from tests.firewall.kernel.nft_rulesets import CONTAINER, OTHER_OWN, PORTS
from tests.firewall.kernel.sources import Pool

DEVICES = ("eth0", "eth1", "docker0", "lo", "eth+")
ARRIVING = ("INPUT", "PREROUTING")
OPTIONAL_TABLES = (("mangle", 0.35), ("raw", 0.2), ("nat", 0.35), ("security", 0.1))
MOST_RULES = {"INPUT": 8, "PREROUTING": 4, "FORWARD": 2, "OUTPUT": 2}

Tool = Literal["legacy", "nft", "translate"]


class IptablesRuleset:
    """One text per family; the ipsets are for both."""

    def __init__(self, rng: random.Random, pool: Pool, tool: Tool) -> None:
        self.rng = rng
        self.pool = pool
        self.sets: list[str] = []
        self._lists: set[str] = set()
        self._table = ""  # that is being written
        self._names: dict[int, list[tuple[str, str]]] = {4: [], 6: []}  # with usual directions
        if tool != "translate":
            for index in range(rng.randrange(6)):
                self._set(f"is{index}")
        self.texts = {family: tuple(self._text(family)) for family in (4, 6)}

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _no(self) -> str:
        return self.rng.choice(("", "", "", "! "))

    # ipset

    def _set(self, name: str) -> None:
        rng = self.rng
        family = rng.choice((4, 4, 6))
        inet = "inet" if family == 4 else "inet6"
        kind = rng.choice(
            (
                "hash:ip",
                "hash:net",
                "hash:net",
                "hash:ip,port",
                "hash:net,port",
                "hash:net,iface",
                "bitmap:port",
                "bitmap:ip",
                rng.choice(("bitmap:ip", "bitmap:ip,mac")),
                "list:set",
                "list:set",
                "netmask",
                "hash:ip,port,ip",
                "hash:ip,port,net",
            )
        )
        match kind:
            case "bitmap:port":
                self.sets.append(f"create {name} bitmap:port range 0-1024")
                elements = [str(port) for port in rng.sample(PORTS, 3)]
            case "bitmap:ip":
                family = 4
                self.sets.append(f"create {name} bitmap:ip range 203.0.113.0-203.0.113.255")
                elements = [f"203.0.113.{rng.randrange(256)}" for _ in range(4)]
            case "bitmap:ip,mac":
                family = 4
                self.sets.append(f"create {name} bitmap:ip,mac range 203.0.113.0-203.0.113.255")
                elements = [f"203.0.113.{rng.randrange(256)},00:11:22:33:44:55"]
            case "list:set":
                self._list(name)
                return
            case "netmask":
                mask = 24 if family == 4 else 64
                self.sets.append(f"create {name} hash:ip family {inet} netmask {mask}")
                elements = [self.pool.address(family) for _ in range(3)]
            case _:
                timeout = " timeout 3600" if self._chance(0.1) else ""
                self.sets.append(f"create {name} {kind} family {inet}{timeout}")
                elements = [self._element(kind, family) for _ in range(rng.randrange(1, 7))]
        directions = {
            "bitmap:port": "dst",
            "hash:net,iface": "src,src",
            "hash:ip,port": "src,dst",
            "hash:net,port": "src,dst",
            "hash:ip,port,net": "src,dst,dst",
            "hash:ip,port,ip": "src,dst,dst",
            "bitmap:ip,mac": "src,src",
        }.get(kind, "src")
        # One element may be there once, with `nomatch` or without it.
        once = {element.removesuffix(" nomatch"): element for element in elements}
        self.sets += [f"add {name} {element} -exist" for element in once.values()]
        for each in (4, 6) if kind == "bitmap:port" else (family,):
            self._names[each].append((name, directions))

    def _list(self, name: str) -> None:
        names = {each for each, _ in self._names[4] + self._names[6]}
        members = sorted(names - self._lists)  # a list holds no lists
        if not members:
            return
        self._lists.add(name)
        self.sets.append(f"create {name} list:set")
        self.sets += [
            f"add {name} {member} -exist" for member in sorted(set(self.rng.choices(members, k=3)))
        ]
        for family in (4, 6):
            directions = self.rng.choice(("src", "src,dst", "src,src"))
            self._names[family].append((name, directions))

    def _element(self, kind: str, family: int) -> str:
        rng, pool = self.rng, self.pool
        parts: list[str] = []
        for part in kind.partition(":")[2].split(","):
            match part:
                case "ip":
                    parts.append(pool.own_address(family) if parts else pool.address(family))
                case "net":
                    parts.append(pool.own(family) if parts else pool.network(family))
                case "port":
                    protocol = rng.choice(("tcp", "tcp", "udp"))
                    parts.append(f"{protocol}:{rng.choice(PORTS)}")
                case "iface":
                    parts.append(rng.choice(("eth0", "eth1", "lo")))
        nomatch = kind.startswith("hash:net") and self._chance(0.25)
        return f"{','.join(parts)} nomatch" if nomatch else ",".join(parts)

    # Tables

    def _text(self, family: int) -> list[str]:
        rng = self.rng
        lines = []
        for table in (
            "filter",
            *(name for name, chance in OPTIONAL_TABLES if self._chance(chance)),
        ):
            users = [f"{table}-u{index}" for index in range(rng.randrange(4))]
            self._table = table
            lines.append(f"*{table}")
            for hook in HOOKS[table]:
                chance = 0.4 if hook == "INPUT" else 0.15
                drop = table == "filter" and self._chance(chance)
                lines.append(f":{hook} {'DROP' if drop else 'ACCEPT'} [0:0]")
            lines += [f":{user} - [0:0]" for user in users]
            for position, user in enumerate(users):
                lines += [
                    self._rule(family, table, user, users[:position])
                    for _ in range(rng.randrange(5))
                ]
            for hook in HOOKS[table]:
                most = 1 if table == "nat" and hook != "PREROUTING" else MOST_RULES.get(hook, 1)
                lines += [
                    self._rule(family, table, hook, users) for _ in range(rng.randrange(most + 1))
                ]
            lines.append("COMMIT")
        return lines

    def _rule(self, family: int, table: str, chain: str, users: list[str]) -> str:
        rng = self.rng
        words = []
        if self._chance(0.45):
            words.append(f"{self._no()}-s {self.pool.network(family)}")
        if self._chance(0.1):
            words.append(f"{self._no()}-d {self.pool.own(family)}")
        if self._chance(0.15) and chain not in ("OUTPUT", "POSTROUTING"):
            words.append(f"{self._no()}-i {rng.choice(DEVICES)}")
        if self._chance(0.05) and chain in ("OUTPUT", "POSTROUTING", "FORWARD"):
            words.append(f"{self._no()}-o {rng.choice(DEVICES)}")
        tcp = self._chance(0.6)
        if tcp:
            words.append(f"-p tcp {self._tcp()}")
        elif self._chance(0.05):
            words.append(f"! -p {rng.choice(('tcp', 'udp'))}")
        elif self._chance(0.1):
            words.append("-p udp -m udp --dport 53")
        words += [self._match(family, chain) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
        words.append(self._target(family, table, chain, users, tcp=tcp))
        return f"-A {chain} {' '.join(filter(None, words))}"

    # Matches

    def _tcp(self) -> str:
        rng, no = self.rng, self._no()
        ports = ",".join(str(port) for port in rng.sample(PORTS, rng.randrange(1, 5)))
        return rng.choice(
            (
                "",
                f"-m tcp {no}--dport {rng.choice(PORTS)}",
                f"-m tcp {no}--dport 100:600",
                f"-m multiport {no}--dports {ports}",
                f"-m multiport --dports {ports},100:150",
                f"-m multiport {no}--ports {ports}",
                f"-m multiport {no}--sports 1024:65535",
                f"-m tcp {no}--sport 1024:65535",
                f"-m tcp {no}--tcp-flags FIN,SYN,RST,ACK SYN",
                f"-m tcp ! --sport 53 {no}--dport 110",
                "-m tcp --tcp-flags SYN,RST SYN,RST",
                "-m tcp --tcp-flags ALL NONE",
                "-m tcp --syn",
                "-m tcp --tcp-option 8" if self._chance(0.1) else "",
            )
        )

    def _match(self, family: int, chain: str) -> str:
        rng, names = self.rng, self._names[family]
        if names and self._chance(0.35):
            name, directions = rng.choice(names)
            if self._chance(0.1):
                directions = rng.choice(("src", "dst", "src,dst"))
            return f"-m set {self._no()}--match-set {name} {directions}"
        if self._chance(0.03):
            return self._by_chance(chain)
        reader = rng.choice((self._by_connection, self._by_packet, self._by_address))
        return reader(family, chain)

    def _by_connection(self, family: int, _: str) -> str:
        rng, no = self.rng, self._no()
        states = rng.choice(
            (
                "NEW",
                "RELATED,ESTABLISHED",
                "INVALID",
                "UNTRACKED",
                "NEW,UNTRACKED",
                "DNAT",
                "NEW,DNAT",
            )
        )
        state = rng.choice(("NEW", "INVALID", "RELATED,ESTABLISHED"))
        port = rng.choice((993, "100:200", rng.choice(PORTS)))
        return rng.choice(
            (
                f"-m conntrack {no}--ctstate {states}",
                f"-m conntrack {no}--ctstate {states}",
                f"-m state {no}--state {state}",
                f"-m conntrack --ctstate NEW {no}--ctorigdstport {port}",
                f"-m conntrack {no}--ctorigdstport {port}",
                "-m conntrack --ctdir ORIGINAL",
                f"-m conntrack {no}--ctstatus SEEN_REPLY",
                f"-m conntrack {no}--ctorigdst {self.pool.own(family)}",
                f"-m conntrack {no}--ctorigsrc {self.pool.network(family)}",
                f"-m conntrack --ctproto tcp --ctstate {states}",
            )
        )

    def _by_packet(self, family: int, chain: str) -> str:
        rng, no = self.rng, self._no()
        mark = rng.choice(("0x1", "0x10", "0x0", "0x10/0xf0", "0x1/0x1"))
        return rng.choice(
            (
                f"-m mark {no}--mark {mark}",
                f"-m mark {no}--mark {mark}",
                f"-m connmark {no}--mark {rng.choice(('0x1', '0x11', '0x0'))}",
                f"-m pkttype {no}--pkt-type unicast",
                "-m length --length 10:1000",
                '-m comment --comment "x y"',
                "-m ttl --ttl-gt 0" if family == 4 else "-m hl --hl-gt 0",
                "-m policy --dir in --pol none" if chain in ARRIVING else "",
                "-m recent --set --name R1 --rsource",
                "-m owner --uid-owner 0" if chain == "OUTPUT" else "",
            )
        )

    def _by_address(self, family: int, chain: str) -> str:
        rng, pool, no = self.rng, self.pool, self._no()
        limit = ""
        if self._chance(0.3) and chain in (*ARRIVING, "FORWARD", "OUTPUT", "POSTROUTING"):
            limit = "--limit-iface-in" if chain in ARRIVING else "--limit-iface-out"
        kind = rng.choice(("LOCAL", "UNICAST", "MULTICAST", "LOCAL,MULTICAST"))
        match rng.randrange(6):
            case 0:
                return f"-m addrtype {no}--dst-type {kind} {limit}"
            case 1:
                return f"-m addrtype {no}--src-type {kind}"
            case 2:
                first, last = sorted((pool.own_address(family), pool.own_address(family)))
                return f"-m iprange {no}--dst-range {first}-{last}"
            case 3 if chain == "PREROUTING" and self._table in ("raw", "mangle"):
                return f"-m rpfilter {rng.choice(('', '--loose', '--invert', '--validmark'))}"
            case _:
                return f"-m iprange {no}--src-range {'-'.join(pool.span(family))}"

    def _by_chance(self, chain: str) -> str:
        """What the engine cannot know from a capture."""
        return self.rng.choice(
            (
                "-m limit --limit 10000/sec --limit-burst 10000",
                "-m hashlimit --hashlimit-upto 5000/sec --hashlimit-name h1",
                "-m connlimit --connlimit-above 1000 --connlimit-saddr",
                "-m recent --rcheck --seconds 60 --name R1 --rsource",
                "-m statistic --mode random --probability 0.5",
                "-m mac --mac-source 00:11:22:33:44:55" if chain == "INPUT" else "",
                "-m time --timestart 08:00 --timestop 17:00",
                '-m u32 --u32 "0&0xFF=1"',
                "-m string --string x --algo bm",
                "-m physdev --physdev-in vethc",
                "-m dscp --dscp 0x10",
            )
        )

    # Targets

    def _target(self, family: int, table: str, chain: str, users: list[str], *, tcp: bool) -> str:
        rng = self.rng
        if self._chance(0.05):
            return ""
        if self._names[family] and table in ("filter", "mangle") and self._chance(0.008):
            name, directions = rng.choice(self._names[family])
            return f"-j SET --add-set {name} {directions}"
        if table == "nat" and chain in ("POSTROUTING", "INPUT") and self._chance(0.3):
            masquerade = ["-j MASQUERADE"] if chain == "POSTROUTING" else []
            return rng.choice([f"-j SNAT --to-source {OTHER_OWN[family]}", *masquerade])
        if table == "nat" and tcp and chain not in ("OUTPUT", "INPUT", "POSTROUTING"):
            return rng.choice(self._translations(family, users))
        verdicts = ["-j ACCEPT"] * 5 + ["-j RETURN", '-j LOG --log-prefix "x "']
        if table != "nat":
            verdicts += ["-j DROP"] * 3
        if table == "filter":
            verdicts.append("-j REJECT --reject-with tcp-reset" if tcp else "-j REJECT")
        if users and (table != "nat" or chain == "PREROUTING" or chain in users):
            verdicts += [f"-j {rng.choice(users)}"] * 3 + [f"-g {rng.choice(users)}"]
        if table == "mangle":
            verdicts += self._marks() * 2
            if chain in ("FORWARD", "OUTPUT", "POSTROUTING"):
                verdicts.append("-j CLASSIFY --set-class 1:2")
            verdicts.append("-j TTL --ttl-set 64" if family == 4 else "-j HL --hl-set 64")
            if self._chance(0.2):
                verdicts.append("-j HMARK --hmark-tuple src --hmark-mod 2 --hmark-rnd 1")
        if table == "raw" and self._chance(0.03):
            return "-j CT --zone 1"
        if table == "raw":
            verdicts += ["-j CT --notrack"] * 4 + ["-j NOTRACK"]
        return rng.choice(verdicts)

    def _marks(self) -> list[str]:
        rng = self.rng
        return [
            f"-j MARK --set-mark {rng.choice(('0x1', '0x10', '0x11', '0x10/0xf0'))}",
            f"-j MARK --or-mark {rng.choice(('0x1', '0x10'))}",
            "-j MARK --and-mark 0xf0",
            "-j MARK --xor-mark 0x11",
            "-j MARK --set-xmark 0x3/0x1",
            f"-j CONNMARK --set-mark {rng.choice(('0x1', '0x11'))}",
            "-j CONNMARK --save-mark",
            "-j CONNMARK --restore-mark",
            "-j CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xff",
            "-j CONNMARK --restore-mark --nfmask 0x1 --ctmask 0x11",
        ]

    def _translations(self, family: int, users: list[str]) -> list[str]:
        rng = self.rng
        container, other = CONTAINER[family], OTHER_OWN[family]
        if family == 6:
            container, other = f"[{container}]", f"[{other}]"
        return [
            "-j REDIRECT",
            f"-j REDIRECT --to-ports {rng.choice((1993, 2525, 143))}",
            f"-j DNAT --to-destination {container}:{rng.choice(PORTS)}",
            f"-j DNAT --to-destination {CONTAINER[family]}",
            f"-j DNAT --to-destination {other}:{rng.choice(PORTS)}",
            f"-j DNAT --to-destination :{rng.choice(PORTS)}",
            f"-j DNAT --to-destination {other}:100-200",
            "-j REDIRECT --to-ports 2000-2100",
            "-j REDIRECT --to-ports 100-600",
            "-j ACCEPT",
            "-j RETURN",
            *(["-j NETMAP --to 192.0.2.0/24"] if family == 4 and self._chance(0.2) else []),
            *([f"-j {rng.choice(users)}"] if users else []),
        ]
