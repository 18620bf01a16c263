"""What stands behind port 25 where postscreen does."""

from dataclasses import replace

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.host import postscreen as settings_of
from mailwitness.resolver import postscreen
from mailwitness.resolver.library import Key
from mailwitness.resolver.offer import Offer, VersionOffer
from tests.resolver.test_offer import library

KEYS = (Key("RSA", 2048, weakly_signed=False),)
SETTINGS = {
    "mail_version": "3.7.11",
    "postscreen_tls_security_level": "may",
    "tlsproxy_tls_security_level": "may",
    "tlsproxy_tls_ciphers": "medium",
    "tlsproxy_tls_protocols": ">=TLSv1.2",
    "smtpd_tls_protocols": ">=TLSv1.3",
    "tls_medium_cipherlist": "ALL",
}
SMTPD = Offer("starttls", (), {}, ("PLAIN",), ("PLAIN",))


def own(**changed: str) -> Offer:
    return postscreen.own_offer({**SETTINGS, **changed}, library(asked_level=0), KEYS)


def test_its_tls_is_that_of_tlsproxy() -> None:
    offer = own()
    assert isinstance(offer.versions, tuple)
    assert [each.version for each in offer.versions if each.offered] == ["TLSv1.2", "TLSv1.3"]
    assert (offer.mechanisms_before_tls, offer.mechanisms_inside_tls) == ((), ())


def test_it_announces_by_its_own_level() -> None:
    assert own(postscreen_tls_security_level="none").tls == "none"
    nothing_behind = own(tlsproxy_tls_security_level="none")
    assert nothing_behind.tls == "starttls"
    assert isinstance(nothing_behind.versions, Missing)


@pytest.mark.parametrize("test", ["bare_newline", "non_smtp_command", "pipelining"])
def test_tests_after_the_greeting_make_it_answer(test: str) -> None:
    assert settings_of.speaks_itself({f"postscreen_{test}_enable": "yes"})
    assert not settings_of.speaks_itself({f"postscreen_{test}_enable": "no"})


def test_what_differs_from_smtpd_is_not_known() -> None:
    versions = (
        VersionOffer("TLSv1.2", offered=True, layer="setting", decided_by="a"),
        VersionOffer("TLSv1.3", offered=True, layer="setting", decided_by="a"),
    )
    without = (versions[0], replace(versions[1], offered=False))
    both = postscreen.either(
        replace(SMTPD, versions=versions),
        replace(SMTPD, versions=without, mechanisms_inside_tls=()),
    )
    assert isinstance(both.versions, tuple)
    assert both.versions[0].offered is True
    assert isinstance(both.versions[1].offered, Missing)
    assert both.mechanisms_before_tls == ("PLAIN",)
    assert isinstance(both.mechanisms_inside_tls, Missing)


def test_where_one_has_no_tls_nothing_is_known() -> None:
    assert isinstance(postscreen.either(SMTPD, replace(SMTPD, tls="none")).tls, Missing)
