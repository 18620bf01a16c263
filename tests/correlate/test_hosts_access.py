"""hosts_access(5): each expectation is what tcpdmatch of Debian's tcpd says."""

import pytest

from mailwitness.correlate.hosts_access import refused
from mailwitness.firewall.addresses import parse_address

# Rules of hosts.allow, of hosts.deny, a client of the daemon "imap", and tcpdmatch's word.
ANSWERED = [
    ((), ("ALL: ALL",), "192.0.2.7", False),
    ((), ("ALL: ALL",), "198.51.100.9", False),
    ((), ("ALL: ALL",), "2001:db8::7", False),
    ((), ("ALL: ALL",), "10.1.2.3", False),
    ((), ("imap: 192.0.2.",), "192.0.2.7", False),
    ((), ("imap: 192.0.2.",), "198.51.100.9", True),
    ((), ("imap: 192.0.2.",), "2001:db8::7", True),
    ((), ("imap: 192.0.2.",), "10.1.2.3", True),
    ((), ("imap: 192.",), "192.0.2.7", False),
    ((), ("imap: 192.",), "198.51.100.9", True),
    ((), ("imap: 192.",), "2001:db8::7", True),
    ((), ("imap: 192.",), "10.1.2.3", True),
    ((), ("pop3: ALL",), "192.0.2.7", True),
    ((), ("pop3: ALL",), "198.51.100.9", True),
    ((), ("pop3: ALL",), "2001:db8::7", True),
    ((), ("pop3: ALL",), "10.1.2.3", True),
    ((), ("imap, pop3: 192.0.2.0/255.255.255.0",), "192.0.2.7", False),
    ((), ("imap, pop3: 192.0.2.0/255.255.255.0",), "198.51.100.9", True),
    ((), ("imap, pop3: 192.0.2.0/255.255.255.0",), "2001:db8::7", True),
    ((), ("imap, pop3: 192.0.2.0/255.255.255.0",), "10.1.2.3", True),
    (("imap: 192.0.2.7",), ("ALL: ALL",), "192.0.2.7", True),
    (("imap: 192.0.2.7",), ("ALL: ALL",), "198.51.100.9", False),
    (("imap: 192.0.2.7",), ("ALL: ALL",), "2001:db8::7", False),
    (("imap: 192.0.2.7",), ("ALL: ALL",), "10.1.2.3", False),
    ((), ("ALL EXCEPT imap: ALL",), "192.0.2.7", True),
    ((), ("ALL EXCEPT imap: ALL",), "198.51.100.9", True),
    ((), ("ALL EXCEPT imap: ALL",), "2001:db8::7", True),
    ((), ("ALL EXCEPT imap: ALL",), "10.1.2.3", True),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24",), "192.0.2.7", True),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24",), "198.51.100.9", False),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24",), "2001:db8::7", False),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24",), "10.1.2.3", False),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24 EXCEPT 192.0.2.7",), "192.0.2.7", False),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24 EXCEPT 192.0.2.7",), "198.51.100.9", False),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24 EXCEPT 192.0.2.7",), "2001:db8::7", False),
    ((), ("ALL: ALL EXCEPT 192.0.2.0/24 EXCEPT 192.0.2.7",), "10.1.2.3", False),
    ((), ("imap: [2001:db8::]/32",), "192.0.2.7", True),
    ((), ("imap: [2001:db8::]/32",), "198.51.100.9", True),
    ((), ("imap: [2001:db8::]/32",), "2001:db8::7", False),
    ((), ("imap: [2001:db8::]/32",), "10.1.2.3", True),
    ((), ("imap: [2001:db8::7]",), "192.0.2.7", True),
    ((), ("imap: [2001:db8::7]",), "198.51.100.9", True),
    ((), ("imap: [2001:db8::7]",), "2001:db8::7", False),
    ((), ("imap: [2001:db8::7]",), "10.1.2.3", True),
    (("ALL: [2001:db8::]/64",), ("ALL: ALL",), "192.0.2.7", False),
    (("ALL: [2001:db8::]/64",), ("ALL: ALL",), "198.51.100.9", False),
    (("ALL: [2001:db8::]/64",), ("ALL: ALL",), "2001:db8::7", True),
    (("ALL: [2001:db8::]/64",), ("ALL: ALL",), "10.1.2.3", False),
    (("ALL: 10.0.0.0/8 : DENY",), (), "192.0.2.7", True),
    (("ALL: 10.0.0.0/8 : DENY",), (), "198.51.100.9", True),
    (("ALL: 10.0.0.0/8 : DENY",), (), "2001:db8::7", True),
    (("ALL: 10.0.0.0/8 : DENY",), (), "10.1.2.3", False),
    ((), ("ALL: 10.1.2.3 : ALLOW", "ALL: ALL"), "192.0.2.7", False),
    ((), ("ALL: 10.1.2.3 : ALLOW", "ALL: ALL"), "198.51.100.9", False),
    ((), ("ALL: 10.1.2.3 : ALLOW", "ALL: ALL"), "2001:db8::7", False),
    ((), ("ALL: 10.1.2.3 : ALLOW", "ALL: ALL"), "10.1.2.3", True),
    (("imap: 192.0.2.0/24",), ("imap: ALL EXCEPT 10.",), "192.0.2.7", True),
    (("imap: 192.0.2.0/24",), ("imap: ALL EXCEPT 10.",), "198.51.100.9", False),
    (("imap: 192.0.2.0/24",), ("imap: ALL EXCEPT 10.",), "2001:db8::7", False),
    (("imap: 192.0.2.0/24",), ("imap: ALL EXCEPT 10.",), "10.1.2.3", True),
    ((), ("IMAP: ALL",), "192.0.2.7", False),
    ((), ("IMAP: ALL",), "198.51.100.9", False),
    ((), ("IMAP: ALL",), "2001:db8::7", False),
    ((), ("IMAP: ALL",), "10.1.2.3", False),
    ((), ("imap : all",), "192.0.2.7", False),
    ((), ("imap : all",), "198.51.100.9", False),
    ((), ("imap : all",), "2001:db8::7", False),
    ((), ("imap : all",), "10.1.2.3", False),
    ((), ("ALL : 198.51.100.9 10.1.2.3",), "192.0.2.7", True),
    ((), ("ALL : 198.51.100.9 10.1.2.3",), "198.51.100.9", False),
    ((), ("ALL : 198.51.100.9 10.1.2.3",), "2001:db8::7", True),
    ((), ("ALL : 198.51.100.9 10.1.2.3",), "10.1.2.3", False),
    ((), ("imap: 10.0.0.0/9, 198.51.100.9",), "192.0.2.7", True),
    ((), ("imap: 10.0.0.0/9, 198.51.100.9",), "198.51.100.9", False),
    ((), ("imap: 10.0.0.0/9, 198.51.100.9",), "2001:db8::7", True),
    ((), ("imap: 10.0.0.0/9, 198.51.100.9",), "10.1.2.3", False),
    ((), ("ALL: ALL except 192.0.2.7",), "192.0.2.7", True),
    ((), ("ALL: ALL except 192.0.2.7",), "198.51.100.9", False),
    ((), ("ALL: ALL except 192.0.2.7",), "2001:db8::7", False),
    ((), ("ALL: ALL except 192.0.2.7",), "10.1.2.3", False),
    (("ALL EXCEPT pop3: 10.",), ("imap: ALL",), "192.0.2.7", False),
    (("ALL EXCEPT pop3: 10.",), ("imap: ALL",), "198.51.100.9", False),
    (("ALL EXCEPT pop3: 10.",), ("imap: ALL",), "2001:db8::7", False),
    (("ALL EXCEPT pop3: 10.",), ("imap: ALL",), "10.1.2.3", True),
    ((), ("dovecot: ALL",), "192.0.2.7", True),
    ((), ("dovecot: ALL",), "198.51.100.9", True),
    ((), ("dovecot: ALL",), "2001:db8::7", True),
    ((), ("dovecot: ALL",), "10.1.2.3", True),
    ((), ("imap: 10.1.2.3/32",), "192.0.2.7", True),
    ((), ("imap: 10.1.2.3/32",), "198.51.100.9", True),
    ((), ("imap: 10.1.2.3/32",), "2001:db8::7", True),
    ((), ("imap: 10.1.2.3/32",), "10.1.2.3", False),
    ((), ("imap: 10.1.2.",), "192.0.2.7", True),
    ((), ("imap: 10.1.2.",), "198.51.100.9", True),
    ((), ("imap: 10.1.2.",), "2001:db8::7", True),
    ((), ("imap: 10.1.2.",), "10.1.2.3", False),
    ((), ("imap:10.1.",), "192.0.2.7", True),
    ((), ("imap:10.1.",), "198.51.100.9", True),
    ((), ("imap:10.1.",), "2001:db8::7", True),
    ((), ("imap:10.1.",), "10.1.2.3", False),
    ((), ("imap: 10.1.2.0/23",), "192.0.2.7", True),
    ((), ("imap: 10.1.2.0/23",), "198.51.100.9", True),
    ((), ("imap: 10.1.2.0/23",), "2001:db8::7", True),
    ((), ("imap: 10.1.2.0/23",), "10.1.2.3", False),
]
UNSURE = [
    ((), ("imap: .example",)),
    ((), ("ALL: LOCAL",)),
    ((), ("ALL: @group",)),
    ((), ("ALL: /etc/denied",)),
    ((), ("ALL: user@ALL",)),
    ((), ("imap@192.0.2.10: ALL",)),
    ((), ("ALL: ALL: twist",)),
    (("imap: client.example",), ("ALL: ALL",)),
    ((), ("ALL: ALL EXCEPT .example",)),
    ((), ("ALL: 192.0.?.7",)),
]


