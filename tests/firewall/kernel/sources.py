"""Random addresses, drawn close to each other so that rules and probes meet at their borders."""

import ipaddress
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

STEMS = {
    4: (
        "8.0.0.0/6",
        "45.0.0.0/12",
        "100.64.0.0/10",
        "198.18.0.0/15",
        "203.0.113.0/24",
        "10.0.0.0/8",
        "172.20.0.0/16",
        "240.0.0.0/4",
        "192.0.2.0/24",
        "0.0.0.0/1",
    ),
    6: ("2600:1f00::/24", "2a00::/12", "2001:db8::/32", "fd00::/8", "2000::/3", "fe80::/64"),
}
WIDTH = {4: 32, 6: 128}
LENGTHS = {
    4: (8, 16, 20, 24, 25, 27, 30, 31, 32),
    6: (16, 24, 32, 44, 48, 56, 64, 67, 96, 104, 120, 127, 128),
}
# Destinations that are the host's own, or its container's, turn up in rules too.
OWN: Mapping[int, tuple[str, ...]] = {
    4: ("192.0.2.10", "192.0.2.11", "198.51.100.10", "172.17.0.2", "192.0.2.0/24"),
    6: ("2001:db8:1::10", "2001:db8:1::11", "2001:db8:2::10", "fd00:17::2", "2001:db8:1::/64"),
}


@dataclass
class Pool:
    """The addresses of one ruleset. Everything drawn is remembered, for probes at its edges."""

    rng: random.Random
    edges: dict[int, list[int]] = field(default_factory=lambda: {4: [], 6: []})
    anchors: dict[int, list[int]] = field(default_factory=lambda: {4: [], 6: []})

    def __post_init__(self) -> None:
        for family, stems in STEMS.items():
            for _ in range(5):
                stem = ipaddress.ip_network(self.rng.choice(stems))
                low = int(stem.network_address)
                anchor = low + self.rng.randrange(min(stem.num_addresses, 1 << 100))
                self.anchors[family].append(anchor)

    def _value(self, family: int) -> int:
        anchor = self.rng.choice(self.anchors[family] + self.edges[family][-6:])
        spread = self.rng.choice((0, 0, 1, 3, 8, 12, 16))
        return anchor ^ self.rng.getrandbits(spread) if spread else anchor

    def address(self, family: int) -> str:
        value = self._value(family)
        self.edges[family] += [value]
        return _text(family, value)

    def network(self, family: int, *, longest: int = 128) -> str:
        width = WIDTH[family]
        length = self.rng.choice([each for each in LENGTHS[family] if each <= longest])
        low = self._value(family) >> (width - length) << (width - length)
        self.edges[family] += [low, low + (1 << (width - length)) - 1]
        return f"{_text(family, low)}/{length}"

    def span(self, family: int) -> tuple[str, str]:
        low = self._value(family)
        high = min(low + self.rng.choice((1, 5, 255, 500, 70_000)), (1 << WIDTH[family]) - 1)
        self.edges[family] += [low, high]
        return _text(family, low), _text(family, high)

    def own(self, family: int) -> str:
        return self.rng.choice(OWN[family])

    def own_address(self, family: int) -> str:
        return self.rng.choice(OWN[family][:-1])

    def sources(self, family: int, count: int) -> list[str]:
        """Addresses at, beside and far from the edges."""
        width = WIDTH[family]
        found = []
        for _ in range(count):
            edges = self.edges[family] or self.anchors[family]
            value = self.rng.choice(edges) + self.rng.choice((-1, 0, 0, 0, 1))
            if self.rng.random() < 0.1:
                value = self.rng.getrandbits(width)
                if family == 6:
                    value = (0x2 << 124) | (value >> 3)
            found.append(_text(family, min(max(value, 0), (1 << width) - 1)))
        return found


def _text(family: int, value: int) -> str:
    return str(ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value))
