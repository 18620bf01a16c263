"""Recorded cases: a ruleset, the host around it, and what a real kernel answered to real SYNs."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mailwitness.firewall.network import Interface, Listener, Network, Route
from mailwitness.firewall.reach import Capture, Firewall, read
from mailwitness.firewall.verdict import Reachability, Share

ARCHIVE = Path(__file__).with_name("cases.tar.gz")
# What the random trials (tests/firewall/kernel) found, and what real tools wrote.
FOLDER = Path(__file__).with_name("cases")


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

    def answers(self) -> list[tuple[Query, Share]]:
        firewall: Firewall = read(self.capture)
        asked: dict[tuple[str, int, str], Reachability] = {}
        found = []
        for query in self.queries:
            key = (query.address, query.port, query.interface)
            if key not in asked:
                asked[key] = firewall.reach(self.network, *key)
            found.append((query, asked[key].of(query.source)))
        return found


def load(archive: Path = ARCHIVE, folder: Path = FOLDER) -> dict[str, Case]:
    cases = {}
    for path in folder.glob("*.json"):
        cases[path.stem] = from_document(json.loads(path.read_text("utf-8")))
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


def to_document(
    name: str,
    capture: Capture,
    around: Network,
    answers: Iterable[tuple[str, str, int, str, bool]],
) -> dict[str, Any]:
    """The JSON form of a case. An answer: source, address, port, interface, admitted."""
    filters = {field.name: getattr(capture, field.name) for field in fields(capture)}
    if capture.nft is not None:
        filters["nft"] = json.loads(capture.nft)
    here, behind = around.listeners or (), around.forwarded or ()
    return {
        "id": name,
        "kind": "capture",
        "capture": {field: said for field, said in filters.items() if said},
        "env": {
            "ifaces": [
                {"name": each.name, "addrs": list(each.addresses)} for each in around.interfaces
            ],
            "routes": None if around.routes is None else [*map(_route_row, around.routes)],
            "listeners": sorted(_listener_row(each) for each in here),
            "forwarded": sorted(_listener_row(each) for each in behind),
            "forwards": around.forwards,
            "reverse_path": None if around.reverse_path is None else dict(around.reverse_path),
            "lowest_is_broadcast": around.lowest_is_broadcast,
        },
        "queries": [
            {"src": source, "dst": address, "dport": port, "iif": interface, "admitted": admitted}
            for source, address, port, interface, admitted in answers
        ],
    }


def write(path: Path, document: Mapping[str, object]) -> None:
    """A line for each part and for each query, so that a difference is one line."""
    queries = document["queries"]
    assert isinstance(queries, list)
    parts = [
        f'"{name}": {json.dumps(part)}' for name, part in document.items() if name != "queries"
    ]
    rows = ",\n".join(json.dumps(each) for each in queries)
    head = ",\n".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{\n{head},\n"queries": [\n{rows}\n]\n}}\n', "utf-8")


def _listener_row(listener: Listener) -> list[Any]:
    return [listener.family, listener.address or "", listener.port]


def _capture(document: Mapping[str, Any]) -> Capture:
    sets = document.get("ipset_save") or None
    match document["kind"]:
        case "capture":
            filters = dict(document["capture"])
            if "nft" in filters:
                filters["nft"] = json.dumps(filters["nft"])
            return Capture(**filters)
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
    reverse_path = env.get("reverse_path", {})
    return Network(
        tuple(Interface(each["name"], tuple(each["addrs"])) for each in env["ifaces"]),
        None if env["routes"] is None else tuple(map(_route, env["routes"])),
        frozenset(_listeners(env)),
        frozenset(_forwarded(env)),
        forwards=env.get("forwards", True),
        reverse_path=None if reverse_path is None else tuple(reverse_path.items()),
        lowest_is_broadcast=env.get("lowest_is_broadcast"),
    )


def _route_row(route: Route) -> dict[str, object]:
    return {
        "family": route.family,
        "dst": route.destination,
        "dev": list(route.devices),
        "type": route.type,
    }


def _route(row: Mapping[str, Any]) -> Route:
    return Route(row["family"], row["dst"], _devices(row["dev"]), row["type"])


def _devices(named: str | list[str]) -> tuple[str, ...]:
    return (named,) if isinstance(named, str) else tuple(named)


def _listeners(env: Mapping[str, Any]) -> Iterable[Listener]:
    if "listeners" in env:
        return (Listener(family, where or None, port) for family, where, port in env["listeners"])
    return (Listener(family, None, port) for port in env["listen"] for family in (4, 6))


def _forwarded(env: Mapping[str, Any]) -> Iterable[Listener]:
    if "forwarded" in env:
        return (Listener(family, where or None, port) for family, where, port in env["forwarded"])
    return (
        Listener(6 if ":" in address else 4, address, port)
        for address, ports in env["fwd_listen"].items()
        for port in ports
    )
