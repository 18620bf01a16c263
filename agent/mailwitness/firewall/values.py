"""The names and notations that nft and iptables share for the values of a field."""

from mailwitness.firewall.addresses import IntervalSet, between, parse_network, single
from mailwitness.firewall.network import ROUTE_TYPES
from mailwitness.firewall.ruleset import STATES, Field

# A protocol that is not named here is not TCP, which is all that matters.
PROTOCOLS = {"tcp": 6, "icmp": 1, "udp": 17, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132}
OTHER_PROTOCOL = 1 << 9
ETHERTYPES = {"ip": 0x0800, "ip6": 0x86DD}
OTHER_ETHERTYPE = 1 << 17
TCP_FLAGS = {
    "fin": 1,
    "syn": 2,
    "rst": 4,
    "psh": 8,
    "ack": 16,
    "urg": 32,
    "ecn": 64,
    "ece": 64,
    "cwr": 128,
}
STATUS = {
    "expected": 1,
    "seen-reply": 2,
    "seen_reply": 2,
    "assured": 4,
    "confirmed": 8,
    "snat": 16,
    "dnat": 32,
    "dying": 512,
}
PACKET_TYPES = {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3}

NAMES: dict[Field, dict[str, int]] = {
    Field.L4PROTO: PROTOCOLS,
    Field.CT_PROTOCOL: PROTOCOLS,
    Field.NFPROTO: {"ipv4": 2, "ipv6": 10, "ip": 2, "ip6": 10},
    Field.CT_L3PROTO: {"ipv4": 2, "ipv6": 10, "ip": 2, "ip6": 10},
    Field.ETHERTYPE: ETHERTYPES,
    Field.TCP_FLAGS: TCP_FLAGS,
    Field.PKTTYPE: PACKET_TYPES,
    Field.CT_STATE: STATES,
    Field.XT_STATE: STATES,
    Field.CT_STATUS: STATUS,
    Field.CT_DIRECTION: {"original": 0, "reply": 1},
}
OTHERS = {
    Field.L4PROTO: OTHER_PROTOCOL,
    Field.CT_PROTOCOL: OTHER_PROTOCOL,
    Field.ETHERTYPE: OTHER_ETHERTYPE,
}
ADDRESSES = frozenset({Field.SADDR, Field.DADDR, Field.CT_SADDR, Field.CT_DADDR})
INTERFACES = frozenset({Field.IIF, Field.OIF})
HIGHEST_PORT = 65535


class UnreadableError(Exception):
    """A notation that is not known; becomes the reason of an undecided step."""


def number(text: str, field: Field) -> int:
    """The value that a name or a number stands for. Raises UnreadableError."""
    names = NAMES.get(field, {})
    if text.lower() in names:
        return names[text.lower()]
    try:
        return int(text, 0)
    except ValueError:
        pass
    if field in OTHERS:
        return OTHERS[field]
    raise UnreadableError(f"{field} {text[:40]!r} is not known")


def route_type(text: str) -> int:
    """The number of a route type by its name. Raises UnreadableError."""
    found = ROUTE_TYPES.get(text.lower())
    if found is None:
        raise UnreadableError(f"route type {text[:40]!r} is not known")
    return found


def network(text: str) -> IntervalSet:
    """An address or a network. Raises UnreadableError."""
    try:
        return parse_network(text)[1]
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def port_range(text: str, separator: str) -> IntervalSet:
    """`25` or `25:30`; an end left out is the lowest or the highest port."""
    first, found, last = text.partition(separator)
    try:
        if not found:
            return single(int(first))
        return between(int(first or 0), int(last or HIGHEST_PORT))
    except ValueError as error:
        raise UnreadableError(f"port {text[:40]!r} is not known") from error
