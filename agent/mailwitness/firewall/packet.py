"""The packet that is asked about: a plain SYN from every source at once, and the SYN-ACK to it.

All fields but the client's address are the same for all sources, or the packet is split. The SYN
is that of an ordinary client: flags SYN alone (no ECN), no data, no IP options or extension
headers, not out of an IPsec tunnel, not a fragment, addressed to the device, from a source port
of 1024 or higher (RFC 6056). A field that an ordinary client may vary (source port, length, TTL)
is a set of values, and a match that some of them fulfil is undecided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    WIDTH,
    IntervalSet,
    between,
    masked,
    single,
    union,
)
from mailwitness.firewall.network import LINK_LOCAL, LINK_NETWORK, V4, Network
from mailwitness.firewall.ruleset import (
    NEEDS_CONNECTION,
    STATES,
    AllOrAny,
    Content,
    Fib,
    FibResult,
    Field,
    Key,
    Match,
    Selector,
    Unknown,
    interface_name,
    interface_number,
)


class Tracking(Enum):
    """What connection tracking knows of the packet."""

    NOT_YET = auto()  # before its hook: `ct state` reads as invalid
    OFF = auto()  # after notrack
    NEW = auto()
    REPLY = auto()
    STRAY = auto()  # a SYN-ACK whose SYN was not tracked: invalid


class Packet(NamedTuple):
    """Everything but the client's address.

    `local` and `port` are the host's side: the destination of the SYN, the source of the SYN-ACK.
    Marks are None when not known.
    """

    family: int
    reply: bool
    iif: str
    oif: str
    local: IntervalSet
    port: IntervalSet
    asked: tuple[int, int]  # address and port before any translation
    tracking: Tracking = Tracking.NOT_YET
    mark: int | None = 0
    ct_mark: int | None = 0
    dnat: bool | None = False  # None: translated, and it may have changed nothing
    client_hidden: bool = False  # the client's address was translated
    stray: bool = False  # a SYN-ACK whose SYN was not tracked
    leads_to: str = ""  # the device that a forwarded answer will be routed to

    @property
    def connected(self) -> bool:
        """Whether a connection belongs to it."""
        return self.tracking in (Tracking.NEW, Tracking.REPLY)


class Condition(NamedTuple):
    """For which clients something holds: surely, and possibly; what lies between has the reason."""

    surely: IntervalSet
    possibly: IntervalSet
    reason: str = ""

    def __and__(self, other: "Condition") -> "Condition":
        if other is ALWAYS or self is NEVER:
            return self
        if self is ALWAYS or other is NEVER:
            return other
        possibly = self.possibly & other.possibly
        if not (self.reason or other.reason):
            return Condition(possibly, possibly)
        reason = self.reason or other.reason
        return Condition(self.surely & other.surely, possibly, reason)

    def __invert__(self) -> "Condition":
        if self is ALWAYS:
            return NEVER
        if self is NEVER:
            return ALWAYS
        return Condition(~self.possibly, ~self.surely, self.reason)


ALWAYS = Condition(EVERYTHING, EVERYTHING)
NEVER = Condition(NOTHING, NOTHING)


@dataclass(frozen=True, slots=True)
class Known:
    """A field that is the same for all clients: one of the values. The reason: why not only one."""

    values: IntervalSet
    reason: str


@dataclass(frozen=True, slots=True)
class Client:
    """The field is the client's address, `&` the mask."""

    mask: int | None
    width: int


@dataclass(frozen=True, slots=True)
class Cells:
    """A field that depends on the client's address: a partition of the clients, with its values."""

    cells: tuple[tuple[IntervalSet, IntervalSet], ...]
    reason: str


class NoValue(Enum):
    """The packet lacks the field: the rule does not match, negated or not (NFT_BREAK)."""

    ABSENT = auto()
    UNCONNECTED = auto()


Reading = Known | Client | Cells | NoValue

TCP = 6
SYN, ACK = 0x02, 0x10
IPV4_LENGTHS = between(40, 80)  # a header of 20 bytes each and up to 40 of TCP options
IPV6_LENGTHS = between(60, 100)
CLIENT_PORTS = between(1024, 65535)
PACKET_HOST = 0
HIDDEN = "the client's address is translated"

# Status bits that are known of a SYN: expected, seen-reply, assured, confirmed, snat, dnat.
STATUS_KNOWN = 0x3F
SEEN_REPLY, CONFIRMED, SNAT, DNAT = 2, 8, 16, 32


