"""Remedies in the very tool that writes a host's packet filter."""

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Literal

from mailwitness.correlate.allowlist import Access
from mailwitness.evidence.host import PacketFilter
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.iptables import LEGACY_BACK_END
from mailwitness.firewall.verdict import Answer, Decider
from mailwitness.policy.check import Case, Remedy

Tool = Literal["ufw", "firewalld", "csf", "shorewall", "iptables", "nft"]

TRIED = "on real packet filters of each tool (`tests/firewall/kernel/remedied.py`)"
MOST = 16  # networks that a remedy spells out
_IPV6 = ":"


def tool(found: PacketFilter) -> Tool:
    """By the chains and tables that each front end makes."""
    saved = (found.iptables, found.iptables_legacy, found.ip6tables, found.ip6tables_legacy)
    texts = [text for text in saved if isinstance(text, str)]
    nft = found.nft if isinstance(found.nft, str) else ""
    if any(":ufw-" in text for text in texts):
        return "ufw"
    if '"firewalld"' in nft or any(":INPUT_ZONES" in text for text in texts):
        return "firewalld"
    if any(":LOCALINPUT" in text and ":ALLOWIN" in text for text in texts):
        return "csf"
    if any(":shorewall -" in text for text in texts):
        return "shorewall"
    return "iptables" if any("-A INPUT" in text for text in texts) else "nft"


def admit(case: Case, cidrs: list[str]) -> tuple[Remedy, ...]:
    """How to let these networks in to the endpoint's port: commands for a shell of root."""
    if not cidrs or isinstance(case.host.inside, Missing):
        return ()
    port, found = case.endpoint.port, case.host.inside.packet_filter
    named = cidrs[:MOST]
    lines: list[str] = []
    match tool(found):
        case "ufw":
            lines = list(_allowed_by_ufw(port, named))
        case "firewalld":
            zone = next(_zones(_blocking(case), _FIREWALLD_CHAIN), "")
            chosen_zone = f"--zone={zone} " if zone else ""
            lines = [
                f"firewall-cmd --permanent {chosen_zone}--add-rich-rule='rule "
                f'family="{_family(cidr)}" source address="{cidr}" '
                f'port port="{port}" protocol="tcp" accept\''
                for cidr in named
            ]
            lines.append("firewall-cmd --reload")
        case "csf":
            lines = [*_allowed_by_csf(port, named), "csf -r"]
        case "shorewall":
            lines = list(_by_shorewall(case, named))
        case "iptables":
            lines = list(_by_iptables(case, named))
        case "nft":
            lines = list(_accepted_by_nft(_chain(case), port, named))
            lines.append("# and in /etc/nftables.conf, or the set that the rule there asks")
    if len(cidrs) > MOST:
        lines.append(f"# and {len(cidrs) - MOST} networks more: see allowlists in report.json")
    return (Remedy(tool(found), "", "\n".join(lines)),)


def _allowed_by_ufw(port: int, cidrs: Iterable[str]) -> Iterator[str]:
    """Not `insert 1`, which ufw refuses for IPv6 where there are rules of IPv4."""
    return (f"ufw prepend allow proto tcp from {cidr} to any port {port}" for cidr in cidrs)


def _allowed_by_csf(port: int, cidrs: Iterable[str]) -> Iterator[str]:
    return (f"echo 'tcp|in|d={port}|s={cidr}' >>/etc/csf/csf.allow" for cidr in cidrs)


def _accepted_by_nft(place: str, port: int, cidrs: list[str]) -> Iterator[str]:
    for word, family in (("ip", 4), ("ip6", 6)):
        if chosen := _of(family, cidrs):
            yield (
                f"nft insert rule {place} tcp dport {port} {word} saddr "
                f"{{ {', '.join(chosen)} }} accept"
            )


