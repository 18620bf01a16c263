"""What a command line names, and what of it is looked at."""

from pathlib import Path
from typing import Any

import dns.message
import dns.name
import dns.resolver
import dns.rrset
import pytest

from mailwitness import outside
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.services import DEFAULT_PORTS
from mailwitness.outside import Given, TargetError, plan, read_file

NOTHING = Given((), (), None)


def ports(*words: str, given: Given = NOTHING) -> dict[str, tuple[int, ...]]:
    return {host.name: host.ports for host in plan(words, given).hosts}


def test_a_host_has_the_ports_that_are_named_of_it() -> None:
    assert ports("mail.example.com", "a.example:993", "a.example:25", "[2001:db8::1]:143") == {
        "mail.example.com": DEFAULT_PORTS,
        "a.example": (993, 25),
        "2001:db8::1": (143,),
    }


def test_a_host_that_is_named_with_a_port_and_without_has_all() -> None:
    assert ports("a.example:2525", "a.example") == {"a.example": (2525, *DEFAULT_PORTS)}


def test_ports_that_are_given_are_those_of_all() -> None:
    given = Given((), (993, 587), None)
    assert ports("a.example:25", "b.example", given=given) == {
        "a.example": (993, 587),
        "b.example": (993, 587),
    }


def test_names_of_certificates_are_those_given_or_the_hosts_own() -> None:
    (named, address) = plan(["mail.example.com", "192.0.2.1"], NOTHING).hosts
    assert (named.names, address.names) == (("mail.example.com",), ())
    (host,) = plan(["192.0.2.1"], Given(("mail.example.com",), (), "PEM")).hosts
    assert (host.names, host.trust_store) == (("mail.example.com",), "PEM")


def test_what_is_no_target_is_an_error() -> None:
    with pytest.raises(TargetError, match="not a port number"):
        plan(["mail.example.com:imaps"], NOTHING)


def test_a_file_has_comments_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    file.write_text("# partners\nmail.example.com  # the old one\n\n[2001:db8::1]:993\n")
    assert read_file(file) == ["mail.example.com", "[2001:db8::1]:993"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "targets").write_bytes(content)
    with pytest.raises(TargetError, match="targets: "):
        read_file(tmp_path / "targets")


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Records by domain, or what the resolver raises."""
    records: dict[str, Any] = {}

    def resolve(domain: str, kind: str, **_: object) -> Any:
        found = records[domain]
        if not isinstance(found, list):
            raise found
        return dns.rrset.from_text(domain + ".", 60, "IN", kind, *found)

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    return records


def test_the_mail_servers_of_a_domain_by_preference(zone: dict[str, Any]) -> None:
    zone["example.com"] = ["20 b.example.net.", "10 a.example.net.", "30 a.example.net."]
    assert outside.mail_servers("example.com") == ("a.example.net", "b.example.net")
    assert ports("mx:example.com", "a.example.net:993") == {
        "a.example.net": (25, 993),
        "b.example.net": (25,),
    }


def test_a_domain_without_mx_takes_its_mail_itself(zone: dict[str, Any]) -> None:
    answer = dns.message.make_response(dns.message.make_query("example.com", "MX"))
    zone["example.com"] = dns.resolver.NoAnswer(response=answer)  # type: ignore[no-untyped-call]
    assert outside.mail_servers("example.com") == ("example.com",)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (["0 ."], "takes no mail"),
        (dns.resolver.NXDOMAIN, "there is no domain"),
        (dns.resolver.NoNameservers, "cannot be looked up"),
        (dns.name.EmptyLabel, "cannot be looked up"),
    ],
)
def test_a_domain_whose_servers_are_not_known_is_a_row(
    zone: dict[str, Any], found: object, reason: str
) -> None:
    zone["example.com"] = found
    servers = outside.mail_servers("example.com")
    assert isinstance(servers, Missing)
    assert reason in servers.reason
    planned = plan(["mx:example.com", "mail.example.org"], NOTHING)
    assert [host.name for host in planned.hosts] == ["mail.example.org", "example.com"]
    assert planned.unknown == {"example.com": servers.reason}


def test_a_domain_that_can_be_no_name_is_a_row() -> None:
    servers = outside.mail_servers("a..b")
    assert isinstance(servers, Missing)
    assert "a..b" in servers.reason
