"""Remedies in the very tool that writes a host's packet filter."""

import shlex
from collections.abc import Iterable
from typing import Literal

from mailwitness.correlate.allowlist import Access
from mailwitness.evidence.host import PacketFilter
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.verdict import Answer, Decider, Layer
from mailwitness.policy.check import Case, Remedy

Tool = Literal["ufw", "firewalld", "csf", "iptables", "nft"]

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
    return "iptables" if any("-A INPUT" in text for text in texts) else "nft"


def admit(case: Case, cidrs: list[str]) -> tuple[Remedy, ...]:
    """How to let these networks in to the endpoint's port."""
    if not cidrs or isinstance(case.host.inside, Missing):
        return ()
    port, found = case.endpoint.port, case.host.inside.packet_filter
    named = cidrs[:MOST]
    lines: list[str] = []
    match tool(found):
        case "ufw":
            lines = [
                f"ufw insert 1 allow proto tcp from {cidr} to any port {port}" for cidr in named
            ]
        case "firewalld":
            lines = [
                f'firewall-cmd --permanent --add-rich-rule=\'rule family="{_family(cidr)}" source '
                f'address="{cidr}" port port="{port}" protocol="tcp" accept\''
                for cidr in named
            ]
            lines.append("firewall-cmd --reload")
        case "csf":
            lines = ["# in /etc/csf/csf.allow:"]
            lines += [f"tcp|in|d={port}|s={cidr}" for cidr in named]
            lines.append("# then: csf -r")
        case "iptables":
            for program, chosen in (("iptables", _of(4, named)), ("ip6tables", _of(6, named))):
                if chosen:
                    lines.append(
                        f"{program} -I INPUT -p tcp --dport {port} -s {','.join(chosen)} -j ACCEPT"
                    )
            lines.append("# and in the file that is loaded at boot (iptables-persistent: rules.v4)")
        case "nft":
            where = _chain(case)
            for word, chosen in (("ip", _of(4, named)), ("ip6", _of(6, named))):
                if chosen:
                    lines.append(
                        f"nft insert rule {where} tcp dport {port} {word} saddr "
                        f"{{ {', '.join(chosen)} }} accept"
                    )
            lines.append("# and in /etc/nftables.conf, or the set that the rule there asks")
    if len(cidrs) > MOST:
        lines.append(f"# and {len(cidrs) - MOST} networks more: see allowlists in report.json")
    return (Remedy(tool(found), "", "\n".join(lines)),)


def shut(case: Case, strangers: Iterable[Access]) -> tuple[Remedy, ...]:
    """Which rules admit others than the listed, and how to be rid of them."""
    if isinstance(case.host.inside, Missing):
        return ()
    which = tool(case.host.inside.packet_filter)
    deciders = dict.fromkeys(
        access.share.decided_by for access in strangers if access.share.answer is Answer.ADMITTED
    )
    rules = "\n".join(f"  {decider}" for decider in deciders)
    how = {
        "ufw": "ufw status numbered, then: ufw delete NUMBER",
        "firewalld": "firewall-cmd --list-all-zones, then --permanent --remove-port, "
        "--remove-service or --remove-rich-rule, and --reload",
        "csf": "in /etc/csf/csf.conf take the port from TCP_IN and TCP6_IN, and the addresses "
        "from /etc/csf/csf.allow, then: csf -r",
        "iptables": "iptables -S INPUT, then: iptables -D INPUT RULE",
        "nft": "\n".join(filter(None, map(_deletion, deciders)))
        or "a chain of hook input with policy drop that admits the listed networks alone",
    }[which]
    return (
        Remedy(which, "", f"Others than the listed are admitted by\n{rules}\nNarrow it:\n{how}"),
    )


def _deletion(decider: Decider) -> str:
    """Rules of nft have a handle by which they go, or their set's elements do."""
    if decider.layer is not Layer.RULE or not decider.place.startswith("handle "):
        return ""
    return f"nft replace rule {_place(decider)} {decider.place} …  # or its set"


def _chain(case: Case) -> str:
    """Of the rule or policy that blocks, in nft's words."""
    for answer in case.host.allowlists_of(case.endpoint):
        for access in answer.listed:
            decider = access.share.decided_by
            if access.share.answer is Answer.BLOCKED and decider.table:
                return _place(decider)
    return "inet filter input"


def _place(decider: Decider) -> str:
    """The host says its names, and somebody will paste this into a shell of root."""
    return shlex.join((decider.family, decider.table, decider.chain))


def _of(family: int, cidrs: Iterable[str]) -> list[str]:
    return [cidr for cidr in cidrs if (_IPV6 in cidr) == (family == 6)]  # noqa: PLR2004


def _family(cidr: str) -> str:
    return "ipv6" if _IPV6 in cidr else "ipv4"
