"""Postfix access tables that stand in its settings themselves, for all client addresses at once.

access(5), cidr_table(5) and DATABASE_README: `static:`, `inline:` and, since Postfix 3.7,
`cidr:{{...}}`. What other tables hold is not in the settings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    WIDTH,
    IntervalSet,
    leading_octets,
    parse_address,
    parse_network,
    single,
)

_PERMITS = frozenset({"OK", "RELAY", "PERMIT"})
_REJECTS = frozenset({"REJECT", "DEFER"})
# Actions with which the later restrictions are asked as if nothing had been found.
_GOES_ON = frozenset({"DUNNO", "WARN", "INFO", "PREPEND", "HOLD", "FILTER", "BCC"})
_CODE = 3  # digits of an SMTP reply


@dataclass(frozen=True)
class AccessTable:
    """What becomes of clients by a table; who is in none of the sets is not found in it."""

    permitted: IntervalSet = NOTHING
    rejected: IntervalSet = NOTHING
    unsure: IntervalSet = NOTHING


def split(text: str) -> list[str]:
    """A list of Postfix: words between commas and blanks, and what braces hold together."""
    words = [""]
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth <= 0 and character in ", \t\n":
            words.append("")
        else:
            words[-1] += character
    return [word for word in words if word]


def access_table(name: str, family: int) -> AccessTable | None:
    """The table `type:value`; None where it is of another kind, or not understood."""
    kind, _, value = name.partition(":")
    match kind:
        case "static":
            return _of_actions([(EVERYTHING, value)])
        case "cidr" if value.startswith("{") and value.endswith("}"):
            return _ordered(split(value[1:-1]), family)
        case "inline" if value.startswith("{") and value.endswith("}"):
            return _inline(split(value[1:-1]), family)
        case _:
            return None


def _ordered(rules: list[str], family: int) -> AccessTable | None:
    """Of a cidr table the first rule that fits decides."""
    found: list[tuple[IntervalSet, str]] = []
    for rule in rules:
        pattern, _, action = rule.removeprefix("{").removesuffix("}").strip().partition(" ")
        try:
            its_family, members = parse_network(pattern.replace("[", "").replace("]", ""))
            _, address = parse_address(pattern.partition("/")[0].strip("[]"))
        except ValueError:
            return None  # a condition, or something newer
        if address not in members.points:
            return None  # Postfix leaves a rule out whose address has bits beyond its prefix
        if its_family == family:
            found.append((members, action))
    return _of_actions(found)


def _inline(entries: list[str], family: int) -> AccessTable | None:
    """Asked for the client's name first, then its address, then ever shorter parts of it.

    Of IPv6 the parts are those before a colon, which stand for different networks as addresses
    are written: such keys, like names, leave the clients unsure who may have them.
    """
    by_length: dict[int, list[tuple[IntervalSet, str]]] = {}
    unsure = NOTHING
    for entry in entries:
        key, equals, action = entry.removeprefix("{").removesuffix("}").partition("=")
        if not equals:
            return None
        key, action = key.strip(), action.strip()
        of_key = _key(key)
        if of_key is None:
            unsure = EVERYTHING
        elif of_key[0] == family:
            _, length, members = of_key
            by_length.setdefault(length, []).append((members, action))
    longest_first = sorted(by_length.items(), reverse=True)
    found = _of_actions([each for _, rules in longest_first for each in rules])
    if found is None or not unsure:
        return found
    return AccessTable(unsure=EVERYTHING)


def _key(key: str) -> tuple[int, int, IntervalSet] | None:
    """Family, length and members of an address or of its first octets; None: a name."""
    network = leading_octets(key)
    if network is not None:
        return 4, *network
    try:
        family, value = parse_address(key)
    except ValueError:
        return None
    return family, WIDTH[family], single(value)


def _of_actions(rules: list[tuple[IntervalSet, str]]) -> AccessTable | None:
    """The first of the rules decides."""
    rest = EVERYTHING
    sets = {"permitted": NOTHING, "rejected": NOTHING, "unsure": NOTHING}
    for members, action in rules:
        for name in _fate(action):
            sets[name] |= rest & members
        rest -= members
    return AccessTable(**sets)


def _fate(action: str) -> Iterator[str]:
    word = "".join(action.split(maxsplit=1)[:1]).upper()
    if word in _REJECTS or (len(word) == _CODE and word.isdecimal() and word[0] in "45"):
        yield "rejected"
    elif word in _PERMITS or (word.isdecimal() and word[0] not in "45"):
        yield "permitted"
    elif word not in _GOES_ON:
        yield "unsure"
