"""The remedies of the allowlist checks, applied on hosts with each firewall, and asked again.

    python -m tests.firewall.kernel.remedied ROOT [PART OF A NAME]

ROOT is as for `written`. Of each host: the listed are found missing, or others with them, the text
of the remedy is run in a shell, and then real SYNs and a second audit agree that the listed get in
and a stranger does not, and still agree after the firewall was loaded anew. Exit status 1 if not.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from mailwitness.checks import allowlist_banned, allowlist_missing, allowlist_open
from mailwitness.correlate.host import Host as Judged
from mailwitness.correlate.host import Witnesses, correlate
from mailwitness.evidence.host import (
    AccessControl,
    HostEvidence,
    Interface,
    ListeningSocket,
    Network,
    PacketFilter,
    ReversePath,
    Route,
)
from mailwitness.evidence.run import Allowlist, PlannedHost
from mailwitness.host import command
from mailwitness.host.access_control import access_control
from mailwitness.policy.check import Case, Check
from mailwitness.policy.outcome import Outcome, Verdict
from tests.evidence.documents import BARE_HOST, PROCESS
from tests.firewall.kernel.filters import Filters
from tests.firewall.kernel.namespaces import Host, Probe
from tests.firewall.kernel.scene import PLAIN
from tests.firewall.kernel.tools import ToolError
from tests.firewall.kernel.written import CSF, FIREWALLD, SHOREWALL, UFW, Root

PORT = 993
LISTED = ("203.0.113.64/26", "10.1.2.3/32", "2a00:1450::/32")
INSIDE = ("203.0.113.77", "10.1.2.3", "2a00:1450::1")
BANNED = ("203.0.113.5", "2001:db8:5::5")
STRANGERS = ("198.18.0.9", "203.0.113.5", "2001:db8:5::5")
NFT = """flush ruleset
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    meta l4proto ipv6-icmp accept
    tcp dport { 22, 25 } accept
  }
}"""
SAVED = r"""rules() { printf '%s\n' '*filter' ':INPUT DROP' ':FORWARD DROP' ':OUTPUT ACCEPT' \
 '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT' '-A INPUT -i lo -j ACCEPT' \
 "-A INPUT -p $1 -j ACCEPT" '-A INPUT -p tcp --dport 25 -j ACCEPT' COMMIT; }
