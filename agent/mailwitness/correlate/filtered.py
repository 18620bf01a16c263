"""Who can reach a port of a host: its packet filters, and then the other gates on the way in."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mailwitness.evidence.host import HostEvidence, ListeningSocket, PacketFilter
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import (
    EVERYTHING,
    WIDTH,
    IntervalSet,
    parse_address,
    parse_network,
    prefix,
    single,
    union,
)
from mailwitness.firewall.network import LINK_LOCAL, Interface, Listener, Network, Route
from mailwitness.firewall.reach import Capture, Firewall, read
from mailwitness.firewall.ruleset import FirewallError
from mailwitness.firewall.verdict import (
    Answer,
    Decider,
    Layer,
    Reachability,
    Share,
    Trace,
    in_order,
)

_LOOPBACK = "lo"
_LOOPBACK_NET = 127
_BOTH_FAMILIES = "whether the socket of [::] takes IPv4, too, is not known"


@dataclass(frozen=True)
class Gate:
    """Sources of one family that a named layer blocks, or may block."""

    family: int
    sources: IntervalSet
    answer: Answer
    reason: str  # empty unless undecided
    decider: Decider

    @classmethod
    def of_service(cls, family: int, sources: IntervalSet, said: str, *, surely: bool) -> "Gate":
        """What the access rules of a daemon do, or where it is not sure may do."""
        answer, reason = (Answer.BLOCKED, "") if surely else (Answer.UNDECIDED, said)
        return cls(family, sources, answer, reason, Decider(Layer.SERVICE, said))


@dataclass(frozen=True)
class Filtered:
    """A port, by each way into the host: one of its addresses, over one of its interfaces."""

    ways: tuple[Reachability, ...]
    used: frozenset[str]  # addresses that clients are known to use; empty: which is not known
    nobody: dict[int, IntervalSet]  # by family: addresses that no client can have
    networks: dict[str, IntervalSet]  # by own address: the network that it stands in

    def by_clients(self, family: int) -> tuple[Reachability, ...]:
        """The ways of that family that clients take; all of them where that is not known."""
        all_ways = tuple(way for way in self.ways if way.family == family)
        return tuple(way for way in all_ways if way.address in self.used) or all_ways


def shares(way: Reachability, within: IntervalSet = EVERYTHING) -> tuple[Share, ...]:
    """What becomes of these sources, one share for each thing that decided."""
    return way.shares if within == EVERYTHING else way.within(within)


def all_admitted(found: Iterable[Share]) -> bool:
    """Whether nobody is kept out but sources that could connect nowhere, and some get in."""
    found = tuple(found)
    return any(share.answer is Answer.ADMITTED for share in found) and all(
        share.answer is Answer.ADMITTED or share.decided_by.layer is Layer.ROUTING
        for share in found
    )


@dataclass(frozen=True)
class Filters:
    """The packet filters of a host with what the kernel asks of the host itself."""

    firewall: Firewall
    inside: HostEvidence
    networks: dict[int, Network]  # by family
    faces: tuple[tuple[int, str, str], ...]  # family, own address, interface that clients come by
    one_family: frozenset[int]  # ports whose only socket is that of [::]
    nobody: dict[int, IntervalSet]  # by family: addresses that no client can have

    def of(self, port: int, gates: Iterable[Gate], used: Iterable[str]) -> Filtered | Missing:
        """Who can reach the port, by every way in."""
        if not self.faces:
            return Missing("the host has no address that a client outside could reach")
        gates = tuple(gates)
        ways = tuple(
            self._gated(self._reach(family, address, port, interface), gates)
            for family, address, interface in self.faces
        )
        own = {address for _, address, _ in self.faces}
        return Filtered(ways, frozenset(own & set(used)), self.nobody, self._beside)

    @cached_property
    def _beside(self) -> dict[str, IntervalSet]:
        """By own address: the network that it stands in."""
        return {
            text.partition("/")[0]: parse_network(text)[1]
            for interface in self.networks[4].interfaces
            for text in interface.addresses
        }

    def trace(self, source: str, way: Reachability) -> Trace:
        """The way of one source through the packet filters, rule by rule."""
        network = self.networks[way.family]
        return self.firewall.trace(network, source, way.address, way.port, way.interface)

    def _reach(self, family: int, address: str, port: int, interface: str) -> Reachability:
        return self.firewall.reach(self.networks[family], address, port, interface)

    def _gated(self, way: Reachability, gates: Iterable[Gate]) -> Reachability:
        if way.family == 4 and self._unsure(way.port):  # noqa: PLR2004
            decider = Decider(Layer.LISTENER, _BOTH_FAMILIES)
            way = _behind(way, Gate(4, EVERYTHING, Answer.UNDECIDED, _BOTH_FAMILIES, decider))
        for gate in gates:
            if gate.family == way.family and gate.sources:
                way = _behind(way, gate)
        return way

    def _unsure(self, port: int) -> bool:
        """Where nothing listens on the port itself, a redirect may lead to any other."""
        sockets = self.inside.sockets
        listened = {socket.port for socket in sockets} if isinstance(sockets, tuple) else set()
        return port in self.one_family or (bool(self.one_family) and port not in listened)


def _nobody(family: int, network: Network) -> IntervalSet:
    """The host's own addresses and others that never arrive, and the ends of its networks."""
    ends = []
    for interface in network.interfaces:
        for text in interface.addresses:
            its_family, members = parse_network(text)
            if its_family == family == 4:  # noqa: PLR2004
                ((first, last),) = members.intervals(WIDTH[family])
                ends += [single(first), single(last)] if last - first > 1 else []
    return network.never_arrive(family) | union(ends)


