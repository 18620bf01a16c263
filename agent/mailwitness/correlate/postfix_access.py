"""Whom Postfix keeps out by its own rules: postscreen(8) first, then smtpd(8)."""

from collections.abc import Iterator, Mapping

from mailwitness.correlate.access_table import Fate, Use, access_table, smtpd_fate
from mailwitness.correlate.filtered import Gate
from mailwitness.evidence.host import ClientTable, PostfixService
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import EVERYTHING, NOTHING, IntervalSet, parse_network
from mailwitness.host.postfix_access import split

# postconf(5): what lets some clients in early and keeps nobody out.
_ONLY_PERMITS = frozenset(
    {"permit_inet_interfaces", "permit_tls_all_clientcerts", "permit_tls_clientcerts"}
)
_BEHAVIOUR = frozenset({"reject_unauth_pipelining"})  # of what a client does, not who it is
_TURNS_AWAY = frozenset({"drop", "enforce"})

Tables = Mapping[str, ClientTable | Missing]
_Networks = tuple[IntervalSet, IntervalSet]  # who surely is in mynetworks, and who may be


def kept_out(
    family: int, service: PostfixService, settings: Mapping[str, str], tables: Tables
) -> Iterator[Gate]:
    """By each of its rules; `settings`: the effective ones of the service."""
    proxies = ["smtpd_upstream_proxy_protocol"]
    if service.program == "postscreen":
        proxies = ["postscreen_upstream_proxy_protocol"]
        yield from _postscreen(family, settings, tables)
    for name in proxies:
        if settings.get(name):
            said = f"Postfix's {name}: clients come through a proxy, and whom it lets in is unknown"
            yield Gate.of_service(family, EVERYTHING, said, surely=False)
    yield from _restrictions(family, settings, tables)


def _restrictions(family: int, settings: Mapping[str, str], tables: Tables) -> Iterator[Gate]:
    """postconf(5), smtpd_client_restrictions: asked in order, until one permits or rejects."""
    name = "smtpd_client_restrictions"
    text = settings.get(name)
    if text is None:
        yield Gate.of_service(family, EVERYTHING, f"Postfix's {name} is not known", surely=False)
        return
    rest = EVERYTHING  # whom no restriction has surely let in or kept out yet
    perhaps = NOTHING  # among them, who may have been let in already
    words = iter(split(text))
    for word in words:
        if word == "permit" or (
            # Whoever logs in is let in from anywhere.
            word == "permit_sasl_authenticated" and settings.get("smtpd_sasl_auth_enable") == "yes"
        ):
            return
        if word in _ONLY_PERMITS or word in _BEHAVIOUR or word == "permit_sasl_authenticated":
            continue
        said = f"Postfix's {name}: {word}"
        if word == "permit_mynetworks":
            own, unsure = _mynetworks(family, settings, tables)
            rest, perhaps = rest - own, perhaps | unsure
            continue
        if word == "reject":
            yield from _out(family, rest, perhaps, said)
            return
        table = word
        if word == "check_client_access":
            table = next(words, "")
            said = f"Postfix's {name}: {word} {table}"
        access = (
            access_table(table, family, tables, Use(smtpd_fate, by_parts=True))
            if ":" in table
            else Missing("hangs on what is not in the evidence")
        )
        if isinstance(access, Missing):
            yield Gate.of_service(family, rest, f"{said}: {access.reason}", surely=False)
            return
        yield from _out(family, rest & access.rejected, perhaps, said)
        yield Gate.of_service(family, rest & access.unsure, f"{said} may fit or not", surely=False)
        rest -= access.rejected | access.permitted | access.unsure


def _out(family: int, sources: IntervalSet, perhaps: IntervalSet, said: str) -> Iterator[Gate]:
    yield Gate.of_service(family, sources - perhaps, said, surely=True)
    unsure = f"{said}, unless a rule before it, which is not known, lets them in"
    yield Gate.of_service(family, sources & perhaps, unsure, surely=False)


def _postscreen(family: int, settings: Mapping[str, str], tables: Tables) -> Iterator[Gate]:
    """postscreen(8): its list of clients first, then its tests of those who are on none."""
    name = "postscreen_access_list"
    rest = EVERYTHING  # whom no entry has surely let in or kept out yet
    perhaps = NOTHING  # among them, who may have been let in already
    turns_away = _turns_away(settings)
    for word in split(settings.get(name, "")):
        said = f"Postfix's {name}: {word}"
        if word == "permit_mynetworks":
            own, unsure = _mynetworks(family, settings, tables)
            rest, perhaps = rest - own, perhaps | unsure
            continue
        table = f"static:{word}" if word in ("permit", "reject") else word
        access = access_table(table, family, tables, Use(_postscreen_fate, by_parts=False))
        if isinstance(access, Missing):
            yield Gate.of_service(family, rest, f"{said}: {access.reason}", surely=False)
            return
        if turns_away:
            yield from _out(family, rest & access.rejected, perhaps, said)
        yield Gate.of_service(family, rest & access.unsure, f"{said} may fit or not", surely=False)
        # Whom it rejects and does not turn away is tested like others.
        rest -= access.permitted | access.unsure | (access.rejected if turns_away else NOTHING)
    for said in _tests(settings):
        yield Gate.of_service(family, rest, said, surely=False)


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
    try:
        its_family, members = parse_network(word.replace("[", "").replace("]", ""))
    except ValueError:
        found = Use(lambda _: "permitted", by_parts=False)
        access = access_table(word, family, tables, found)
        return None if isinstance(access, Missing) else access.permitted
    return members if its_family == family else NOTHING