mkdir -p /etc/iptables; rules icmp >/etc/iptables/rules.v4; rules ipv6-icmp >/etc/iptables/rules.v6
"""
LOADED = """iptables{0}-restore </etc/iptables/rules.v4
ip6tables{0}-restore </etc/iptables/rules.v6"""
OPEN = "-A INPUT -p tcp --dport 993 -j ACCEPT"
# What loads a firewall anew, by the first word of a host's name; the kind of iptables fills a gap.
RELOADS = {
    # What the remedy says in words about the file.
    "nft": "(echo flush ruleset; nft -s list ruleset) >/etc/n; nft flush ruleset; nft -f /etc/n",
    "iptables": LOADED,
    "ufw": "ufw reload",
    "firewalld": "firewall-cmd --reload",
    "shorewall": "shorewall reload; shorewall6 reload",
    "csf": "csf -r",
    "fail2ban": "fail2ban-client reload",
}
VARIANTS = {"nft": "", "legacy": "-legacy"}
# By name: the iptables in use, and what puts the firewall in force.
HOSTS: Mapping[str, tuple[str, str]] = {
    "nft": (
        "nft",
        f"cat >/etc/nftables.conf <<'END'\n{NFT}\nEND\nnft -f /etc/nftables.conf",
    ),
    "iptables-nft": ("nft", SAVED + LOADED.format("")),
    "iptables-legacy": ("legacy", SAVED + LOADED.format("-legacy")),
    "ufw": (
        "nft",
        f"{UFW} ufw default deny incoming; ufw allow 25/tcp; ufw allow 22/tcp; ufw --force enable",
    ),
    "firewalld": (
        "nft",
        f"""{FIREWALLD}
        offline --set-default-zone=public; offline --zone=work --add-interface=eth0
        offline --zone=work --add-service=smtp""",
    ),
    "shorewall": (
        "nft",
        f"{SHOREWALL}\nboth rules 'SMTP(ACCEPT) net fw'; go",
    ),
    "csf": ("nft", f"{CSF}; csf -s"),
    "fail2ban": ("nft", "nftables-allports"),
    "fail2ban-iptables": ("nft", "iptables-allports"),
}
# The same, with the port open to everybody.
OPENED: Mapping[str, tuple[str, str]] = {
    "nft-none": ("nft", "nft flush ruleset"),
    "nft-policy": (
        "nft",
        (
            "nft add table inet filter; nft 'add chain inet filter input "
            "{ type filter hook input priority 0; policy accept; }'"
        ),
    ),
    "nft-rule": (
        "nft",
        f"nft -f - <<'END'\n{NFT}\nEND\nnft add rule inet filter input tcp dport 993 accept",
    ),
    "nft-jump": (
        "nft",
        (
            f"nft -f - <<'END'\n{NFT}\nEND\nnft add chain inet filter mail; "
            "nft add rule inet filter mail tcp dport '{ 143, 993 }' accept; "
            "nft add rule inet filter input jump mail"
        ),
    ),
    **{
        f"iptables{variant or '-nft'}": (
            tool,
            SAVED
            + LOADED.format(variant)
            + f"\niptables{variant} {OPEN}; ip6tables{variant} {OPEN}"
            + f"\niptables{variant}-save >/etc/iptables/rules.v4"
            + f"\nip6tables{variant}-save >/etc/iptables/rules.v6",
        )
        for tool, variant in VARIANTS.items()
    },
    "ufw": (
        "nft",
        f"{UFW} ufw default deny incoming; ufw allow 25/tcp; ufw allow 993/tcp; ufw --force enable",
    ),
    "ufw-default-allow": (
        "nft",
        f"{UFW} ufw default allow incoming; ufw --force enable",
    ),
    "firewalld": (
        "nft",
        f"""{FIREWALLD}
        offline --set-default-zone=public; offline --zone=work --add-interface=eth0
        offline --zone=work --add-service=imaps""",
    ),
    "firewalld-trusted": (
        "nft",
        f"{FIREWALLD}\noffline --set-default-zone=trusted",
    ),
    "shorewall": (
        "nft",
        # Without nosmurfs, which leaves strangers undecided whose address may be a broadcast.
        (
            f"{SHOREWALL}\nboth interfaces '?FORMAT 2' 'net eth0' 'loc eth1' 'dock docker0 bridge'"
            "\nboth rules 'SMTP(ACCEPT) net fw' 'IMAPS(ACCEPT) net fw'; go"
        ),
    ),
    "csf": ("nft", f"{CSF}; conf TCP_IN 25,993,110; conf TCP6_IN 993; csf -s"),
}


def evidence(filters: Filters, host: Host, root: Root) -> HostEvidence:
    """What the agent would bring back."""
    capture, around = filters.capture(), host.network()
    return replace(
        BARE_HOST,
        system=BARE_HOST.system._replace(kernel=os.uname().release),
        postfix=None,
        postfix_instances=(),
        dovecot=None,
        packet_filter=PacketFilter(
            capture.nft or "",
            capture.iptables_nft,
            capture.ip6tables_nft,
            capture.iptables_legacy,
            capture.ip6tables_legacy,
            capture.ipset,
        ),
        network=Network(
            tuple(Interface(each.name, each.addresses) for each in around.interfaces),
            tuple(
                Route("6" if each.family == 6 else "4", each.destination, each.devices, each.type)
                for each in around.routes or ()
            ),
            forwards=True,
            forwards_ipv6=True,
            reverse_path=tuple(ReversePath(*each) for each in around.reverse_path or ()),
        ),
        sockets=tuple(
            ListeningSocket(
                each.address or ("::" if each.family == 6 else "0.0.0.0"), each.port, PROCESS
            )
            for each in around.listeners or ()
        ),
        access_control=jails(root),
    )


def jails(root: Root) -> AccessControl:
    """What the agent makes of what fail2ban-client says there."""

    def run(argv: Sequence[str]) -> str | command.NotInstalled:
        if argv[0] != "fail2ban-client":
            return command.NotInstalled(f"{argv[0]}: not asked for")
        try:
            return root.shell(shlex.join(argv))
        except ToolError as error:
            return command.NotInstalled(str(error))

    with patch.object(command, "run", run):
        found = access_control()
    return AccessControl(found.fail2ban, None, None, None)


def audit(found: HostEvidence, check: Check) -> tuple[Case, Verdict]:
    """The check of the listed, asked of the host as it is now."""
    allowlist = Allowlist(
        "service", (PORT,), LISTED, exclusive=True, source=None, retrieved_at=None
    )
    plan = PlannedHost("mail1", "192.0.2.10", (), (), (PORT,), (), None, (allowlist,), ())
    judged: Judged = correlate(plan, Witnesses(found, ()), "2026-01-01T00:00:00Z")
    endpoint = next(each for each in judged.endpoints if each.port == PORT)
    case = Case(judged, _endpoint=endpoint)
    return case, check.judge(case)


def faults(root: Root, name: str, check: Check) -> Iterator[str]:
    """What did not come as it should."""
    tool, script = (OPENED if check is allowlist_open.CHECK else HOSTS)[name]
    reload = RELOADS[name.partition("-")[0]].format(VARIANTS[tool])
    strangers = BANNED if name.startswith("fail2ban") else STRANGERS
    with Host(PLAIN) as host, root.running(name, tool, script):
        filters = Filters()
        case, verdict = audit(evidence(filters, host, root), check)
        if verdict.outcome is not Outcome.FAIL:
            yield f"before: {verdict}"
            return
        (remedy,) = check.advise(case) if check.advise else ()
        print(f"{name}: {remedy.product}\n{remedy.text}")
        root.shell(f"set -e\n{remedy.text}")
        for when in ("after the remedy", "after the firewall was loaded anew"):
            _, verdict = audit(evidence(filters, host, root), check)
            if verdict.outcome is not Outcome.PASS:
                yield f"{when}: {verdict}"
            for source, wanted in (
                *((each, True) for each in INSIDE),
                *((each, False) for each in strangers),
            ):
                own = "2001:db8:1::10" if ":" in source else "192.0.2.10"
                (admitted,) = host.probe([Probe(source, own, PORT, "eth0")])
                if admitted is not wanted:
                    yield f"{when}: {source} is {'' if admitted else 'not '}admitted"
            root.shell(reload)
        filters.close()


def main() -> int:
    root, only = Root(Path(sys.argv[1])), "".join(sys.argv[2:3])
    wrong = 0
    banned, missing = allowlist_banned.CHECK, allowlist_missing.CHECK
    cases = [(name, banned if name.startswith("fail2ban") else missing) for name in HOSTS]
    cases += [(name, allowlist_open.CHECK) for name in OPENED]
    for name, check in cases:
        if only in f"{check.id} {name}":
            found = list(faults(root, name, check))
            wrong += len(found)
            print(f"{check.id}, {name}: {'; '.join(found) or 'remedied'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
