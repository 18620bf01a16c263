"""Recorded cases: a ruleset, the host around it, and what a real kernel answered to real SYNs."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailwitness.firewall.network import Interface, Listener, Network, Route
from mailwitness.firewall.reach import Capture, Firewall, read
from mailwitness.firewall.verdict import Part, Reachability

ARCHIVE = Path(__file__).with_name("cases.tar.gz")


@dataclass(frozen=True)
class Query:
    source: str
    address: str
    port: int
    interface: str
    admitted: bool


@dataclass(frozen=True)
class Case:
    name: str
    capture: Capture
    network: Network
    queries: tuple[Query, ...]

    def answers(self) -> list[tuple[Query, Part]]:
        firewall: Firewall = read(self.capture)
        asked: dict[tuple[str, int, str], Reachability] = {}
        found = []
        for query in self.queries:
            key = (query.address, query.port, query.interface)
            if key not in asked:
                asked[key] = firewall.reach(self.network, *key)
            found.append((query, asked[key].of(query.source)))
        return found


def load(archive: Path = ARCHIVE) -> dict[str, Case]:
    cases = {}
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".json"):
                case = from_document(json.load(content))
                cases[case.name] = case
    return dict(sorted(cases.items()))


def from_document(document: Mapping[str, Any]) -> Case:
    env = document["env"]
    return Case(
        document["id"],
        _capture(document),
        network(env),
        tuple(
            Query(
                each["src"],
                each.get("dst") or env["dst6" if ":" in each["src"] else "dst4"],
                each["dport"],
                each.get("iif") or env["iif"],
                each["admitted"],
            )
            for each in document["queries"]
        ),
    )


def _capture(document: Mapping[str, Any]) -> Capture:
    sets = document.get("ipset_save") or None
    match document["kind"]:
        case "nft-json":
            return Capture(nft=json.dumps(document["ruleset"]), ipset=sets)
        case "mixed":
            return Capture(
                nft=json.dumps(document["ruleset"]),
                iptables_legacy=document["iptables_save"],
                ip6tables_legacy=document["ip6tables_save"],
                ipset=sets,
            )
        case "iptables-save" if document["backend"] == "legacy":
            return Capture(
                iptables_legacy=document["ruleset"],
                ip6tables_legacy=document["ruleset6"],
                ipset=sets,
            )
        case "iptables-save":
            return Capture(
                iptables_nft=document["ruleset"], ip6tables_nft=document["ruleset6"], ipset=sets
            )
        case kind:
            raise ValueError(kind)


def network(env: Mapping[str, Any]) -> Network:
    return Network(
        tuple(Interface(each["name"], tuple(each["addrs"])) for each in env["ifaces"]),
        tuple(
            Route(each["family"], each["dst"], (each["dev"],), each["type"])
            for each in env["routes"]
        ),
        frozenset(Listener(family, None, port) for port in env["listen"] for family in (4, 6)),
        frozenset(
            Listener(6 if ":" in address else 4, address, port)
            for address, ports in env["fwd_listen"].items()
            for port in ports
        ),
        forwards=True,
        reverse_path=(),
    )
