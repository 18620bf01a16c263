"""The text of `ipset save`, and what a set means for a packet: https://ipset.netfilter.org/ipset.man.html."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    WIDTH,
    IntervalSet,
    parse_address,
    single,
    union,
)
from mailwitness.firewall.ruleset import (
    Content,
    Field,
    FirewallError,
    Key,
    Match,
    Never,
    Selector,
    Step,
    Unknown,
    interface_named,
)
from mailwitness.firewall.values import UnreadableError, network, number, port_range

MOST_NESTED = 8  # list:set in list:set; the kernel allows one level


@dataclass(slots=True)
class IpSet:
    """One set as it was saved."""

    kind: str  # "hash:net,port"
    options: Mapping[str, str]
    elements: list[tuple[str, bool]] = field(default_factory=list)  # and whether `nomatch`

    @property
    def parts(self) -> tuple[str, ...]:
        """What an element is made of: "net", "port"."""
        return tuple(self.kind.partition(":")[2].split(","))


def parse(text: str, where: str = "ipset save") -> dict[str, IpSet]:
    """All sets by name. Raises FirewallError with the line."""
    sets: dict[str, IpSet] = {}
    for at, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[0] == "create" and len(words) > 2:  # noqa: PLR2004
            sets[words[1]] = IpSet(words[2], dict(_options(words[3:])))
        elif words[0] == "add" and len(words) > 2 and words[1] in sets:  # noqa: PLR2004
            sets[words[1]].elements.append((words[2], "nomatch" in words[3:]))
        else:
            raise FirewallError(f"{where}, line {at}", f"not understood: {line[:60]!r}")
    return sets


def _options(words: list[str]) -> list[tuple[str, str]]:
    """Names with the word after them; flags have a wrong one, which nobody asks for."""
    return list(zip(words, [*words[1:], ""], strict=True))


class IpSets:
    """All sets of a host. `filled` names those that rules add to or delete from."""

    def __init__(self, sets: Mapping[str, IpSet], filled: frozenset[str] = frozenset()) -> None:
        self._sets = sets
        self._filled = filled
        # A set of 100,000 elements is read once, however many rules ask it.
        self._known: dict[tuple[str, tuple[str, ...], int], list[Match]] = {}

    def match(self, name: str, flags: tuple[str, ...], family: int, *, negated: bool) -> list[Step]:
        """The match `--match-set name flags` for packets of a family. Raises UnreadableError."""
        branches = self._branches(name, flags, family, 0)
        if len(branches) == 1 and isinstance(branches[0], Match):
            found = branches[0]
            return [Match(found.keys, found.content, negated=negated)]
        if not branches:
            # Of the other family, or of more parts than flags: no packet is in it.
            return [] if negated else [Never()]
        if negated:
            return [Match(each.keys, each.content, negated=True) for each in branches]
        return [_either(branches)]

    def _branches(self, name: str, flags: tuple[str, ...], family: int, depth: int) -> list[Match]:
        """A match for the set, or one for each member of a list:set; none if it cannot match."""
        known = self._known.get((name, flags, family))
        if known is None:
            known = self._read(name, flags, family, depth)
            self._known[name, flags, family] = known
        return known

    def _read(self, name: str, flags: tuple[str, ...], family: int, depth: int) -> list[Match]:
        found = self._sets.get(name)
        if found is None:
            raise UnreadableError(f"ipset {name} is not in the capture")
        if found.kind == "list:set":
            if depth >= MOST_NESTED:
                raise UnreadableError(f"ipset {name}: lists in one another")
            return [
                branch
                for member, _ in found.elements
                for branch in self._branches(member, flags, family, depth + 1)
            ]
        own_family = {"inet": 4, "inet6": 6}.get(found.options.get("family", ""))
        if found.kind.startswith("bitmap:ip"):
            own_family = 4
        # ip_set_test(): the other family, or fewer directions than parts, is no match.
        if own_family not in (None, family) or len(flags) < len(found.parts):
            return []
        keys = tuple(
            _key(part, flag, found) for part, flag in zip(found.parts, flags, strict=False)
        )
        content = _content(name, found, keys, family)
        if name in self._filled:
            content = Content(content.rows, f"ipset {name} is filled by rules", shrinks=True)
        return [Match(keys, content)]


def _either(branches: list[Match]) -> Match:
    """One match that is fulfilled when any of them is."""
    keys: tuple[Key, ...] = ()
    for each in branches:
        keys += tuple(key for key in each.keys if key not in keys)
    rows = []
    for each in branches:
        places = [each.keys.index(key) if key in each.keys else None for key in keys]
        rows += [
            tuple(EVERYTHING if place is None else row[place] for place in places)
            for row in each.content.rows
        ]
    grows = next((each.content.grows for each in branches if each.content.grows), "")
    return Match(keys, Content(tuple(rows), grows, shrinks=bool(grows)))


def _key(part: str, flag: str, found: IpSet) -> Key:
    source = flag == "src"
    match part:
        case "ip" | "net":
            mask = None
            if part == "ip" and "netmask" in found.options:
                mask = _netmask(found)
            return Selector(Field.SADDR if source else Field.DADDR, mask)
        case "port":
            return Selector(Field.SPORT if source else Field.DPORT)
        case "iface":
            return Selector(Field.IIF if source else Field.OIF)
        case "mark":
            return Selector(Field.MARK, _number(found.options.get("markmask", "0xffffffff")))
        case "mac":
            return Unknown("MAC address")
        case _:
            return Unknown(f"ipset {part}")


def _netmask(found: IpSet) -> int:
    width = 128 if found.options.get("family") == "inet6" else 32
    text = found.options["netmask"]
    if not text.isdecimal():
        raise UnreadableError(f"ipset netmask {text[:40]!r} is not known")
    return (1 << width) - (1 << max(0, width - int(text)))


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise UnreadableError(f"ipset: {text[:40]!r} is no number") from error


def _content(name: str, found: IpSet, keys: tuple[Key, ...], family: int) -> Content:
    """The elements, with the holes that `nomatch` cuts: the longest prefix has the last word."""
    if "iface" in found.parts:
        return _by_device(found, keys, family)
    places = [index for index, part in enumerate(found.parts) if part == "net"]
    holes = any(nomatch for _, nomatch in found.elements)
    if holes and len(places) != 1:
        raise UnreadableError(f"ipset {name}: nomatch with two networks")
    grouped: dict[tuple[IntervalSet, ...], list[tuple[int, IntervalSet, bool]]] = {}
    at = places[0] if places else 0
    for element, nomatch in found.elements:
        texts = element.split(",")
        if len(texts) != len(keys):
            raise UnreadableError(f"ipset {name}: element {element[:60]!r} is not understood")
        values = [
            _values(part, text, key)
            for part, text, key in zip(found.parts, texts, keys, strict=True)
        ]
        rest = (*values[:at], *values[at + 1 :])
        bits = _length(texts[at], WIDTH[family])
        grouped.setdefault(rest, []).append((bits, values[at], nomatch))
    rows = []
    for rest, members in grouped.items():
        merged = _layered(members) if holes else union(values for _, values, _ in members)
        rows.append((*rest[:at], merged, *rest[at:]))
    return Content(tuple(rows))


def _by_device(found: IpSet, keys: tuple[Key, ...], family: int) -> Content:
    """hash:net,iface: the longest prefix, of whatever device, hides all shorter ones.

    That is the `multi` of mtype_test_cidrs() in ip_set_hash_gen.h.
    """
    by_length: dict[int, list[tuple[IntervalSet, IntervalSet, bool]]] = {}
    for element, nomatch in found.elements:
        network_text, _, device = element.partition(",")
        values = _values("net", network_text, keys[0])
        row = (values, _values("iface", device, keys[1]), nomatch)
        by_length.setdefault(_length(network_text, WIDTH[family]), []).append(row)
    rows = []
    hidden = NOTHING
    for bits in sorted(by_length, reverse=True):
        by_device: dict[IntervalSet, list[IntervalSet]] = {}
        for values, device_values, nomatch in by_length[bits]:
            if not nomatch:
                by_device.setdefault(device_values, []).append(values)
        rows += [(union(nets) - hidden, device) for device, nets in by_device.items()]
        hidden |= union(values for values, _, _ in by_length[bits])
    return Content(tuple(rows))


def _length(text: str, width: int) -> int:
    _, _, length = text.partition("/")
    return int(length) if length.isdecimal() else width


def _layered(members: list[tuple[int, IntervalSet, bool]]) -> IntervalSet:
    """Networks of one length do not overlap, so each length is one layer over the shorter ones."""
    by_length: dict[int, tuple[list[IntervalSet], list[IntervalSet]]] = {}
    for bits, values, nomatch in members:
        by_length.setdefault(bits, ([], []))[nomatch].append(values)
    whole = NOTHING
    for bits in sorted(by_length):
        added, cut = by_length[bits]
        whole = (whole | union(added)) - union(cut)
    return whole


def _values(part: str, text: str, key: Key) -> IntervalSet:
    if isinstance(key, Unknown):
        return single(0)
    match part:
        case "ip" | "net":
            members = network(text)
            if isinstance(key, Selector) and key.mask is not None:
                # A set with a netmask holds networks, named by their first address.
                return single(_address(text.partition("/")[0]) & key.mask)
            return members
        case "port":
            protocol, colon, port = text.rpartition(":")
            if colon and number(protocol, Field.L4PROTO) != TCP:
                return NOTHING
            return port_range(port, "-")
        case "iface":
            if text.startswith("physdev:"):
                raise UnreadableError("a port of a bridge (physdev)")
            return interface_named(text)
        case _:
            return single(_number(text))


TCP = 6


def _address(text: str) -> int:
    try:
        return parse_address(text)[1]
    except ValueError as error:
        raise UnreadableError(str(error)) from error
