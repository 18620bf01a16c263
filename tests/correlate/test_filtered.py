"""Who can reach a port: packet filter, listeners and the daemons' own gates together."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mailwitness.correlate.filtered import Filtered, Filters, filters, shares
from mailwitness.correlate.gates import gates
from mailwitness.correlate.host import Witnesses, correlate
from mailwitness.evidence.host import (
    AccessControl,
    HostEvidence,
    Interface,
    Jail,
    ListeningSocket,
    Network,
    PacketFilter,
    ReversePath,
    Route,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.run import PlannedHost
from mailwitness.firewall.verdict import Answer, networks
from tests.evidence.documents import BARE_HOST, PROCESS

TABLE = {"table": {"family": "inet", "name": "t", "handle": 1}}
NETWORK = Network(
    interfaces=(
        Interface("lo", ("127.0.0.1/8", "::1/128")),
        Interface("eth0", ("192.0.2.10/24", "2001:db8::10/64", "fe80::1/64")),
        Interface("docker0", ("172.17.0.1/16",)),
    ),
    routes=(
        Route("4", "default", ("eth0",), "unicast"),
        Route("6", "default", ("eth0",), "unicast"),
    ),
    forwards=False,
    forwards_ipv6=False,
    reverse_path=(ReversePath("eth0", 0),),
)
NO_ACCESS_CONTROL = AccessControl(None, None, None, None)
STRANGER = "198.51.100.7"


def ruleset(*parts: dict[str, Any]) -> str:
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, TABLE, *parts]})


def chain(hook: str, kind: str = "filter", policy: str = "accept", prio: int = 0) -> dict[str, Any]:
    return {
        "chain": {
            "family": "inet",
            "table": "t",
            "name": hook,
            "handle": 2,
            "type": kind,
            "hook": hook,
            "prio": prio,
            "policy": policy,
        }
    }


REDIRECT: dict[str, Any] = {
    "rule": {
        "family": "inet",
        "table": "t",
        "chain": "prerouting",
        "handle": 3,
        "expr": [
            {
                "match": {
                    "op": "==",
                    "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                    "right": 993,
                }
            },
            {"redirect": {"port": 10993}},
        ],
    }
}


def host(nft: str = "", *sockets: tuple[str, int], **more: Any) -> HostEvidence:
    found = tuple(ListeningSocket(address, port, PROCESS) for address, port in sockets)
    return replace(
        BARE_HOST,
        sockets=found or (ListeningSocket("0.0.0.0", 993, PROCESS),),
        packet_filter=PacketFilter(nft or ruleset(), None, None, None, None, None),
        network=more.pop("network", NETWORK),
        access_control=more.pop("access_control", NO_ACCESS_CONTROL),
        **more,
    )


def of(
    evidence: HostEvidence, port: int = 993, product: str | None = None, **settings: str
) -> Filtered:
    found = filters(evidence, "192.0.2.10")
    assert isinstance(found, Filters)
    answer = found.of(port, gates(evidence, product, settings, "imap"), ("192.0.2.10",))
    assert isinstance(answer, Filtered)
    return answer


def answer(filtered: Filtered, source: str = STRANGER) -> tuple[Answer, str]:
    family = 6 if ":" in source else 4
    (way,) = filtered.by_clients(family)
    part = way.of(source)
    return part.answer, part.reason or str(part.decided_by)


def test_the_ways_in_are_those_that_strangers_come_by() -> None:
    ways = of(host()).ways
    assert [(way.address, way.interface) for way in ways] == [
        ("192.0.2.10", "eth0"),
        ("2001:db8::10", "eth0"),
    ]


def test_what_listens_on_loopback_alone_admits_nobody() -> None:
    said, why = answer(of(host("", ("127.0.0.1", 993))))
    assert said is Answer.BLOCKED
    assert "nothing listens" in why


def test_whether_a_socket_of_ipv6_takes_ipv4_is_not_guessed() -> None:
    filtered = of(host("", ("::", 993)))
    assert answer(filtered)[0] is Answer.UNDECIDED
    assert answer(filtered, "2001:db8:1::1")[0] is Answer.ADMITTED
    both = of(host("", ("::", 993), ("0.0.0.0", 993)))
    assert answer(both)[0] is Answer.ADMITTED


def test_a_port_that_is_redirected_is_reached_where_nothing_listens_on_it() -> None:
    evidence = host(ruleset(chain("prerouting", "nat", prio=-100), REDIRECT), ("0.0.0.0", 10993))
    assert answer(of(evidence))[0] is Answer.ADMITTED
    assert answer(of(evidence, 995))[0] is Answer.BLOCKED


@pytest.mark.parametrize(
    ("restrictions", "expected"),
    [
        ("", Answer.ADMITTED),
        ("permit_mynetworks, permit_sasl_authenticated, reject", Answer.ADMITTED),
        ("permit_mynetworks, reject", Answer.BLOCKED),
        ("check_client_access cidr:/etc/postfix/clients", Answer.UNDECIDED),
        ("permit, reject", Answer.ADMITTED),
        ("reject_rbl_client dnsbl.example", Answer.UNDECIDED),
    ],
)
def test_postfix_may_keep_clients_out(restrictions: str, expected: Answer) -> None:
    filtered = of(
        host(),
        993,
        "postfix",
        smtpd_client_restrictions=restrictions,
        smtpd_sasl_auth_enable="yes",
        mynetworks="127.0.0.0/8 [::1]/128 203.0.113.0/24",
    )
    assert answer(filtered)[0] is expected
    own, _ = answer(filtered, "203.0.113.9")
    assert own is (Answer.ADMITTED if "permit_mynetworks" in restrictions else expected)


@pytest.mark.parametrize(
    ("restrictions", "expected"),
    [
        ("check_client_access static:REJECT", Answer.BLOCKED),
        ("check_client_access cidr:{{198.51.100.0/24 550 not you}}", Answer.BLOCKED),
        ("check_client_access cidr:{{198.51.100.7/32 OK}, {0.0.0.0/0 REJECT}}", Answer.ADMITTED),
        ("check_client_access cidr:{{198.51.100.7/24 REJECT}}", Answer.UNDECIDED),
        ("inline:{198.51.100=REJECT, 198.51.100.7=OK}, reject", Answer.ADMITTED),
        ("check_client_access inline:{203.0.113=REJECT}", Answer.ADMITTED),
        ("check_client_access inline:{mail.example=REJECT}", Answer.UNDECIDED),
        ("check_client_access inline:{{198.51.100 = FILTER smtp:x}}, reject", Answer.BLOCKED),
        ("check_client_access inline:{198.51.100=some_class}, reject", Answer.UNDECIDED),
    ],
)
def test_tables_within_a_setting_are_asked(restrictions: str, expected: Answer) -> None:
    filtered = of(host(), 993, "postfix", smtpd_client_restrictions=restrictions)
    said, why = answer(filtered)
    assert said is expected
    if expected is not Answer.ADMITTED:
        assert "smtpd_client_restrictions" in why


def test_logins_that_are_off_let_nobody_past() -> None:
    filtered = of(
        host(), 993, "postfix", smtpd_client_restrictions="permit_sasl_authenticated,reject"
    )
    assert answer(filtered)[0] is Answer.BLOCKED


def test_restrictions_that_were_not_read_are_not_taken_for_none() -> None:
    assert answer(of(host(), 993, "postfix"))[0] is Answer.UNDECIDED


@pytest.mark.parametrize(
    ("sockets", "deny", "expected"),
    [
        ("tcpwrap", ("ALL: ALL",), Answer.BLOCKED),
        ("tcpwrap", ("pop3: ALL",), Answer.ADMITTED),
        ("tcpwrap", ("imap: 203.0.113.",), Answer.ADMITTED),
        ("tcpwrap", ("imap: .example",), Answer.UNDECIDED),
        ("tcpwrap", (), Answer.ADMITTED),
        ("", ("ALL: ALL",), Answer.ADMITTED),
        (Missing("no end within 10 s"), ("ALL: ALL",), Answer.UNDECIDED),
        ("tcpwrap", Missing("not permitted"), Answer.UNDECIDED),
    ],
)
def test_hosts_deny_counts_where_dovecot_asks_it(
    sockets: "str | Missing", deny: "tuple[str, ...] | Missing", expected: Answer
) -> None:
    evidence = host(access_control=AccessControl(None, None, deny, sockets))
    assert answer(of(evidence, 993, "dovecot"))[0] is expected


def test_a_ban_that_no_rule_shows_is_not_admitted() -> None:
    jails = (Jail("dovecot", (STRANGER,)), Jail("sshd", ("198.51.100.8",)))
    evidence = host(access_control=AccessControl(jails, None, None, None))
    said, why = answer(of(evidence))
    assert said is Answer.UNDECIDED
    assert "jail dovecot" in why
    assert answer(of(evidence), "198.51.100.8")[0] is Answer.ADMITTED


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("nft", "nft: not permitted"),
        ("iptables", "iptables-nft-save: exit status 4"),
        ("ipset", "ipset: not installed"),
    ],
)
def test_a_filter_that_was_not_read_says_nothing(part: str, reason: str) -> None:
    evidence = host()
    unread = replace(evidence.packet_filter, **{part: Missing(reason)})
    assert filters(replace(evidence, packet_filter=unread), "") == Missing(reason)


@pytest.mark.parametrize("nft", ["{", "[]", '{"nftables": 1}', "\x00"])
def test_a_filter_that_is_nonsense_says_nothing(nft: str) -> None:
    assert isinstance(filters(host(nft), ""), Missing)


@pytest.mark.parametrize(
    "address", ["nonsense", "192.0.2.1/99", "192.0.2.1/", "::1%eth0/64", "1/2/3", ""]
)
def test_addresses_that_are_none_say_nothing_and_break_nothing(address: str) -> None:
    network = replace(NETWORK, interfaces=(Interface("eth0", (address,)),))
    found = filters(host(network=network), "")
    assert isinstance(found, Missing) or isinstance(found.of(993, (), ()), Missing | Filtered)


def test_shares_are_disjoint_and_whole() -> None:
    (way,) = of(host(ruleset(chain("input", policy="drop")))).by_clients(4)
    found = list(shares(way))
    assert {share.answer for share in found} == {Answer.BLOCKED}
    total = sum(last - first + 1 for share in found for first, last in share.sources.intervals(32))
    assert total == 1 << 32
    assert all(list(networks(4, share.sources)) for share in found)


def test_a_port_that_leads_to_a_mail_port_is_an_endpoint_too() -> None:
    evidence = host(ruleset(chain("prerouting", "nat", prio=-100), REDIRECT), ("0.0.0.0", 10993))
    plan = PlannedHost("mail1", "192.0.2.10", (), (), (10993,), (), None, (), ())
    found = correlate(plan, Witnesses(evidence, ()), "2026-01-01T00:00:00Z")
    assert [(each.id, each.leads_to) for each in found.endpoints] == [
        ("imaps:993", 10993),
        ("smtp:10993", None),
    ]
    assert found.endpoints[0].in_service