def said(allow: tuple[str, ...], deny: tuple[str, ...], client: str) -> "tuple[bool, bool]":
    """Whether the client is surely refused, and whether it may be."""
    family, value = parse_address(client)
    found = [each for each in refused(family, "imap", allow, deny) if value in each.sources]
    assert all(each.rule for each in found)
    return any(each.surely for each in found), bool(found)


@pytest.mark.parametrize(("allow", "deny", "client", "granted"), ANSWERED)
def test_as_tcpdmatch_says(
    allow: tuple[str, ...], deny: tuple[str, ...], client: str, *, granted: bool
) -> None:
    assert said(allow, deny, client) == (not granted, not granted)


@pytest.mark.parametrize(("allow", "deny"), UNSURE)
def test_what_hangs_on_names_is_not_decided(allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    assert said(allow, deny, "192.0.2.7") == (False, True)


def test_a_daemon_that_is_not_known_may_be_any() -> None:
    (found, *_) = [each for each in refused(4, None, (), ("imap: ALL",)) if each.sources]
    assert not found.surely


def test_a_rule_of_any_length_is_read() -> None:
    rule = "ALL: " + " EXCEPT ".join(["ALL", "192.0.2.7"] * 5_000)
    assert said((), (rule,), "192.0.2.7") == (False, False)
    assert said((), (rule,), "10.1.2.3") == (True, True)
