"""Time and memory of the packet-filter engine over the number of rules and of set elements.

    python -m benchmarks.firewall_scale

Each row is a process of its own: capture made, read, one port asked, and then the seven mail ports
over both address families, as for a whole host. Peak memory is that of the whole process, Python
and the capture's text included. Seconds are the processor's, so that a busy machine counts for
little. Exit status 1 if a goal is missed.
"""

import json
import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tabulate import tabulate

from mailwitness.firewall.network import Interface, Network, Route
from mailwitness.firewall.reach import Capture, read

NETWORK = Network(
    (Interface("eth0", ("192.0.2.10/24", "2001:db8:1::10/64")),),
    (Route(4, "default", ("eth0",)), Route(6, "default", ("eth0",))),
    forwards=False,
    reverse_path=(),
)
SIZES = (10, 1_000, 10_000, 100_000)
GOAL_ELEMENTS, GOAL_SECONDS, GOAL_MEGABYTES = 100_000, 2.0, 300
MAIL_PORTS = (25, 110, 143, 465, 587, 993, 995)
OWN = ("192.0.2.10", "2001:db8:1::10")
GOAL_HOST_SECONDS = 10.0
# Above n log n between the two largest sizes, with room for a busy machine.
GOAL_GROWTH = 1.5 * 10 * math.log(100_000) / math.log(10_000)


def address(index: int) -> str:
    """Spread over the unicast addresses; the first of a network of 28 bits."""
    value = 0x01000000 + index * 37_200
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def nft(*objects: dict[str, object]) -> Capture:
    base = {"family": "inet", "table": "filter", "name": "input", "handle": 1}
    chain = {**base, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}
    table = {"table": {"family": "inet", "name": "filter", "handle": 1}}
    return Capture(nft=json.dumps({"nftables": [table, {"chain": chain}, *objects]}))


def rule(handle: int, *expression: object) -> dict[str, object]:
    place = {"family": "inet", "table": "filter", "chain": "input", "handle": handle}
    return {"rule": {**place, "expr": expression}}


def match(protocol: str, field: str, right: object) -> dict[str, object]:
    left = {"payload": {"protocol": protocol, "field": field}}
    return {"match": {"op": "==", "left": left, "right": right}}


def nft_rules(count: int) -> Capture:
    dport = match("tcp", "dport", 993)
    return nft(
        *(
            rule(index + 2, match("ip", "saddr", address(index)), dport, {"accept": None})
            for index in range(count)
        )
    )


def nft_set(count: int) -> Capture:
    place = {"family": "inet", "table": "filter", "name": "vendor", "handle": 2}
    elements = [{"prefix": {"addr": address(index), "len": 28}} for index in range(count)]
    named = {**place, "type": "ipv4_addr", "flags": ["interval"], "elem": elements}
    return nft({"set": named}, rule(3, match("ip", "saddr", "@vendor"), {"accept": None}))


def save(lines: Iterator[str]) -> str:
    head = ("*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]")
    return "\n".join((*head, *lines, "COMMIT", ""))


def iptables_rules(count: int) -> Capture:
    tail = "-p tcp -m tcp --dport 993 -j ACCEPT"
    lines = (f"-A INPUT -s {address(index)}/32 {tail}" for index in range(count))
    return Capture(iptables_legacy=save(lines))


def ipset_elements(count: int) -> Capture:
    lines = ["create vendor hash:net family inet hashsize 16384 maxelem 200000"]
    lines += [f"add vendor {address(index)}/28" for index in range(count)]
    rules = save(iter(("-A INPUT -m set --match-set vendor src -j ACCEPT",)))
    return Capture(iptables_legacy=rules, ipset="\n".join(lines) + "\n")


KINDS: dict[str, Callable[[int], Capture]] = {
    "nft rules": nft_rules,
    "nft set": nft_set,
    "iptables rules": iptables_rules,
    "ipset": ipset_elements,
}


@dataclass(frozen=True)
class Measure:
    """What one process took."""

    kind: str
    count: int
    read: float  # seconds
    reach: float
    host: float  # all mail ports of both families
    intervals: int  # of the answer
    megabytes: float

    @property
    def seconds(self) -> float:
        return self.read + self.reach


def measure(kind: str, count: int) -> Measure:
    capture = KINDS[kind](count)
    start = time.process_time()
    firewall = read(capture)
    reading = time.process_time()
    found = firewall.reach(NETWORK, "192.0.2.10", 993, "eth0")
    end = time.process_time()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    intervals = sum(len(list(share.sources.intervals(32))) for share in found.shares)
    start_of_host = time.process_time()
    for port in MAIL_PORTS:
        for own in OWN:
            firewall.reach(NETWORK, own, port, "eth0")
    host = time.process_time() - start_of_host
    return Measure(kind, count, reading - start, end - reading, host, intervals, megabytes)


def missed(measures: list[Measure]) -> Iterator[str]:
    """The goals that are not met."""
    found = {(each.kind, each.count): each for each in measures}
    for kind in KINDS:
        largest, before = found[kind, SIZES[-1]], found[kind, SIZES[-2]]
        growth = largest.seconds / before.seconds
        if growth > GOAL_GROWTH:
            yield f"{kind}: ten times as many take {growth:.0f} times as long"
    for kind in ("nft set", "ipset"):
        each = found[kind, GOAL_ELEMENTS]
        if each.seconds > GOAL_SECONDS or each.megabytes > GOAL_MEGABYTES:
            yield f"{kind} of {GOAL_ELEMENTS}: {each.seconds:.1f} s, {each.megabytes:.0f} MB"
        if each.host > GOAL_HOST_SECONDS:
            yield f"{kind} of {GOAL_ELEMENTS}, a whole host: {each.host:.1f} s"


def main() -> int:
    # A process of its own for each: memory that one took is not counted for the next.
    context = multiprocessing.get_context("spawn")
    measures = []
    for kind in KINDS:
        for count in SIZES:
            with context.Pool(1) as pool:
                measures.append(pool.apply(measure, (kind, count)))
    rows = [
        (m.kind, m.count, m.read, m.reach, m.seconds, m.host, m.megabytes, m.intervals)
        for m in measures
    ]
    head = ("kind", "count", "read s", "reach s", "total s", "host s", "peak MB", "intervals")
    print(tabulate(rows, head, floatfmt=("", "", ".3f", ".3f", ".3f", ".3f", ".0f", "")))
    failed = list(missed(measures))
    for line in failed:
        print(f"goal missed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
