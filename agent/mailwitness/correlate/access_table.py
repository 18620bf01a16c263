"""Postfix's access tables, for all client addresses at once.

access(5), cidr_table(5) and DATABASE_README: those in a file, as the agent read them, and those
that stand in a setting: `static:`, `inline:` and, since Postfix 3.7, `cidr:{{...}}`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mailwitness.evidence.host import ClientTable
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    WIDTH,
    IntervalSet,
    Remainder,
    format_address,
    leading_octets,
    parse_address,
    parse_network,
    single,
    union,
)
from mailwitness.host.postfix_access import split

_PERMITS = frozenset({"OK", "RELAY", "PERMIT"})
_REJECTS = frozenset({"REJECT", "DEFER"})
# Actions with which the later restrictions are asked as if nothing had been found.
_GOES_ON = frozenset({"DUNNO", "WARN", "INFO", "PREPEND", "HOLD", "FILTER", "BCC"})
_CODE = 3  # digits of an SMTP reply
_NOT_TOLD = "is not in the evidence"
_NO_TABLE = "hangs on what is not in the evidence"

Fate = Literal["permitted", "rejected", "unsure", "goes on"]
Rule = tuple[IntervalSet, str]  # who is meant, and the action


@dataclass(frozen=True)
class AccessTable:
    """What becomes of clients by a table; who is in none of the sets goes on."""

    permitted: IntervalSet = NOTHING
    rejected: IntervalSet = NOTHING
    unsure: IntervalSet = NOTHING


@dataclass(frozen=True)
class Use:
    """How a program asks a table."""

    fate: Callable[[str], Fate]  # what it makes of an action
    by_parts: bool  # asks for the client's name and for parts of its address, too


def smtpd_fate(action: str) -> Fate:
    """access(5): by its first word."""
    word = "".join(action.split(maxsplit=1)[:1]).upper()
    if word in _REJECTS or (len(word) == _CODE and word.isdecimal() and word[0] in "45"):
        return "rejected"
    if word in _PERMITS or (word.isdecimal() and word[0] not in "45"):
        return "permitted"
    return "goes on" if word in _GOES_ON else "unsure"


def access_table(
    name: str, family: int, tables: Mapping[str, ClientTable | Missing], use: Use
) -> AccessTable | Missing:
    """The table `type:value`; Missing where it is of another kind, or not understood."""
    if ":" not in name:
        return Missing(_NO_TABLE)
    rules = _rules(name, family, tables, use)
    return rules if isinstance(rules, Missing) else _of_rules(rules, use.fate)


def _rules(
    name: str, family: int, tables: Mapping[str, ClientTable | Missing], use: Use
) -> list[Rule] | Missing:
    kind, _, value = name.removeprefix("proxy:").partition(":")
    inside = value.startswith("{") and value.endswith("}")
    if kind == "static":
        return [(EVERYTHING, value)]
    if kind in ("cidr", "inline") and inside:
        entries = [_bare(entry) for entry in split(value[1:-1])]
        if kind == "cidr":
            return _in_order([_pair(entry, " ") for entry in entries], family)
        return _indexed([_pair(entry, "=") for entry in entries], 0, family, use)
    table = tables.get(name, Missing(_NOT_TOLD))
    if isinstance(table, Missing):
        return table
    pairs = [(rule.pattern, rule.action) for rule in table.rules]
    if kind == "cidr":
        return _in_order(pairs, family)
    return _indexed(pairs, table.others, family, use)


def _bare(entry: str) -> str:
    return entry.removeprefix("{").removesuffix("}").strip()


def _pair(entry: str, between: str) -> tuple[str, str]:
    key, _, action = entry.partition(between)
    return key.strip(), action.strip()


def _in_order(pairs: Sequence[tuple[str, str]], family: int) -> list[Rule] | Missing:
    """Of a cidr table the first rule that fits decides; `if` and `endif` may nest."""
    conditions = [EVERYTHING]
    found: list[Rule] = []
    for pattern, action in pairs:
        word = pattern.lower()
        if word == "endif":
            conditions.pop()
            if not conditions:
                return Missing("has an endif without an if")
            continue
        members = _matched(action if word == "if" else pattern, family)
        if members is None:
            return Missing(f"has a pattern that is not understood: {pattern!a}")
        members &= conditions[-1]
        if word == "if":
            conditions.append(members)
        else:
            found.append((members, action))
    return found


def _matched(pattern: str, family: int) -> IntervalSet | None:
    """Of addresses of another family neither a network nor its negation holds."""
    text = pattern.lstrip("!").replace("[", "").replace("]", "")
    try:
        its_family, members = parse_network(text)
        _, address = parse_address(text.partition("/")[0])
    except ValueError:
        return None
    if address not in members.points:
        return None  # Postfix leaves a rule out whose address has bits beyond its prefix
    if its_family != family:
        return NOTHING
    return ~members if (len(pattern) - len(pattern.lstrip("!"))) % 2 else members


def _indexed(
    pairs: Iterable[tuple[str, str]], others: int, family: int, use: Use
) -> list[Rule] | Missing:
    """The whole address is asked for first, then ever shorter parts of it.

    By smtpd(8) the client's name is, too, before them. Of IPv6 the parts are those before a colon,
    which stand for different networks as addresses are written: such keys, like names, leave it
    unsure who is meant.
    """
    by_length: dict[int, list[Rule]] = {}
    for key, action in pairs:
        of_key = _key(key)
        if of_key is None:
            others += 1
            continue
        its_family, length, members = of_key
        whole = length == WIDTH[its_family]
        if its_family != family or not (whole or use.by_parts):
            continue
        # A table is asked for the address as the system writes it, and holds texts.
        if not whole or key.lower() == format_address(family, members.points[0]):
            by_length.setdefault(length, []).append((members, action))
    if others and use.by_parts:
        return Missing("has keys that are no addresses, and whom they mean is not known")
    return [rule for _, rules in sorted(by_length.items(), reverse=True) for rule in rules]


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


def _of_rules(rules: list[Rule], fate: Callable[[str], Fate]) -> AccessTable:
    """The first of the rules decides."""
    sets: dict[Fate, list[IntervalSet]] = {}
    rest = Remainder(EVERYTHING)
    for members, action in rules:
        sets.setdefault(fate(action), []).append(rest.common(members))
        rest.discard(members)
    return AccessTable(*(union(sets.get(each, ())) for each in ("permitted", "rejected", "unsure")))
