"""What the settings of several instances, and those for server names, make of a port."""

from dataclasses import replace

import pytest

from mailwitness.correlate.certificate import Certificate
from mailwitness.correlate.configured import configured, ports
from mailwitness.correlate.endpoint import CertificateOnDisk, Configured
from mailwitness.evidence.codec import loads
from mailwitness.evidence.host import HostEvidence, Postfix, PostfixInstance, ServerName
from mailwitness.evidence.missing import Missing
from tests.lab.audit import RECORDED

UNREAD = Missing("postconf: exit status 1")
ANYBODY = ("192.0.2.1", "192.0.2.7")


@pytest.fixture
def host() -> HostEvidence:
    return loads((RECORDED / "good" / "host.json").read_text(), HostEvidence)


def beside(host: HostEvidence, postfix: Postfix | Missing | None) -> HostEvidence:
    instance = PostfixInstance("out", "/etc/postfix-out", postfix is not None, postfix)
    return replace(host, postfix_instances=(instance,))


def out(host: HostEvidence, port: int) -> Postfix:
    assert isinstance(host.postfix, Postfix)
    service = host.postfix.services[0]._replace(port=port)
    return host.postfix._replace(config_directory="/etc/postfix-out", services=(service,))


def test_a_port_of_another_instance_is_its_own(host: HostEvidence) -> None:
    both = beside(host, out(host, 2525))
    assert set(ports(both)) == {*ports(host), 2525}
    found = configured(both, 2525)
    assert isinstance(found, Configured)
    assert "/etc/postfix-out/master.cf" in found.source
    assert configured(both, 25) == configured(host, 25)


def test_a_port_of_two_instances_is_not_guessed_at(host: HostEvidence) -> None:
    found = configured(beside(host, out(host, 25)), 25)
    assert isinstance(found, Missing)
    assert "/etc/postfix/master.cf, smtp/inet and /etc/postfix-out/master.cf" in found.reason


def of_two_services(host: HostEvidence, first: str, second: str) -> Configured | Missing | None:
    """Of port 25, with one service at each address, of which the first lets nobody log in."""
    assert isinstance(host.postfix, Postfix)
    (smtp, *_) = (each for each in host.postfix.services if each.port == 25)
    services = (
        smtp._replace(name=f"{first}:25", address=first, overrides={"smtpd_tls_auth_only": "no"}),
        smtp._replace(name=f"{second}:25", address=second),
    )
    return configured(replace(host, postfix=host.postfix._replace(services=services)), 25)


def test_of_two_services_the_one_that_others_can_reach_counts(host: HostEvidence) -> None:
    for loopback in ("127.0.0.1", "::1", "localhost"):
        found = of_two_services(host, loopback, "192.0.2.1")
        assert isinstance(found, Configured)
        assert "192.0.2.1:25/inet" in found.source


def test_of_two_services_that_others_can_reach_none_is_taken(host: HostEvidence) -> None:
    found = of_two_services(host, "192.0.2.2", "192.0.2.1")
    assert isinstance(found, Missing)
    assert "192.0.2.2:25/inet and" in found.reason


def test_services_that_differ_in_their_address_alone_are_one(host: HostEvidence) -> None:
    assert isinstance(host.postfix, Postfix)
    (smtp, *_) = (each for each in host.postfix.services if each.port == 25)
    both = (smtp, smtp._replace(name="[2001:db8::1]:25", address="2001:db8::1"))
    found = configured(replace(host, postfix=host.postfix._replace(services=both)), 25)
    assert isinstance(found, Configured)


def test_an_instance_that_is_not_read_may_have_any_port(host: HostEvidence) -> None:
    assert configured(beside(host, UNREAD), 2525) == UNREAD
    assert configured(beside(host, None), 2525) is None


def named(host: HostEvidence, names: tuple[ServerName, ...] | Missing) -> Configured:
    assert isinstance(host.postfix, Postfix)
    settings = {**host.postfix.settings, "tls_server_sni_maps": "hash:/etc/sni"}
    postfix = host.postfix._replace(settings=settings, server_names={"hash:/etc/sni": names})
    found = configured(replace(host, postfix=postfix), 25)
    assert isinstance(found, Configured)
    return found


def test_a_name_of_the_table_brings_its_certificate(host: HostEvidence) -> None:
    assert not isinstance(host.certificates, Missing)
    pems = host.certificates[0].certificates
    assert not isinstance(pems, Missing)
    found = named(
        host, (ServerName(".example.com", (pems[0],)), ServerName("a.example.com", UNREAD))
    )
    (file,) = known(found, "b.example.com")
    assert isinstance(file.leaf, Certificate)
    assert file.path == "hash:/etc/sni"
    assert found.certificates_for(*ANYBODY, "a.example.com") == UNREAD
    assert known(found, "other.example") == known(found, None) == found.certificates


def known(found: Configured, name: str | None) -> tuple[CertificateOnDisk, ...]:
    files = found.certificates_for(*ANYBODY, name)
    assert not isinstance(files, Missing)
    return files


def test_a_table_that_is_not_read_leaves_the_client_without_a_name(host: HostEvidence) -> None:
    found = named(host, UNREAD)
    assert found.certificates_for(*ANYBODY, "a.example.com") == UNREAD
    assert known(found, None) == found.certificates
