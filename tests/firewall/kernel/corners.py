"""Small rulesets at the corners of the kernel's ways, each from a difference that trials found.

Their recorded answers, with the dumps, are cases that need no root: tests/firewall/cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mailwitness.firewall.network import Listener, Route
from tests.firewall.cases import to_document, write
from tests.firewall.kernel.filters import Ruleset
from tests.firewall.kernel.namespaces import Host, Probe
from tests.firewall.kernel.scene import CONTAINER, OUTER, PLAIN, Scene
from tests.firewall.kernel.trials import Asked, Asker
from tests.lab import suites

INPUT = "add chain inet t incoming { type filter hook input priority 0; policy accept; }"
DROPPING = "add chain inet t incoming { type filter hook input priority 0; policy drop; }"
NAT = "add chain inet t nat { type nat hook prerouting priority -100; }"
SOME = "203.0.113.64/26"
CLIENTS = (
    "203.0.113.5",
    "203.0.113.77",
    "10.1.2.3",
    "0.0.10.1",
    "2001:db8:5::5",
    "2001:db8:5:7::77",
    "2a00:1450::1",
)
# Sources that the kernel itself refuses, or answers elsewhere.
ODD_SOURCES = (
    "192.0.2.255",
    "192.0.2.10",
    "198.51.100.255",
    "192.0.2.0",
    "198.51.100.0",
    "224.0.0.5",
    "255.255.255.255",
    "127.0.0.1",
    "0.1.2.3",
    "240.0.0.1",
    "2001:db8:1::",
    "2001:db8:1::10",
    "fe80::",
    "fe80::99",
    "ff02::1",
    "::1",
)


def inet(*rules: str, base: str = INPUT) -> Ruleset:
    """One table with one chain on input."""
    added = (f"add rule inet t incoming {rule}" for rule in rules)
    return Ruleset(("add table inet t", base, *added))


def save(*lines: str, tool: str = "legacy", sets: Sequence[str] = ()) -> Ruleset:
    """One filter table, of both families unless it asks sets of one."""
    text = ("*filter", ":INPUT DROP", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", *lines, "COMMIT")
    texts = dict.fromkeys((4,) if sets else (4, 6), text)
    if tool == "legacy":
        return Ruleset(legacy=texts, sets=tuple(sets))
    return Ruleset(nft_back_end=texts, sets=tuple(sets))


RULESETS: Mapping[str, Ruleset] = {
    "nothing": Ruleset(),
    "reject-with-icmp-is-of-one-family": inet("reject with icmp port-unreachable"),
    "reject-with-icmpv6-is-of-one-family": inet("reject with icmpv6 port-unreachable"),
    "reject-with-icmpx-is-of-both": inet("tcp dport 25 reject with icmpx port-unreachable"),
    "meta-protocol-shown-as-nfproto": inet(
        "meta protocol ip6 tcp dport 25 reject with icmp port-unreachable",
        "meta protocol ip tcp dport 26 reject with icmp port-unreachable",
    ),
    "tcp-reset-of-one-family": inet("meta nfproto ipv4 tcp dport 25 reject with tcp reset"),
    "tcp-reset-of-both": inet("tcp dport 25 reject with tcp reset"),
    "tcp-reset-of-named-sources": inet(f"ip saddr {SOME} reject with tcp reset"),
    "connection-mark-before-tracking": Ruleset(
        (
            "add table inet t",
            "add chain inet t raw { type filter hook prerouting priority -300; policy accept; }",
            "add rule inet t raw tcp dport 26 ct mark set ct mark | 16 drop",
            "add rule inet t raw tcp dport 25 ct mark set 16 drop",
        )
    ),
    "nat-chain-without-tracking": Ruleset(
        ("add table inet t", NAT, "add rule inet t nat tcp dport 25 drop")
    ),
    "nat-chain-with-tracking-of-one-family": Ruleset(
        (
            "add table inet t",
            NAT,
            "add rule inet t nat tcp dport 25 drop",
            "add rule inet t nat tcp dport 26 dnat ip to :25",
            "add table ip s",
            "add chain ip s unused",
            "add rule ip s unused ct state new",
        )
    ),
    "between-by-two-comparisons": inet(
        "ip saddr < 203.0.113.77 ip saddr > 203.0.113.4 accept",
        "ip6 saddr < 2a00:: ip6 saddr > 2001:db8:5:: accept",
        "tcp dport < 27 tcp dport > 25 reject",
        base=DROPPING,
    ),
    "mark-from-one-family": inet("tcp dport 25 meta mark set jhash ip6 saddr mod 2 drop"),
    "routes-asked-with-a-mark": inet(
        "fib saddr . mark . iif oif missing drop",
        f"ip saddr {SOME} meta mark set 1 fib saddr . mark . iif oif missing drop",
    ),
    "answer-without-a-device-yet": Ruleset(
        (
            "add table inet t",
            "add chain inet t pre { type filter hook prerouting priority 10; policy drop; }",
            'add rule inet t pre tcp dport != 25 oifname != "eth*" drop',
            "add rule inet t pre accept",
        )
    ),
    "setting-dscp-is-of-one-family": inet("ip dscp set cs1 drop"),
    "setting-dscp-of-ipv6": inet("ip6 dscp set cs1 drop"),
    "less-than-of-something-unknown": inet("meta random < 4294967295 accept", base=DROPPING),
    "dormant-table": Ruleset(
        (
            "add table inet t",
            DROPPING,
            "add table inet t { flags dormant; }",
            "add table inet second",
        )
    ),
    "dormant-nat": Ruleset(
        (
            "add table inet t",
            NAT,
            "add rule inet t nat tcp dport 25 redirect to :26",
            "add table inet t { flags dormant; }",
            "add table inet second",
        )
    ),
    "network-of-whole-bytes-in-ct": Ruleset(
        (
            "add table ip t",
            "add chain ip t incoming { type filter hook input priority 0; policy drop; }",
            "add rule ip t incoming ct original saddr 10.0.0.0/8 accept",
            "add rule ip t incoming ct original saddr 203.0.113.64/26 accept",
        )
    ),
    "map-of-marks-with-the-rest": inet(
        "meta mark set ip saddr map { 203.0.113.0/26 : 1, * : 2 }",
        "meta mark set ip6 saddr map { 2001:db8:5::/64 : 2, * : 1 }",
        "meta mark 1 drop",
    ),
    "map-of-destinations-with-the-rest": Ruleset(
        (
            "add table ip t",
            "add chain ip t nat { type nat hook prerouting priority -100; }",
            f"add rule ip t nat dnat to ip saddr map {{ {SOME} : {CONTAINER[0]}, * : 192.0.2.11 }}",
            "add chain ip t through { type filter hook forward priority 0; policy accept; }",
            "add rule ip t through ct state new drop",
        )
    ),
    "answer-translated-back": Ruleset(
        (
            "add table inet t",
            NAT,
            f"add rule inet t nat tcp dport 25 dnat ip to {CONTAINER[0]}",
            "add rule inet t nat tcp dport 26 redirect to :25",
            "add chain inet t before { type filter hook postrouting priority 99; }",
            f"add rule inet t before ip saddr {CONTAINER[0]} ip daddr {SOME} drop",
            "add rule inet t before ip saddr 192.0.2.10 tcp sport 26 drop",
            "add chain inet t after { type filter hook postrouting priority 101; }",
            f"add rule inet t after ip saddr {CONTAINER[0]} drop",
            "add rule inet t after ip6 saddr 2001:db8:1::10 tcp sport 26 drop",
        )
    ),
    "answer-to-a-hidden-client-not-tracked": Ruleset(
        (
            "add table ip t",
            "add chain ip t hide { type nat hook postrouting priority 100; }",
            "add rule ip t hide snat to 192.0.2.11",
            "add chain ip t raw { type filter hook prerouting priority -300; }",
            "add rule ip t raw ip daddr != 172.17.0.2 iifname docker0 notrack",
        )
    ),
    "answer-not-tracked": Ruleset(
        (
            "add table inet t",
            NAT,
            "add rule inet t nat tcp dport 26 redirect to :25",
            "add chain inet t out { type filter hook output priority -300; }",
            "add rule inet t out notrack",
        )
    ),
    "translated-to-the-container": Ruleset(
        (
            "add table inet t",
            NAT,
            f"add rule inet t nat tcp dport 25 dnat ip to {CONTAINER[0]}",
            f"add rule inet t nat tcp dport 25 dnat ip6 to {CONTAINER[1]}",
            DROPPING,
        )
    ),
    "negated-list-of-sets": save(
        "-A INPUT -m set ! --match-set both src -j ACCEPT",
        sets=(
            "create some hash:net family inet",
            f"add some {SOME}",
            "create more hash:ip family inet",
            "add more 10.1.2.3",
            "create both list:set",
            "add both some",
            "add both more",
        ),
    ),
    "rarely-used-matches": save(
        "-A INPUT -m set --match-set cards src,src -j ACCEPT",
        "-A INPUT -m ttl --ttl-lt 1 -j ACCEPT",
        "-A INPUT -m policy --dir in --pol ipsec -j ACCEPT",
        "-A INPUT ! -f -s 10.0.0.0/8 -p tcp -m tcp --dport 25 -j ACCEPT",
        "-A INPUT -s 203.0.113.5 -p tcp -m conntrack ! --ctstatus NONE -j ACCEPT",
        sets=(
            "create cards bitmap:ip,mac range 203.0.113.64-203.0.113.127",
            "add cards 203.0.113.77,00:11:22:33:44:55",
        ),
    ),
    "addresses-by-a-mask-with-holes": save(
        "-A INPUT -s 10.0.2.0/255.0.255.0 -j ACCEPT",
        "-A INPUT -s 203.0.0.5/255.255.0.255 -p tcp --dport 25 -j ACCEPT",
        sets=("create of-ipv4-alone hash:ip family inet",),
    ),
    "ports-as-raw-payload": inet("@th,16,16 25 accept", base=DROPPING),
    "every-pair-of-a-set": inet(
        f"ip saddr . tcp dport vmap {{ {SOME} . 25 : drop, * : accept }}", base=DROPPING
    ),
    "interfaces-with-an-asterisk-in-their-names": inet(
        'iifname "eth\\*" accept', 'iifname "eth*" tcp dport 25 accept', base=DROPPING
    ),
    "keys-that-are-not-there": inet(
        "ip6 saddr . tcp dport vmap { 2a00::/16 . 25 : accept }",
        "ip saddr vmap { 10.1.2.3 : accept }",
        base=DROPPING,
    ),
    "negated-empty-set-legacy": save(
        "-A INPUT -m set ! --match-set empty src -j ACCEPT",
        sets=("create empty hash:ip family inet",),
    ),
    "negated-empty-set-nft": save(
        "-A INPUT -m set ! --match-set empty src -j ACCEPT",
        tool="nft",
        sets=("create empty hash:ip family inet",),
    ),
    "longest-prefix-of-any-device": save(
        "-A INPUT -m set --match-set nets src,src -j ACCEPT",
        sets=(
            "create nets hash:net,iface family inet",
            "add nets 203.0.113.0/24,eth0",
            "add nets 203.0.113.64/26,eth1",
            "add nets 10.0.0.0/8,eth0",
            "add nets 10.1.0.0/16,eth0 nomatch",
        ),
    ),
    "destination-port-alone": Ruleset(
        legacy={
            family: (
                "*nat",
                ":PREROUTING ACCEPT",
                ":INPUT ACCEPT",
                ":OUTPUT ACCEPT",
                ":POSTROUTING ACCEPT",
                "-A PREROUTING -p tcp -m tcp --dport 26 -j DNAT --to-destination :25",
                "COMMIT",
                *save("-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT").legacy[family],
            )
            for family in (4, 6)
        }
    ),
    "routes-asked-by-number": Ruleset(
        translated={
            family: (
                "*mangle",
                *(f":{hook} ACCEPT" for hook in ("PREROUTING", "INPUT", "FORWARD")),
                *(f":{hook} ACCEPT" for hook in ("OUTPUT", "POSTROUTING")),
                "-A PREROUTING -m rpfilter --invert -j DROP",
                "COMMIT",
            )
            for family in (4, 6)
        }
    ),
}


ANSWERS_SEEN = Ruleset(
    (
        "add table inet t",
        "add chain inet t out { type filter hook output priority 0; policy accept; }",
        'add rule inet t out oifname "eth1" tcp sport 26 drop',
    )
)
TO_ELSEWHERE = Ruleset(
    (
        "add table inet t",
        NAT,
        "add rule inet t nat tcp dport 25 dnat ip to 203.0.113.200",
        "add rule inet t nat tcp dport 26 dnat ip to 192.0.2.11-192.0.2.12",
    )
)
APART = (Route(4, "10.0.0.0/8", ("eth1",)), Route(6, "2a00::/12", ("eth1",)))
# Other hosts than the plain one.
ELSEWHERE: Mapping[str, tuple[Scene, Ruleset]] = {
    "reverse-path-strict": (
        replace(PLAIN, routes=(*PLAIN.routes, *APART), reverse_path={"eth0": 1, "eth1": 1}),
        Ruleset(),
    ),
    "reverse-path-loose": (
        replace(PLAIN, routes=APART, reverse_path={"eth0": 2, "eth1": 2}),
        Ruleset(),
    ),
    "no-way-back": (replace(PLAIN, routes=APART), Ruleset()),
    "no-way-back-and-a-filter-on-it": (replace(PLAIN, routes=APART), ANSWERS_SEEN),
    "two-ways-back": (
        replace(PLAIN, routes=(Route(4, "default", OUTER), Route(6, "default", OUTER))),
        ANSWERS_SEEN,
    ),
    "routes-that-lead-nowhere": (
        replace(
            PLAIN,
            routes=(
                *PLAIN.routes,
                Route(4, "10.0.0.0/8", (), "blackhole"),
                Route(6, "2a00::/12", (), "unreachable"),
            ),
        ),
        inet("fib saddr type { blackhole, unreachable } drop"),
    ),
    "no-forwarding": (
        replace(PLAIN, forwards=False),
        RULESETS["translated-to-the-container"],
    ),
    "nothing-listens": (
        replace(PLAIN, listeners=frozenset({Listener(4, "192.0.2.11", 25)})),
        TO_ELSEWHERE,
    ),
    "translated-without-a-route": (replace(PLAIN, routes=APART), TO_ELSEWHERE),
}


INGRESS = "add chain netdev t arriving { type filter hook ingress device eth0 priority 0; }"
# As the nft of another Debian release makes and shows them.
OF_OTHER_NFT: Mapping[str, tuple[str, Ruleset]] = {
    "pairs-with-networks": (
        "bullseye",
        inet(
            "ip6 saddr . tcp dport { 2001:db8:5::/48 . 25, 2a00:1450::/64 . 26 } accept",
            f"ip saddr . tcp dport {{ {SOME} . 25, 10.0.0.0/8 . 20-30 }} accept",
            base=DROPPING,
        ),
    ),
    "dormant-table-named-so": (
        "trixie",
        Ruleset(("add table inet t", DROPPING, "add table inet t { flags dormant; }")),
    ),
    "ingress-of-one-device": (
        "trixie",
        Ruleset(("add table netdev t", INGRESS, "add rule netdev t arriving tcp dport 25 drop")),
    ),
}


def ask(asker: Asker, ruleset: Ruleset) -> tuple[list[Probe], Asked]:
    """All clients to some ports, over both devices."""
    probes = []
    for device in OUTER:
        for source in (*CLIENTS, *ODD_SOURCES):
            six = ":" in source
            own = "2001:db8:1::10" if six else "192.0.2.10"
            asked = [(own, 25), (own, 26), (CONTAINER[six], 25), *([("::1", 25)] if six else ())]
            probes += [Probe(source, address, port, device) for address, port in asked]
    return probes, asker.ask(ruleset, probes)


def record(folder: Path) -> None:
    """Writes what the kernel says now."""
    # Of this machine, too, nft is run as a process, for a dormant table may crash it.
    here = Path("/")
    corners = {name: (PLAIN, ruleset, here) for name, ruleset in RULESETS.items()}
    corners |= {name: (scene, ruleset, here) for name, (scene, ruleset) in ELSEWHERE.items()}
    corners |= {
        f"{name}-{suite}": (PLAIN, ruleset, suites.base(suite))
        for name, (suite, ruleset) in OF_OTHER_NFT.items()
    }
    for name, (scene, ruleset, root) in corners.items():
        with Host(scene) as host:
            asker = Asker(host, root)
            probes, asked = ask(asker, ruleset)
            asker.close()
        rows = [
            (probe.source, probe.address, probe.port, probe.interface, admitted)
            for probe, admitted in zip(probes, asked.admitted, strict=True)
        ]
        try:
            document = to_document(f"corner-{name}", asked.capture, asker.network, rows)
        except ValueError:
            print(f"{name}: nft printed no valid JSON this time; what is recorded stays")
            continue
        write(folder / f"corner-{name}.json", document)
