"""Networks as daemons and their tools write them, IPv6 with brackets or without."""

from collections.abc import Iterable

from mailwitness.firewall.addresses import NOTHING, IntervalSet, parse_network, union


def network(family: int, word: str) -> IntervalSet | None:
    """Its members, none where it is of the other family; None where the word is no network."""
    try:
        its_family, members = parse_network(word.replace("[", "").replace("]", ""))
    except ValueError:
        return None
    return members if its_family == family else NOTHING


def networks(family: int, words: Iterable[str]) -> IntervalSet | None:
    """All of them; None where a word is no network."""
    found = []
    for word in words:
        members = network(family, word)
        if members is None:
            return None
        found.append(members)
    return union(found)
