"""What the filter and the routing ask of the host itself: addresses, routes, listeners."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    WIDTH,
    IntervalSet,
    between,
    parse_address,
    parse_network,
    prefix,
    single,
    union,
)
from mailwitness.firewall.ruleset import interface_number

# Route types: include/uapi/linux/rtnetlink.h, RTN_*.
ROUTE_TYPES = {
    "unspec": 0,
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
}
V4, V6 = 4, 6
POINT_TO_POINT = 31  # from this prefix length on, an IPv4 network has no broadcast address


@dataclass(frozen=True)
class Interface:
    """A device and its addresses, each with its prefix ("192.0.2.10/24"), in the kernel's order."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route of the main table. `destination` is a network or "default"; several devices: ECMP."""

    family: int
    destination: str
    devices: tuple[str, ...]
    type: str = "unicast"


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket. No address: all of that family."""

    family: int
    address: str | None
    port: int


_Place = tuple[int, int, int | None]  # family, port and address of a listener; None: of all


def _places(listeners: Iterable[Listener]) -> frozenset[_Place]:
    return frozenset(
        (
            listener.family,
            listener.port,
            None if listener.address is None else parse_address(listener.address)[1],
        )
        for listener in listeners
    )


@dataclass(frozen=True, eq=False)
class Network:
    """The host's own state. None: it was not captured, and what hangs on it is undecided.

    `listeners` None is the exception: every port is then taken to listen, so that the filter
    alone is asked. The same holds for `forwarded`, the listeners on machines behind this one.
    `reverse_path` is the effective rp_filter of IPv4 by device: the higher of its own and "all".
    """

    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...] | None = None
    listeners: frozenset[Listener] | None = None
    forwarded: frozenset[Listener] | None = None
    forwards: bool | None = None
    reverse_path: tuple[tuple[str, int], ...] | None = None
    lowest_is_broadcast: bool | None = None  # of each IPv4 network: until Linux 5.14, not since
    # By family, as they are asked for.
    _devices: dict[int, tuple[tuple[IntervalSet, IntervalSet], ...]] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def _own(self) -> dict[int, dict[str, list[tuple[int, int]]]]:
        """By family and device: address and prefix length."""
        own: dict[int, dict[str, list[tuple[int, int]]]] = {V4: {}, V6: {}}
        for interface in self.interfaces:
            for text in interface.addresses:
                address, _, length = text.partition("/")
                family, value = parse_address(address.partition("%")[0])
                bits = int(length) if length.isdecimal() else WIDTH[family]
                own[family].setdefault(interface.name, []).append((value, bits))
        return own

    def own(self, family: int, device: str | None = None) -> IntervalSet:
        """The host's addresses, or those on one device; all of 127.0.0.0/8 is on lo."""
        return self._all_own[family] if device is None else self._own_of(family, [device])

    @cached_property
    def _all_own(self) -> dict[int, IntervalSet]:
        return {family: self._own_of(family, ["lo", *self._own[family]]) for family in WIDTH}

    def _own_of(self, family: int, names: Iterable[str]) -> IntervalSet:
        devices = self._own[family]
        found = [single(value) for name in names for value, _ in devices.get(name, ())]
        if family == V4 and "lo" in names:
            found.append(LOOPBACK)
        return union(found)

    def redirect_to(self, family: int, device: str, asked: int) -> IntervalSet:
        """Which address `redirect` may choose on the incoming device.

        IPv4: its first (nf_nat_redirect_ipv4). IPv6: the first usable one of the scope asked
        for; the order among them is not fixed, so all of them are given.
        """
        candidates = [value for value, _ in self._own[family].get(device, ())]
        if family == V4:
            return single(candidates[0]) if candidates else NOTHING
        return union(single(each) for each in candidates if _scope(each) == _scope(asked))

    def _destinations(self, family: int) -> Iterator[tuple[IntervalSet, Route]]:
        """The routes with what is left to each by the more specific ones."""
        table: list[tuple[int, IntervalSet, Route]] = []
        for route in self.routes or ():
            if route.family == family:
                members = (
                    EVERYTHING
                    if route.destination == "default"
                    else parse_network(route.destination)[1]
                )
                _, _, length = route.destination.partition("/")
                bits = int(length) if length.isdecimal() else WIDTH[family]
                table.append((0 if members is EVERYTHING else bits, members, route))
        taken = self.own(family)
        # Stable: among routes to one network the first in the list has the lower metric.
        for _, members, route in sorted(table, key=lambda row: -row[0]):
            yield members - taken, route
            taken |= members

    def devices(self, family: int) -> tuple[tuple[IntervalSet, IntervalSet], ...] | None:
        """Destinations, and the numbers of the devices that lead there; 0 is none. A partition.

        The host's own addresses lead nowhere, as for nft's fib expression. None: not captured.
        """
        if self.routes is None:
            return None
        if family not in self._devices:
            self._devices[family] = tuple(self._devices_of(family))
        return self._devices[family]

    def _devices_of(self, family: int) -> Iterator[tuple[IntervalSet, IntervalSet]]:
        rest = EVERYTHING
        for members, route in self._destinations(family):
            rest -= members
            names = route.devices if route.type == "unicast" else ("",)
            yield members, union(single(interface_number(name)) for name in names)
        yield rest, single(0)

    def types(
        self, family: int, device: str | None
    ) -> tuple[tuple[IntervalSet, IntervalSet], ...] | None:
        """Destinations and their possible route types; a partition.

        With a device, only what belongs to it is local to the host (inet_dev_addr_type()).
        """
        own = self.own(family, device)
        elsewhere = self.own(family) - own
        multicast, broadcast = (
            (between(224 << 24, (240 << 24) - 1), self.broadcast(device))
            if family == V4
            else (between(0xFF << 120, (1 << 128) - 1), NOTHING)
        )
        unsure = self.perhaps_broadcast() if family == V4 else NOTHING
        special = own | multicast | broadcast | unsure | elsewhere
        cells = [
            (own, _type("local")),
            (multicast - own, _type("multicast")),
            (broadcast - own, _type("broadcast")),
            (unsure - own - broadcast, _type("broadcast", "unicast")),
            # nft asks IPv6 for a route over the device, which other devices' addresses lack.
            (
                elsewhere - multicast - broadcast - unsure,
                _type("unicast") if family == V4 else _type("unicast", "unreachable"),
            ),
        ]
        if self.routes is None:
            return (*cells, (~special, _type(*ROUTE_TYPES)))
        rest = ~special
        for members, route in self._destinations(family):
            if route.type != "unicast":
                cells.append((members - special, _type("unicast", route.type)))
            elif family == V6:
                cells.append((members - special, _type("unicast")))
            if route.type != "unicast" or family == V6:
                rest -= members
        # The kernel keeps no route apart from "unicast" for IPv4: inet_addr_type() says so of all
        # it does not find. For IPv6 what has no route is unreachable.
        cells.append((rest, _type("unicast" if family == V4 else "unreachable")))
        return tuple(cells)

    def broadcast(self, device: str | None = None) -> IntervalSet:
        """255.255.255.255, 0.0.0.0, and of each of its networks the highest address."""
        found = [single((1 << 32) - 1), single(0)]
        for name, addresses in self._own[V4].items():
            if device in (None, name):
                for value, bits in addresses:
                    if bits < POINT_TO_POINT and value >> 24 != LOOPBACK_NET:
                        found.append(single(value | (1 << 32 - bits) - 1))
                        if self.lowest_is_broadcast:
                            found.append(single(value >> 32 - bits << 32 - bits))
        return union(found)

    def perhaps_broadcast(self) -> IntervalSet:
        """The lowest of each IPv4 network, where it is not known which Linux this is."""
        lowest = self._lowest_addresses(V4) - LOOPBACK
        return lowest if self.lowest_is_broadcast is None else NOTHING

    def _lowest_addresses(self, family: int) -> IntervalSet:
        width = WIDTH[family]
        return union(
            single(value >> width - bits << width - bits)
            for addresses in self._own[family].values()
            for value, bits in addresses
            if bits < width - 1
        )

    def listens(self, family: int, address: int, port: int, *, here: bool) -> bool:
        """Whether something listens there: on this host, or behind it."""
        places = self._here if here else self._behind
        if places is None:
            return True
        return (family, port, None) in places or (family, port, address) in places

    @cached_property
    def _here(self) -> frozenset[_Place] | None:
        return None if self.listeners is None else _places(self.listeners)

    @cached_property
    def _behind(self) -> frozenset[_Place] | None:
        return None if self.forwarded is None else _places(self.forwarded)

    def never_arrive(self, family: int) -> IntervalSet:
        """Sources that the kernel takes from no device but lo.

        ip_route_input_slow() for IPv4, where since Linux 5.3 only 0.0.0.0 of 0.0.0.0/8 is refused
        and 240.0.0.0/4 is not; ip6_rcv_core() for IPv6. The host's own addresses are refused or
        answered over lo.
        """
        return self._never[family]

    def perhaps_own(self, family: int) -> IntervalSet:
        """What would be the host's, too, if it forwarded, where that is not known."""
        if family == V4 or self.forwards is not None:
            return NOTHING
        return self._lowest_addresses(V6) - self._never[V6]

    @cached_property
    def _never(self) -> dict[int, IntervalSet]:
        # A router has the lowest address of each of its networks, too (RFC 4291, 2.6.1).
        anycast = self._lowest_addresses(V6) if self.forwards else NOTHING
        return {V4: MARTIANS_4 | self.own(V4), V6: MARTIANS_6 | self.own(V6) | anycast}


def _type(*names: str) -> IntervalSet:
    return union(single(ROUTE_TYPES.get(name, 0)) for name in names)


def _scope(address: int) -> int:
    """Link-local or not, which is what tells usable IPv6 addresses apart here."""
    return int(address in LINK_LOCAL)


LINK_LOCAL = prefix(0xFE80 << 112, 10, 128)
# Without its first address, which is the routers' own (RFC 4291, 2.6.1).
LINK_NETWORK = prefix(0xFE80 << 112, 64, 128) - single(0xFE80 << 112)
LOOPBACK_NET = 127
LOOPBACK_6 = 1
LOOPBACK = prefix(LOOPBACK_NET << 24, 8, 32)
MARTIANS_4 = union(
    (
        single(0),
        LOOPBACK,
        prefix(224 << 24, 4, 32),
        single((1 << 32) - 1),
    )
)
MARTIANS_6 = union(
    (
        between(0, 1),
        prefix(0xFF << 120, 8, 128),
        prefix(0xFFFF << 32, 96, 128),  # IPv4-mapped
    )
)