def read(key: Key, packet: Packet, network: Network) -> Reading:
    """The value of the key for this packet."""
    if isinstance(key, Unknown):
        return Known(EVERYTHING, key.reason)
    if isinstance(key, Fib):
        return _read_fib(key, packet, network)
    field = key.field
    if field is Field.SOCKET and not packet.reply:
        # No socket is known of a SYN before it is delivered.
        return NoValue.ABSENT
    if field in NEEDS_CONNECTION and not packet.connected:
        return NoValue.UNCONNECTED
    if field is Field.CT_STATUS:
        return _read_status(key, packet)
    if _is_client(field, packet):
        if packet.client_hidden and field not in (Field.CT_SADDR, Field.CT_DADDR):
            return Known(EVERYTHING, HIDDEN)
        return Client(key.mask, WIDTH[packet.family])
    known = _constant(field, packet)
    if key.mask is None:
        return known
    value = known.values.only()
    if value is None:
        return Known(EVERYTHING, known.reason)
    return Known(single(value & key.mask), known.reason)


def _is_client(field: Field, packet: Packet) -> bool:
    return field is Field.CT_SADDR or field is (Field.DADDR if packet.reply else Field.SADDR)


def _constant(field: Field, packet: Packet) -> Known:
    one = _constants(field, packet)
    if one is not None:
        return Known(single(one), "")
    if field in (Field.SADDR, Field.DADDR):
        return Known(packet.local, f"{field}: one of several")
    if field in (Field.SPORT, Field.DPORT):
        host_side = (field is Field.SPORT) == packet.reply
        return Known(
            packet.port if host_side else CLIENT_PORTS,
            f"{field}: one of several" if host_side else "the client's port is not known",
        )
    if field is Field.LENGTH:
        lengths = IPV4_LENGTHS if packet.family == V4 else IPV6_LENGTHS
        return Known(lengths, "packet length is not known")
    if field is Field.TTL:
        # The SYN-ACK leaves with the host's own setting, not captured.
        return Known(between(1, 255), "TTL is not known")
    if field is Field.CT_SPORT:
        return Known(CLIENT_PORTS, "the client's port is not known")
    if field is Field.XT_STATE:
        return Known(EVERYTHING, "whether the connection is translated is not known")
    return Known(EVERYTHING, f"{field} is not known")


def _constants(field: Field, packet: Packet) -> int | None:
    """The fields that have one value each, or None."""
    match field:
        case Field.IIF:
            return interface_number(packet.iif)
        case Field.OIF:
            return interface_number(packet.oif)
        case Field.MARK:
            return packet.mark
        case Field.CT_MARK:
            return packet.ct_mark
        case Field.L4PROTO | Field.CT_PROTOCOL:
            return TCP
        case Field.NFPROTO | Field.CT_L3PROTO:
            return NFPROTO[packet.family]
        case Field.ETHERTYPE:
            return ETHERTYPE[packet.family]
        case Field.TCP_FLAGS:
            return SYN | ACK if packet.reply else SYN
        case Field.PKTTYPE:
            # What the host itself sends is not given a type, which is that of "host" too.
            return PACKET_HOST
        case Field.IPSEC | Field.EXTENSION_HEADER:
            return 0
        case Field.CT_STATE:
            return _state(packet)
        case Field.XT_STATE:
            return _state_with_nat(packet)
        case Field.CT_DIRECTION:
            return int(packet.reply)
        case Field.CT_DADDR:
            return packet.asked[0]
        case Field.CT_DPORT:
            return packet.asked[1]
        case _:
            return None


NFPROTO = {4: 2, 6: 10}
ETHERTYPE = {4: 0x0800, 6: 0x86DD}


def _state(packet: Packet) -> int:
    match packet.tracking:
        case Tracking.NOT_YET | Tracking.STRAY:
            return STATES["invalid"]
        case Tracking.OFF:
            return STATES["untracked"]
        case Tracking.NEW:
            return STATES["new"]
        case Tracking.REPLY:
            return STATES["established"]


def _state_with_nat(packet: Packet) -> int | None:
    if not packet.connected:
        return _state(packet)
    if packet.dnat is None:
        return None
    state = _state(packet) | (STATES["dnat"] if packet.dnat else 0)
    return state | (STATES["snat"] if packet.client_hidden else 0)


def _read_status(key: Selector, packet: Packet) -> Known:
    if key.mask is None or key.mask & ~STATUS_KNOWN or (packet.dnat is None and key.mask & DNAT):
        return Known(EVERYTHING, "connection status is not known in full")
    status = (SEEN_REPLY | CONFIRMED if packet.reply else 0) | (DNAT if packet.dnat else 0)
    return Known(single((status | (SNAT if packet.client_hidden else 0)) & key.mask), "")


