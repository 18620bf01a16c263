"""Who can reach a port: packet filter, listeners and the daemons' own gates together."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from mailwitness.correlate.endpoint import Configured
from mailwitness.correlate.filtered import Filtered, Filters, filters, shares
from mailwitness.correlate.gates import gates
from mailwitness.correlate.host import Witnesses, correlate
from mailwitness.evidence.host import (
    AccessControl,
    ClientRule,
    ClientTable,
    Dovecot,
    DovecotListener,
    HostEvidence,
    Interface,
    Jail,
    ListeningSocket,
    Network,
    PacketFilter,
    Passdb,
    PostfixService,
    ReversePath,
    Route,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.run import PlannedHost
from mailwitness.firewall.verdict import Answer, networks
from mailwitness.resolver.offer import Offer
from tests.evidence.documents import BARE_HOST, HOST, PROCESS

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
UNREAD = Missing("not read")
SMTP = PostfixService("smtp", 25, None, "smtpd", {})
IMAPS = DovecotListener("imap-login", "imaps", 993, ("*",), ssl=True, haproxy=False)
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
    evidence: HostEvidence,
    port: int = 993,
    listener: DovecotListener | PostfixService | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    tables: Mapping[str, ClientTable | Missing] = MappingProxyType({}),
) -> Filtered:
    found = filters(evidence, "192.0.2.10")
    assert isinstance(found, Filters)
    setting = None
    if listener is not None:
        setting = Configured(
            "dovecot" if isinstance(listener, DovecotListener) else "postfix",
            "2.3.19",
            listener,
            "",
            dict(settings),
            main=dict(settings),
            origins={},
            offer=Offer.unknown(UNREAD),
            scopes=(),
            certificates=(),
            server_names={},
            client_tables=tables,
            files=(),
            daemon=None,
            library=UNREAD,
        )
    answer = found.of(port, gates(evidence, port, setting), ("192.0.2.10",))
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
        SMTP,
        {
            "smtpd_client_restrictions": restrictions,
            "smtpd_sasl_auth_enable": "yes",
            "mynetworks": "127.0.0.0/8 [::1]/128 203.0.113.0/24",
        },
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
    filtered = of(host(), 993, SMTP, {"smtpd_client_restrictions": restrictions})
    said, why = answer(filtered)
    assert said is expected
    if expected is not Answer.ADMITTED:
        assert "smtpd_client_restrictions" in why


def test_logins_that_are_off_let_nobody_past() -> None:
    settings = {"smtpd_client_restrictions": "permit_sasl_authenticated,reject"}
    filtered = of(host(), 993, SMTP, settings)
    assert answer(filtered)[0] is Answer.BLOCKED


def test_restrictions_that_were_not_read_are_not_taken_for_none() -> None:
    assert answer(of(host(), 993, SMTP))[0] is Answer.UNDECIDED


CIDR = ClientTable(
    tuple(
        ClientRule(*line.split())
        for line in (
            "198.51.100.7 OK",
            "if 198.51.100.0/24",
            "!198.51.100.128/25 REJECT",
            "198.51.100.200 some_class",
            "endif 1",
            "203.0.113.0/24 DUNNO",
            "2001:db8::/32 554",
        )
    ),
    0,
)
INDEXED = ClientTable((ClientRule("198.51.100", "REJECT"), ClientRule("198.51.100.7", "OK")), 0)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (STRANGER, Answer.ADMITTED),
        ("198.51.100.8", Answer.BLOCKED),
        ("198.51.100.130", Answer.ADMITTED),
        ("198.51.100.200", Answer.UNDECIDED),
        ("203.0.113.9", Answer.ADMITTED),
        ("2001:db8:1::1", Answer.BLOCKED),
        ("2001:db9::1", Answer.ADMITTED),
    ],
)
def test_a_table_in_a_file_is_asked_as_the_agent_read_it(source: str, expected: Answer) -> None:
    settings = {"smtpd_client_restrictions": "check_client_access proxy:cidr:/clients"}
    both = host("", ("::", 993), ("0.0.0.0", 993))
    filtered = of(both, 993, SMTP, settings, {"proxy:cidr:/clients": CIDR})
    assert answer(filtered, source)[0] is expected


@pytest.mark.parametrize(
    ("table", "source", "expected"),
    [
        (INDEXED, STRANGER, Answer.ADMITTED),
        (INDEXED, "198.51.100.8", Answer.BLOCKED),
        (INDEXED._replace(others=1), STRANGER, Answer.UNDECIDED),
        (Missing("postmap: exit status 1"), STRANGER, Answer.UNDECIDED),
    ],
)
def test_of_an_indexed_table_the_longest_part_counts(
    table: ClientTable | Missing, source: str, expected: Answer
) -> None:
    settings = {"smtpd_client_restrictions": "hash:/c"}
    filtered = of(host(), 993, SMTP, settings, {"hash:/c": table})
    assert answer(filtered, source)[0] is expected


NETWORKS: dict[str, ClientTable | Missing] = {
    "cidr:/n": CIDR,
    "hash:/n": INDEXED,
    "pcre:/n": UNREAD,
}


@pytest.mark.parametrize(
    ("mynetworks", "source", "expected"),
    [
        ("198.51.100.0/24", STRANGER, Answer.ADMITTED),
        ("!198.51.100.7 198.51.100.0/24", STRANGER, Answer.BLOCKED),
        ("cidr:/n", "203.0.113.9", Answer.ADMITTED),  # whatever its value
        ("cidr:/n", "192.0.2.99", Answer.BLOCKED),
        ("hash:/n", STRANGER, Answer.ADMITTED),
        ("hash:/n", "198.51.100.8", Answer.BLOCKED),  # only whole addresses are asked for
        ("203.0.113.0/24 pcre:/n", "203.0.113.9", Answer.ADMITTED),
        ("203.0.113.0/24 pcre:/n", STRANGER, Answer.UNDECIDED),
        ("/etc/postfix/networks", STRANGER, Answer.UNDECIDED),
    ],
)
def test_who_may_be_in_mynetworks_is_not_taken_for_kept_out(
    mynetworks: str, source: str, expected: Answer
) -> None:
    settings = {
        "smtpd_client_restrictions": "permit_mynetworks, reject",
        "mynetworks": mynetworks,
    }
    filtered = of(host(), 993, SMTP, settings, NETWORKS)
    assert answer(filtered, source)[0] is expected


def test_who_may_be_in_mynetworks_is_let_in_where_nothing_rejects() -> None:
    settings = {"smtpd_client_restrictions": "permit_mynetworks", "mynetworks": "pcre:/n"}
    assert answer(of(host(), 993, SMTP, settings, NETWORKS))[0] is Answer.ADMITTED


POSTSCREEN = SMTP._replace(program="postscreen")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Answer.ADMITTED),
        ({"postscreen_access_list": "static:reject"}, Answer.ADMITTED),
        (
            {"postscreen_access_list": "reject", "postscreen_denylist_action": "ignore"},
            Answer.ADMITTED,
        ),
        (
            {"postscreen_access_list": "reject", "postscreen_denylist_action": "enforce"},
            Answer.BLOCKED,
        ),
        (
            {"postscreen_access_list": "hash:/p", "postscreen_blacklist_action": "drop"},
            Answer.BLOCKED,
        ),
        (
            {
                "postscreen_access_list": "permit_mynetworks hash:/p",
                "postscreen_blacklist_action": "drop",
                "mynetworks": "198.51.100.0/24",
            },
            Answer.ADMITTED,
        ),
        (
            {"postscreen_access_list": "pcre:/p", "postscreen_blacklist_action": "drop"},
            Answer.UNDECIDED,
        ),
        (
            {"postscreen_dnsbl_sites": "(hidden)", "postscreen_dnsbl_action": "enforce"},
            Answer.UNDECIDED,
        ),
        (
            {"postscreen_dnsbl_sites": "(hidden)", "postscreen_dnsbl_action": "ignore"},
            Answer.ADMITTED,
        ),
        ({"postscreen_allowlist_interfaces": "!192.0.2.10 static:all"}, Answer.UNDECIDED),
        ({"postscreen_upstream_proxy_protocol": "haproxy"}, Answer.UNDECIDED),
    ],
)
def test_postscreen_may_keep_clients_out(settings: dict[str, str], expected: Answer) -> None:
    table = ClientTable((ClientRule(STRANGER, "reject"),), 3)
    every = {"smtpd_client_restrictions": "", **settings}
    assert answer(of(host(), 993, POSTSCREEN, every, {"hash:/p": table}))[0] is expected


@pytest.mark.parametrize(
    ("trusted", "source", "expected"),
    [
        ("198.51.100.0/24", STRANGER, Answer.ADMITTED),
        ("198.51.100.0/24", "203.0.113.9", Answer.BLOCKED),
        ("", STRANGER, Answer.BLOCKED),
        ("a.name", STRANGER, Answer.UNDECIDED),
    ],
)
def test_a_listener_for_proxies_is_for_those_that_are_trusted(
    trusted: str, source: str, expected: Answer
) -> None:
    listener = IMAPS._replace(haproxy=True)
    filtered = of(host(), 993, listener, {"haproxy_trusted_networks": trusted})
    assert answer(filtered, source)[0] is expected


NETS = "198.51.100.0/24,local"


@pytest.mark.parametrize(
    ("passdbs", "source", "expected"),
    [
        ((), STRANGER, Answer.ADMITTED),
        ((Passdb("pam", None, None, None, own_nets=False),), STRANGER, Answer.ADMITTED),
        ((Passdb("pam", None, None, NETS, own_nets=False),), STRANGER, Answer.ADMITTED),
        ((Passdb("pam", None, None, NETS, own_nets=False),), "203.0.113.9", Answer.BLOCKED),
        ((Passdb("pam", "pop3", None, NETS, own_nets=False),), "203.0.113.9", Answer.ADMITTED),
        ((Passdb("pam", None, None, "a.name", own_nets=False),), STRANGER, Answer.UNDECIDED),
        ((Passdb("passwd-file", None, None, NETS, own_nets=True),), STRANGER, Answer.UNDECIDED),
        ((Passdb("lua", None, None, None, UNREAD),), STRANGER, Answer.UNDECIDED),
        (
            (
                Passdb("pam", None, None, NETS, own_nets=False),
                Passdb("static", None, None, None, own_nets=False),
            ),
            "203.0.113.9",
            Answer.UNDECIDED,
        ),
        ((Passdb("pam", None, NETS, None, own_nets=True),), STRANGER, Answer.UNDECIDED),
        ((Passdb("pam", None, NETS, None, own_nets=True),), "203.0.113.9", Answer.BLOCKED),
        ((Passdb("pam", None, NETS, "203.0.113.9", own_nets=False),), STRANGER, Answer.BLOCKED),
        (UNREAD, STRANGER, Answer.UNDECIDED),
    ],
)
def test_users_who_may_not_log_in_from_there_are_kept_out(
    passdbs: "tuple[Passdb, ...] | Missing", source: str, expected: Answer
) -> None:
    assert isinstance(HOST.dovecot, Dovecot)
    evidence = host(dovecot=HOST.dovecot._replace(passdbs=passdbs))
    said, why = answer(of(evidence, 993, IMAPS), source)
    assert said is expected
    assert said is Answer.ADMITTED or "Dovecot" in why


@pytest.mark.parametrize(
    ("port", "sasl_type", "expected"),
    [
        (587, "dovecot", Answer.BLOCKED),
        (587, "cyrus", Answer.ADMITTED),
        (25, "dovecot", Answer.ADMITTED),
    ],
)
def test_logins_by_postfix_are_those_of_dovecot_where_it_is_asked(
    port: int, sasl_type: str, expected: Answer
) -> None:
    assert isinstance(HOST.dovecot, Dovecot)
    passdbs = (Passdb("pam", None, None, NETS, own_nets=False),)
    evidence = host("", ("0.0.0.0", port), dovecot=HOST.dovecot._replace(passdbs=passdbs))
    settings = {
        "smtpd_client_restrictions": "",
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_type": sasl_type,
    }
    filtered = of(evidence, port, SMTP, settings)
    assert answer(filtered, "203.0.113.9")[0] is expected


def test_what_is_not_known_of_the_daemon_admits_nobody() -> None:
    evidence = host()
    found = filters(evidence, "192.0.2.10")
    assert isinstance(found, Filters)
    filtered = found.of(993, gates(evidence, 993, UNREAD), ())
    assert isinstance(filtered, Filtered)
    assert answer(filtered) == (Answer.UNDECIDED, "the access rules of the daemon: not read")


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
    assert answer(of(evidence, 993, IMAPS))[0] is expected


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
    unread = evidence.packet_filter._replace(**{part: Missing(reason)})
    assert filters(replace(evidence, packet_filter=unread), "") == Missing(reason)


@pytest.mark.parametrize("nft", ["{", "[]", '{"nftables": 1}', "\x00"])
def test_a_filter_that_is_nonsense_says_nothing(nft: str) -> None:
    assert isinstance(filters(host(nft), ""), Missing)


@pytest.mark.parametrize(
    "address", ["nonsense", "192.0.2.1/99", "192.0.2.1/", "::1%eth0/64", "1/2/3", ""]
)
def test_addresses_that_are_none_say_nothing_and_break_nothing(address: str) -> None:
    network = NETWORK._replace(interfaces=(Interface("eth0", (address,)),))
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
