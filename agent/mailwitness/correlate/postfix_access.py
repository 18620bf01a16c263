"""Whom Postfix keeps out by its own rules: postscreen(8) first, then smtpd(8)."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import NamedTuple

from mailwitness.correlate.access_table import Fate, Use, access_table, smtpd_fate
from mailwitness.correlate.filtered import Gate
from mailwitness.correlate.networks import network
from mailwitness.evidence.host import ClientTable, PostfixService
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import EVERYTHING, NOTHING, IntervalSet
from mailwitness.host.postfix_access import split

# postconf(5): what lets some clients in early and keeps nobody out, or goes by what a client does.
_NOT_BY_ADDRESS = frozenset(
    {
        "permit_inet_interfaces",
        "permit_sasl_authenticated",
        "permit_tls_all_clientcerts",
        "permit_tls_clientcerts",
        "reject_unauth_pipelining",
    }
)
_TURNS_AWAY = frozenset({"drop", "enforce"})

Tables = Mapping[str, ClientTable | Missing]
_Networks = tuple[IntervalSet, IntervalSet]  # who surely is in mynetworks, and who may be


class _Entry(NamedTuple):
    """Of a list of who may come: as it is written, and the table that it asks."""

    word: str
    table: str


class _Asked(NamedTuple):
    """A list, and how a program asks it."""

    name: str
    use: Use
    turns_away: bool = True  # whom it rejects; else they go on


def kept_out(
    family: int, service: PostfixService, settings: Mapping[str, str], tables: Tables
) -> Iterator[Gate]:
    """By each of its rules; `settings`: the effective ones of the service."""
    if service.program == "postscreen":
        yield from _postscreen(family, settings, tables)
    name = f"{service.program}_upstream_proxy_protocol"
    if settings.get(name):
        said = f"Postfix's {name}: clients come through a proxy, and whom it lets in is unknown"
        yield Gate.of_service(family, EVERYTHING, said, surely=False)
    name = "smtpd_client_restrictions"
    if name not in settings:
        yield Gate.of_service(family, EVERYTHING, f"Postfix's {name} is not known", surely=False)
        return
    asked = _Asked(f"Postfix's {name}", Use(smtpd_fate, by_parts=True))
    yield from _in_order(family, asked, _restrictions(settings), settings, tables)


def _restrictions(settings: Mapping[str, str]) -> Iterator[_Entry]:
    """postconf(5), smtpd_client_restrictions: those that hang on who the client is."""
    words = iter(split(settings["smtpd_client_restrictions"]))
    for word in words:
        # Whoever logs in is let in from anywhere.
        logs_in = settings.get("smtpd_sasl_auth_enable") == "yes"
        if word == "permit_sasl_authenticated" and logs_in:
            yield _Entry(word, "static:permit")
        elif word == "check_client_access":
            table = next(words, "")
            yield _Entry(f"{word} {table}", table)
        elif word not in _NOT_BY_ADDRESS:
            yield _entry(word)


def _postscreen(family: int, settings: Mapping[str, str], tables: Tables) -> Iterator[Gate]:
    """postscreen(8): its list of clients first, then its tests of those who are on none."""
    name = "postscreen_access_list"
    asked = _Asked(
        f"Postfix's {name}", Use(_postscreen_fate, by_parts=False), _turns_away(settings)
    )
    entries = map(_entry, split(settings.get(name, "")))
    rest = yield from _in_order(family, asked, entries, settings, tables)
    for said in _tests(settings):
        yield Gate.of_service(family, rest, said, surely=False)


def _entry(word: str) -> _Entry:
    return _Entry(word, f"static:{word}" if word in ("permit", "reject") else word)


def _in_order(
    family: int,
    asked: _Asked,
    entries: Iterable[_Entry],
    settings: Mapping[str, str],
    tables: Tables,
) -> Generator[Gate, None, IntervalSet]:
    """Until one permits or rejects; returns those whom none has, and who go on."""
    rest = EVERYTHING  # whom no entry has surely let in or kept out yet
    perhaps = NOTHING  # among them, who may have been let in already
    for entry in entries:
        said = f"{asked.name}: {entry.word}"
        if entry.table == "permit_mynetworks":
            own, unsure = _mynetworks(family, settings, tables)
            rest, perhaps = rest - own, perhaps | unsure
            continue
        access = access_table(entry.table, family, tables, asked.use)
        if isinstance(access, Missing):
            yield Gate.of_service(family, rest, f"{said}: {access.reason}", surely=False)
            return NOTHING
        rejected = access.rejected if asked.turns_away else NOTHING
        out = rest & rejected
        yield Gate.of_service(family, out - perhaps, said, surely=True)
        doubted = f"{said}, unless a rule before it, which is not known, lets them in"
        yield Gate.of_service(family, out & perhaps, doubted, surely=False)
        yield Gate.of_service(family, rest & access.unsure, f"{said} may fit or not", surely=False)
        rest -= rejected | access.permitted | access.unsure
    return rest


def _turns_away(settings: Mapping[str, str]) -> bool:
    """By the newer name, which Postfix 3.5 and before do not know."""
    names = ("postscreen_denylist_action", "postscreen_blacklist_action")
    return next(filter(None, map(settings.get, names)), "ignore") in _TURNS_AWAY


def _tests(settings: Mapping[str, str]) -> Iterator[str]:
    """Those that may keep a client out for where it comes from."""
    if settings.get("postscreen_dnsbl_sites") and (
        settings.get("postscreen_dnsbl_action") in _TURNS_AWAY
    ):
        yield "Postfix's postscreen_dnsbl_action: whom DNS lists is not known"
    for name in ("postscreen_allowlist_interfaces", "postscreen_whitelist_interfaces"):
        if settings.get(name, "") not in ("", "static:all"):
            yield f"Postfix's {name}: new clients must come by another address of the host first"


def _postscreen_fate(action: str) -> Fate:
    match action.lower():
        case "permit":
            return "permitted"
        case "reject":
            return "rejected"
        case "dunno":
            return "goes on"
        case _:
            return "unsure"


def _mynetworks(family: int, settings: Mapping[str, str], tables: Tables) -> _Networks:
    """postconf(5): the first that fits decides, `!` before it that it is none of them."""
    own, rest = NOTHING, EVERYTHING
    for word in split(settings.get("mynetworks", "!")):
        negated = word.startswith("!")
        members = _named(family, word.lstrip("!"), tables)
        if members is None:
            return own, rest
        own |= NOTHING if negated else members & rest
        rest -= members
    return own, NOTHING


def _named(family: int, word: str, tables: Tables) -> IntervalSet | None:
    """A network, or the addresses that a table holds, with whatever value."""
    members = network(family, word)
    if members is None:
        found = Use(lambda _: "permitted", by_parts=False)
        access = access_table(word, family, tables, found)
        return None if isinstance(access, Missing) else access.permitted
    return members
