"""What stands in front of hosts, where they cannot see it: a filter, and a gateway with NAT.

Both work on what the bridge carries, in this machine's own network namespace.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.lab.command import run
from tests.lab.description import Description
from tests.lab.network import BRIDGE

_TABLE = "mwlab"
_SYSCTL = Path("/proc/sys/net/ipv4/conf") / BRIDGE


def up(hosts: dict[str, Description]) -> None:
    """As the descriptions of these hosts have it, whatever stood there before."""
    down()
    # Of the bridge alone, and gone with it: it forwards what the gateway takes to itself.
    (_SYSCTL / "forwarding").write_text("1")
    mac = Path(f"/sys/class/net/{BRIDGE}/address").read_text().strip()
    # Unless it was given one, a bridge takes over that of the first host to come.
    run("ip", "link", "set", BRIDGE, "address", mac)
    taken, dropped, hidden = [], [], []
    for flow, does in _flows(hosts):
        if does == "drop":
            dropped.append(f"{flow} drop")
        else:
            taken.append(f"{flow} meta pkttype set host ether daddr set {mac}")
            hidden.append(f"oifname {BRIDGE} {flow} masquerade")
    ruleset = [
        f"table bridge {_TABLE} {{",
        *_chain("prerouting", "type filter hook prerouting priority dstnat", taken),
        *_chain("forward", "type filter hook forward priority filter", dropped),
        "}",
        f"table ip {_TABLE} {{",
        *_chain("postrouting", "type nat hook postrouting priority srcnat", hidden),
        "}",
    ]
    run("nft", "\n".join(ruleset))


def down() -> None:
    """Nothing stands there any more."""
    for family in ("bridge", "ip"):
        table = ("nft", "delete", "table", family, _TABLE)
        subprocess.run(table, check=False, capture_output=True)


def _flows(hosts: dict[str, Description]) -> Iterator[tuple[str, str]]:
    for host in hosts.values():
        for one in host.upstream:
            ports = ", ".join(map(str, one.ports))
            source = hosts[one.vantage].ipv4
            yield f"ip saddr {source} ip daddr {host.ipv4} tcp dport {{ {ports} }}", one.does


def _chain(name: str, kind: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"chain {name} {{ {kind};"
    yield from rules
    yield "}"