def _read_fib(key: Fib, packet: Packet, network: Network) -> Reading:
    if key.marked and packet.mark != 0:
        return Known(EVERYTHING, "a routing lookup by mark")
    device = {Field.IIF: packet.iif, Field.OIF: packet.oif, None: None}.get(key.device)
    if key.result is FibResult.TYPE:
        cells = network.types(packet.family, device)
    else:
        cells = network.devices(packet.family)
        if cells is not None and device is not None:
            # The route must lead over the device; the answer is the device then, or none.
            number = interface_number(device)
            # Of several next hops IPv6 asks one only, chosen by a hash.
            one_of = packet.family != V4
            cells = tuple((who, _over(devices, number, one_of=one_of)) for who, devices in cells)
    reason = f"fib {key.of}: the captured routes do not tell"
    if cells is None:
        return Known(EVERYTHING, reason)
    if _is_client(key.of, packet):
        if packet.client_hidden:
            return Known(EVERYTHING, HIDDEN)
        if packet.family != V4 and key.result is FibResult.DEVICE:
            # nft_fib6_flowi_init() asks for a link-local address on the packet's own device.
            own = EVERYTHING if packet.reply else single(interface_number(packet.iif))
            cells = (
                *((who - LINK_LOCAL, devices) for who, devices in cells),
                (LINK_NETWORK, own),
                (LINK_LOCAL - LINK_NETWORK, EVERYTHING),
            )
        return Cells(cells, reason)
    values = union(values for who, values in cells if who.overlaps(packet.local))
    return Known(values, reason)


def _over(devices: IntervalSet, number: int, *, one_of: bool) -> IntervalSet:
    """What a lookup bound to a device finds: it, where any next hop uses it, or nothing."""
    if number not in devices:
        return single(0)
    return single(number) | single(0) if one_of and devices.only() is None else single(number)


def holds(match: Match, packet: Packet, network: Network) -> Condition:
    """For which clients the match is fulfilled."""
    readings = []
    for key in match.keys:
        reading = read(key, packet, network)
        if isinstance(reading, NoValue):
            absent = reading is NoValue.ABSENT or not match.unconnected
            return NEVER if absent else ALWAYS
        readings.append(reading)
    condition = _within(readings, match.content)
    return ~condition if match.negated else condition


def joined(step: AllOrAny, packet: Packet, network: Network) -> Condition:
    """For which clients matches hold that may be one: surely if all do, possibly if any does."""
    all_of, none_of = ALWAYS, ALWAYS
    for each in step.matches:
        condition = holds(each, packet, network)
        all_of &= condition
        none_of &= ~condition
    if all_of.surely == (~none_of).possibly:
        return all_of
    return Condition(all_of.surely, (~none_of).possibly, "two != that may be one comparison")


def lookup(
    keys: tuple[Key, ...], contents: tuple[Content, ...], packet: Packet, network: Network
) -> list[Condition]:
    """For which clients the keys are in each of the contents: the cases of a map."""
    readings = []
    for key in keys:
        reading = read(key, packet, network)
        if isinstance(reading, NoValue):
            return [NEVER] * len(contents)
        readings.append(reading)
    return [_within(readings, content) for content in contents]


def _within(readings: Sequence[Reading], content: Content) -> Condition:
    found = []
    for row in content.rows:
        condition = ALWAYS
        for reading, values in zip(readings, row, strict=True):
            condition &= _member(reading, values)
            if condition is NEVER:
                break
        else:
            if condition is ALWAYS:
                return ALWAYS
            found.append(condition)
    whole = _any(found)
    if content.grows:
        return Condition(NOTHING if content.shrinks else whole.surely, EVERYTHING, content.grows)
    return whole


def _any(conditions: list[Condition]) -> Condition:
    if not conditions:
        return NEVER
    if len(conditions) == 1:
        return conditions[0]
    possibly = union(each.possibly for each in conditions)
    reason = next((each.reason for each in conditions if each.reason), "")
    if not reason:
        return Condition(possibly, possibly)
    return Condition(union(each.surely for each in conditions), possibly, reason)


def _member(reading: Reading, values: IntervalSet) -> Condition:
    match reading:
        case Known():
            return _truth(reading.values, values, reading.reason)
        case Client(mask, width):
            if mask is None:
                return Condition(values, values)
            members = masked(mask, values, width)
            if members is None:
                return Condition(NOTHING, EVERYTHING, "an address mask with many holes")
            return Condition(members, members)
        case Cells():
            surely = union(who for who, have in reading.cells if values.covers(have))
            possibly = union(who for who, have in reading.cells if values.overlaps(have))
            reason = "" if surely == possibly else reading.reason
            return Condition(surely, possibly, reason)
        case NoValue():
            return NEVER


def _truth(have: IntervalSet, values: IntervalSet, reason: str) -> Condition:
    """Whether a value of which only the candidates are known is among the values."""
    only = have.only()
    if only is not None:
        return ALWAYS if only in values else NEVER
    if not values.overlaps(have):
        return NEVER
    return ALWAYS if values.covers(have) else Condition(NOTHING, EVERYTHING, reason)


def device_names(numbers: IntervalSet) -> tuple[str, ...]:
    """The names of the devices in a set of their numbers."""
    return tuple(interface_name(low) for low, _ in numbers.intervals(8 * 16) if low)