def _by_iptables(case: Case, cidrs: list[str]) -> Iterable[str]:
    """Both back ends may be installed, and each sees its own rules only."""
    legacy = any(decider.source == LEGACY_BACK_END for decider in _blocking(case))
    variant = "-legacy" if legacy else ""
    for program, family in (("iptables", 4), ("ip6tables", 6)):
        if chosen := _of(family, cidrs):
            yield (
                f"{program}{variant} -I INPUT -p tcp --dport {case.endpoint.port} "
                f"-s {','.join(chosen)} -j ACCEPT"
            )
            yield from _saved(f"{program}{variant}", family)


def _saved(program: str, family: int) -> Iterator[str]:
    yield "# what iptables-persistent loads at boot:"
    yield f"{program}-save >/etc/iptables/rules.v{family}"


def _by_shorewall(case: Case, cidrs: list[str]) -> Iterable[str]:
    """Its rules are asked in order, and each address family has files of its own."""
    zone = next(_zones(_blocking(case), _SHOREWALL_CHAIN), "net")
    for name, family in (("shorewall", 4), ("shorewall6", 6)):
        if chosen := _for_shorewall(family, cidrs):
            line = f"ACCEPT {zone}:{','.join(chosen)} $FW tcp {case.endpoint.port}"
            # A rule before it that rejects them has to go.
            yield f"echo '{line}' >>/etc/{name}/rules"
            yield f"{name} reload"


# `filter_IN_public_allow` of the nft back end, `IN_public_allow` of the other.
_FIREWALLD_CHAIN = re.compile(r"(?:filter_)?IN_([\w-]+?)(?:_(?:pre|log|deny|allow|post))?")
_SHOREWALL_CHAIN = re.compile(r"([A-Za-z]\w*)(?:-|2)fw")


def _for_shorewall(family: int, cidrs: list[str]) -> list[str]:
    """Those of the family, as its files write them."""
    chosen = _of(family, cidrs)
    return [f"[{cidr}]" for cidr in chosen] if family == 6 else chosen  # noqa: PLR2004


def _zones(deciders: Iterable[Decider], pattern: re.Pattern[str]) -> Iterator[str]:
    """Of the chains that decide, as far as they are those of a zone."""
    return (found[1] for each in deciders if (found := pattern.fullmatch(each.chain)))


def _blocking(case: Case) -> Iterable[Decider]:
    """The rules and policies that keep listed networks out."""
    for answer in case.host.allowlists_of(case.endpoint):
        for access in answer.listed:
            if access.share.answer is Answer.BLOCKED and access.share.decided_by.table:
                yield access.share.decided_by


def shut(case: Case, listed: Iterable[str], strangers: Iterable[Access]) -> tuple[Remedy, ...]:
    """How to keep all others than the listed out of the port: commands for a shell of root.

    What lets the others in stays as it is, since other ports and networks may need it: rules of the
    port alone come before it.
    """
    if isinstance(case.host.inside, Missing):
        return ()
    port, which = case.endpoint.port, tool(case.host.inside.packet_filter)
    admitting = [
        access.share.decided_by for access in strangers if access.share.answer is Answer.ADMITTED
    ]
    deciders = dict.fromkeys(admitting)
    # In one line each, whatever the host has its rules say.
    words = (" ".join(str(decider).split()) for decider in list(deciders)[:MOST])
    lines = [f"# lets others in: {said}" for said in words]
    cidrs = list(listed)
    if len(cidrs) > MOST:
        more = "are more networks than a remedy spells out: list them in a set of your own"
        lines.append(f"# The {len(cidrs)} entries of the allowlists {more}")
        return (Remedy(which, "", "\n".join(lines)),)
    match which:
        case "ufw":
            # ufw passes over a rule that is there already with another action.
            lines += [f"ufw delete {action} {port}/tcp" for action in ("allow", "limit")]
            lines.append(f"ufw prepend deny proto tcp to any port {port}")
            lines += _allowed_by_ufw(port, cidrs)
        case "firewalld":
            lines += _shut_by_firewalld(port, cidrs, deciders)
        case "csf":
            lines += _allowed_by_csf(port, cidrs)
            # A range of ports around it has to be split by hand.
            lines.append(rf"sed -i -E '/^TCP6?_IN = /s/\b{port}(,|\b)//' /etc/csf/csf.conf")
            lines.append("# and others' lines for the port in /etc/csf/csf.allow, if there are any")
            lines.append("csf -r")
        case "shorewall":
            lines += _shut_by_shorewall(port, cidrs, deciders)
        case "iptables":
            lines += _shut_by_iptables(port, cidrs, deciders)
        case "nft":
            lines += _shut_by_nft(port, cidrs, deciders)
    return (Remedy(which, "", "\n".join(lines)),)


