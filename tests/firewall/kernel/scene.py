"""The host that is asked: its addresses, routes, listeners and settings, some of them random.

Two networks outside, eth0 and eth1, and a container behind a bridge, docker0.
"""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

from mailwitness.firewall.network import Interface, Listener, Network, Route

OUTER = ("eth0", "eth1")
ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "lo": ("127.0.0.1/8", "::1/128"),
    "eth0": ("192.0.2.10/24", "192.0.2.11/24", "2001:db8:1::10/64", "2001:db8:1::11/64"),
    "eth1": ("198.51.100.10/24", "2001:db8:2::10/64"),
    "docker0": ("172.17.0.1/16", "fd00:17::1/64"),
}
NETWORKS: Mapping[str, tuple[str, str]] = {
    "eth0": ("192.0.2.0/24", "2001:db8:1::/64"),
    "eth1": ("198.51.100.0/24", "2001:db8:2::/64"),
    "docker0": ("172.17.0.0/16", "fd00:17::/64"),
}
GATEWAYS: Mapping[str, tuple[str, str]] = {
    "eth0": ("192.0.2.1", "2001:db8:1::1"),
    "eth1": ("198.51.100.1", "2001:db8:2::1"),
}
CONTAINER = ("172.17.0.2", "fd00:17::2")
# Asked for: mostly those of the device, sometimes of another, of the container, or of nobody.
DESTINATIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "eth0": (("192.0.2.10", "192.0.2.11"), ("2001:db8:1::10", "2001:db8:1::11")),
    "eth1": (("198.51.100.10",), ("2001:db8:2::10",)),
}
ELSEWHERE = (
    ("192.0.2.11", "198.51.100.10", "172.17.0.1", "172.17.0.2", "172.17.0.2"),
    ("2001:db8:1::11", "2001:db8:2::10", "fd00:17::1", "fd00:17::2", "::1"),
)
# The answer to a source in here would go to the container's network, where nobody watches; and
# the engine says of link-local sources outside of fe80::/64 that it does not know.
UNWATCHED = ("172.17.", "fd00:17:", "fe80:0", *(f"fe80:{digit}" for digit in "123456789abcdef"))
PORTS = (22, 25, 110, 143, 465, 587, 993, 995, 1993, 2525, 8993, 10143, 10993)
ROUTED_APART = {
    4: ("45.0.0.0/12", "100.64.0.0/10", "203.0.113.0/24", "10.0.0.0/8", "198.18.0.0/15"),
    6: ("2600:1f00::/24", "2a00::/12", "fd00::/8", "2000::/3"),
}


KERNEL = tuple(int(number) for number in os.uname().release.split(".")[:2])


@dataclass(frozen=True)
class Scene:
    """Everything of the host but its packet filters."""

    listeners: frozenset[Listener]
    routes: tuple[Route, ...]  # those beside the networks of its devices
    forwards: bool
    reverse_path: Mapping[str, int]
    filters_bridge: bool  # bridge-nf-call-iptables, as a Docker host has it

    def network(
        self, own: Mapping[str, tuple[str, ...]], reverse_path: Mapping[str, int]
    ) -> Network:
        """What the engine is told, with the addresses and settings that the devices really have."""
        connected = [
            *(
                Route(family, network, (device,))
                for device, pair in NETWORKS.items()
                for family, network in zip((4, 6), pair, strict=True)
            ),
            *(Route(6, "fe80::/64", (device,)) for device in own if device != "lo"),
        ]
        return Network(
            tuple(Interface(device, addresses) for device, addresses in own.items()),
            (*self.routes, *connected),
            self.listeners,
            frozenset(
                Listener(family, address, port)
                for family, address in zip((4, 6), CONTAINER, strict=True)
                for port in PORTS
            ),
            forwards=self.forwards,
            reverse_path=tuple(reverse_path.items()),
            lowest_is_broadcast=KERNEL < (5, 14),
        )


PLAIN = Scene(
    frozenset(Listener(family, None, port) for family in (4, 6) for port in PORTS),
    (Route(4, "default", ("eth0",)), Route(6, "default", ("eth0",))),
    forwards=True,
    reverse_path={},
    filters_bridge=True,
)


def draw(rng: random.Random) -> Scene:
    """Half the scenes are plain: there all differences come from the packet filter."""
    if rng.random() < 0.5:
        return PLAIN
    strict = rng.random() < 0.5
    return Scene(
        frozenset(_listeners(rng)),
        tuple(_routes(rng)),
        forwards=rng.random() < 0.8,
        reverse_path={device: rng.choice((0, 1, 2)) if strict else 0 for device in OUTER},
        filters_bridge=rng.random() < 0.8,
    )


def _listeners(rng: random.Random) -> list[Listener]:
    found = []
    for family in (4, 6):
        for port in PORTS:
            match rng.randrange(8):
                case 0:
                    pass
                case 1 | 2:
                    device = rng.choice(OUTER)
                    address = rng.choice(DESTINATIONS[device][family == 6])
                    found.append(Listener(family, address, port))
                case _:
                    found.append(Listener(family, None, port))
    return found


def _routes(rng: random.Random) -> list[Route]:
    found = []
    for family in (4, 6):
        default = rng.choice((("eth0",), ("eth0",), ("eth0",), ("eth1",), OUTER, ()))
        if default:
            found.append(Route(family, "default", default))
        for destination in rng.sample(ROUTED_APART[family], rng.randrange(3)):
            kind = rng.choice(("unicast", "unicast", "blackhole", "unreachable", "prohibit"))
            devices = ("eth1",) if kind == "unicast" else ()
            found.append(Route(family, destination, devices, kind))
    return found
