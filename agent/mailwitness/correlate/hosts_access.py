"""The rules of hosts.allow and hosts.deny, for all client addresses at once: hosts_access(5)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    IntervalSet,
    leading_octets,
    parse_network,
    union,
)

_ALL = "ALL"
_MOST_SHOWN = 200  # characters of a rule
# Patterns that hang on the client's name, or on what its name server says.
_BY_NAME = frozenset({"LOCAL", "KNOWN", "UNKNOWN", "PARANOID"})


@dataclass(frozen=True)
class Matched:
    """Clients that a list of patterns surely holds, and those that it may hold."""

    surely: IntervalSet
    possibly: IntervalSet


_EVERYBODY = Matched(EVERYTHING, EVERYTHING)
_NOBODY = Matched(NOTHING, NOTHING)
_PERHAPS = Matched(NOTHING, EVERYTHING)


@dataclass(frozen=True)
class Refused:
    """Clients that the rules refuse, or may refuse, and the rule (or the reason) of it."""

    sources: IntervalSet
    surely: bool
    rule: str


def refused(
    family: int, daemon: str | None, allow: Iterable[str], deny: Iterable[str]
) -> Iterator[Refused]:
    """Whom the rules keep away from the daemon; None: it is one of several, not known which.

    The first rule that fits decides, those of hosts.allow first; who fits none is let in. A rule
    that may fit leaves its clients undecided, if a later one or the end decides otherwise.
    """
    rest = EVERYTHING  # whom no rule has surely decided so far
    doubted = NOTHING  # among them, who may have been decided already
    verdicts = [
        *((line, "hosts.allow", False) for line in allow),
        *((line, "hosts.deny", True) for line in deny),
    ]
    for line, file, by_default in verdicts:
        daemons, clients, options = _fields(line)
        said = f"{file}: {line[:_MOST_SHOWN]}"
        # hosts_options(5): these two keywords override what the file means.
        refuses = "DENY" in options or (by_default and "ALLOW" not in options)
        fits = _both(_list(daemons, daemon, family), _list(clients, None, family, of_clients=True))
        if "TWIST" in options:
            yield Refused(rest & fits.possibly, surely=False, rule=f"{said} runs a command")
        elif refuses:
            yield Refused(rest & fits.surely - doubted, surely=True, rule=said)
            unsure = rest & ((fits.possibly - fits.surely) | (fits.surely & doubted))
            yield Refused(unsure, surely=False, rule=f"{said} may fit or not")
        doubted |= fits.possibly - fits.surely
        rest -= fits.surely


def _fields(line: str) -> tuple[str, str, frozenset[str]]:
    """Daemons, clients, and the keywords of the options; IPv6 stands in brackets."""
    parts = [""]
    depth = 0
    for character in line:
        depth += (character == "[") - (character == "]")
        if character == ":" and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    daemons, clients, *options = [*parts, ""]
    keywords = (option.split()[:1] for option in options)
    return daemons, clients, frozenset(word.upper() for words in keywords for word in words)


def _list(text: str, daemon: str | None, family: int, *, of_clients: bool = False) -> Matched:
    """`a b EXCEPT c EXCEPT d` is `a b` without those of `c` that are not of `d`."""
    found = _NOBODY
    for words in reversed(_split(text.replace(",", " ").split())):
        listed = _any(
            _client(word, family) if of_clients else _daemon(word, daemon) for word in words
        )
        found = Matched(listed.surely - found.possibly, listed.possibly - found.surely)
    return found


def _split(words: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in words:
        if word.upper() == "EXCEPT":
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


def _daemon(word: str, daemon: str | None) -> Matched:
    name, at, _ = word.partition("@")
    if name.upper() != _ALL and daemon is not None and name.lower() != daemon:
        return _NOBODY
    # With a host after it the rule is for some of the host's own addresses only.
    return _PERHAPS if at or (name.upper() != _ALL and daemon is None) else _EVERYBODY


def _client(word: str, family: int) -> Matched:
    if word.upper() == _ALL:
        return _EVERYBODY
    if word.upper() in _BY_NAME or word.startswith((".", "@", "/")) or "@" in word:
        return _PERHAPS
    found = _network(word)
    if found is None:
        return _PERHAPS  # a name, or a pattern with wildcards
    its_family, members = found
    return Matched(members, members) if its_family == family else _NOBODY


def _network(word: str) -> tuple[int, IntervalSet] | None:
    if word.endswith("."):
        network = leading_octets(word[:-1])
        return network and (4, network[1])
    try:
        return parse_network(word.replace("[", "").replace("]", ""))
    except ValueError:
        return None


def _any(found: Iterable[Matched]) -> Matched:
    each = list(found)
    return Matched(union(one.surely for one in each), union(one.possibly for one in each))


def _both(one: Matched, other: Matched) -> Matched:
    return Matched(one.surely & other.surely, one.possibly & other.possibly)