def _shut_by_firewalld(port: int, cidrs: list[str], deciders: Iterable[Decider]) -> Iterator[str]:
    """Rich rules with a priority below nought are asked before all else of a zone."""
    zones = {*_zones(deciders, _FIREWALLD_CHAIN)}
    what = f'port port="{port}" protocol="tcp"'
    for zone in sorted(zones) or [""]:
        command = f"firewall-cmd --permanent {f'--zone={zone} ' if zone else ''}--add-rich-rule="
        for cidr in cidrs:
            source = f'family="{_family(cidr)}" source address="{cidr}"'
            yield f"{command}'rule priority=\"-200\" {source} {what} accept'"
        yield f"{command}'rule priority=\"-100\" {what} drop'"
    yield "firewall-cmd --reload"


def _shut_by_shorewall(port: int, cidrs: list[str], deciders: Iterable[Decider]) -> Iterator[str]:
    """What blrules keeps out no rule or policy lets in; whom it lets pass is asked of the rules."""
    zones = {*_zones(deciders, _SHOREWALL_CHAIN)}
    for name, family in (("shorewall", 4), ("shorewall6", 6)):
        for zone in sorted(zones) or ["net"]:
            for source in _for_shorewall(family, cidrs):
                yield f"echo 'WHITELIST {zone}:{source} $FW tcp {port}' >>/etc/{name}/blrules"
            yield f"echo 'DROP {zone} $FW tcp {port}' >>/etc/{name}/blrules"
        yield f"{name} reload"


def _shut_by_iptables(port: int, cidrs: list[str], deciders: Iterable[Decider]) -> Iterator[str]:
    for program, family in (("iptables", 4), ("ip6tables", 6)):
        its = [each for each in deciders if each.family in (f"ip{'6' * (family == 6)}", "")]  # noqa: PLR2004
        for source, chain in dict.fromkeys((each.source, each.chain) for each in its):
            its_program = f"{program}{'-legacy' * (source == LEGACY_BACK_END)}"
            insert = f"{its_program} -I {shlex.quote(chain or 'INPUT')} -p tcp --dport {port}"
            yield f"{insert} -j DROP"
            if chosen := _of(family, cidrs):
                yield f"{insert} -s {','.join(chosen)} -j ACCEPT"
            yield from _saved(its_program, family)


def _shut_by_nft(port: int, cidrs: list[str], deciders: Iterable[Decider]) -> Iterator[str]:
    """In front of the chain that lets others in; the last that is inserted is the first asked."""
    places = dict.fromkeys(_place(each) for each in deciders if each.table)
    if not places:
        places = {"inet mailwitness input": None}
        yield "nft add table inet mailwitness"
        yield (
            "nft add chain inet mailwitness input "
            "'{ type filter hook input priority filter; policy accept; }'"
        )
    for place in places:
        yield f"nft insert rule {place} tcp dport {port} drop"
        yield from _accepted_by_nft(place, port, cidrs)
    yield "# and in /etc/nftables.conf"


def _chain(case: Case) -> str:
    """Of the rule or policy that blocks, in nft's words."""
    return next((_place(decider) for decider in _blocking(case)), "inet filter input")


def _place(decider: Decider) -> str:
    """The host says its names, and somebody will paste this into a shell of root."""
    return shlex.join((decider.family, decider.table, decider.chain))


def _of(family: int, cidrs: Iterable[str]) -> list[str]:
    return [cidr for cidr in cidrs if (_IPV6 in cidr) == (family == 6)]  # noqa: PLR2004


def _family(cidr: str) -> str:
    return "ipv6" if _IPV6 in cidr else "ipv4"