def _behind(way: Reachability, gate: Gate) -> Reachability:
    """The way with one more gate: what it blocks is blocked, what it may block is not admitted."""
    kept: list[Share] = []
    held: list[IntervalSet] = []
    for share in way.shares:
        untouched = share.answer is Answer.BLOCKED or (
            share.answer is Answer.UNDECIDED and gate.answer is Answer.UNDECIDED
        )
        taken = IntervalSet(()) if untouched else share.sources & gate.sources
        held.append(taken)
        kept.append(share.within(~taken) if taken else share)
    kept.append(Share(gate.answer, union(held), gate.reason, gate.decider))
    return Reachability(way.family, way.address, way.port, way.interface, in_order(kept))


# From the evidence to the engine


def filters(inside: HostEvidence, address: str) -> Filters | Missing:
    """The filters of the host whose `address` the inventory gives, or why they cannot be known."""
    network = inside.network
    if isinstance(network.interfaces, Missing):
        return network.interfaces
    try:
        firewall = read(_capture(inside.packet_filter))
        if firewall.unread:
            return Missing("; ".join(firewall.unread))
        interfaces = tuple(Interface(each.name, each.addresses) for each in network.interfaces)
        routes = _known(network.routes)
        reverse_path = _known(network.reverse_path)
        listeners, one_family = _listeners(inside)
        by_family = {
            family: Network(
                interfaces=interfaces,
                routes=routes
                and tuple(
                    Route(int(each.family), each.destination, each.devices, each.type)
                    for each in routes
                ),
                listeners=listeners,
                forwards=_known(forwards),
                reverse_path=reverse_path
                and tuple((each.device, each.setting) for each in reverse_path),
                lowest_is_broadcast=_lowest_is_broadcast(inside.system.kernel),
            )
            for family, forwards in ((4, network.forwards), (6, network.forwards_ipv6))
        }
        faces = tuple(_faces(by_family[4], address))
        nobody = {family: _nobody(family, each) for family, each in by_family.items()}
    except FirewallError as error:
        return Missing(f"the packet filter cannot be read: {error}")
    except ValueError as error:
        return Missing(f"addresses of the host: {error}")
    return Filters(firewall, inside, by_family, faces, one_family, nobody)


def _lowest_is_broadcast(kernel: str | Missing) -> bool | None:
    """Linux 5.14 made an ordinary address of it."""
    numbers = None if isinstance(kernel, Missing) else re.match(r"(\d{1,4})\.(\d{1,4})", kernel)
    return None if numbers is None else (int(numbers[1]), int(numbers[2])) < (5, 14)


def _known(value: Any) -> Any:
    return None if isinstance(value, Missing) else value


def _capture(found: PacketFilter) -> Capture:
    parts = {
        "nft": found.nft,
        "iptables_nft": found.iptables,
        "ip6tables_nft": found.ip6tables,
        "iptables_legacy": found.iptables_legacy,
        "ip6tables_legacy": found.ip6tables_legacy,
        "ipset": found.ipset,
    }
    unread = tuple(part.reason for part in parts.values() if isinstance(part, Missing))
    return Capture(**{name: _known(part) for name, part in parts.items()}, unread=unread)


def _listeners(inside: HostEvidence) -> tuple[frozenset[Listener] | None, frozenset[int]]:
    """The listening sockets, and the ports where IPv4 hangs on an option of the [::] socket."""
    if isinstance(inside.sockets, Missing):
        return None, frozenset()
    found = {_listener(socket) for socket in inside.sockets}
    all_of_ipv4 = {each.port for each in found if each.family == 4 and each.address is None}  # noqa: PLR2004
    all_of_ipv6 = {each.port for each in found if each.family == 6 and each.address is None}  # noqa: PLR2004
    one_family = all_of_ipv6 - all_of_ipv4
    found |= {Listener(4, None, port) for port in one_family}
    return frozenset(found), frozenset(one_family)


def _listener(socket: ListeningSocket) -> Listener:
    family, value = parse_address(socket.address)
    return Listener(family, socket.address if value else None, socket.port)


def _faces(network: Network, address: str) -> Iterator[tuple[int, str, str]]:
    """The host's addresses, each with the interfaces over which strangers come.

    Those are the ones that lead to everywhere, and the one that bears the inventory's address:
    a container bridge is no way in.
    """
    for family in WIDTH:
        outward = {
            device
            for route in network.routes or ()
            if route.family == family and route.destination == "default"
            for device in route.devices
        }
        own = [
            (text.partition("/")[0], interface.name)
            for interface in network.interfaces
            for text in interface.addresses
            if _is_global(family, text.partition("/")[0])
        ]
        outward |= {device for text, device in own if text == address}
        outward = outward or {device for _, device in own if device != _LOOPBACK}
        for text, device in own:
            if device in outward:
                yield family, text, device
            elif device == _LOOPBACK:  # of the host as a whole, as anycast has it
                yield from ((family, text, each) for each in sorted(outward))


def _is_global(family: int, text: str) -> bool:
    its_family, value = parse_address(text)
    if its_family != family:
        return False
    local = LINK_LOCAL if family == 6 else prefix(_LOOPBACK_NET << 24, 8, 32)  # noqa: PLR2004
    return value not in local and value != 1
