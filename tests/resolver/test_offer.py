"""What random configurations found, and the rules of the two daemons, without a daemon."""

import pytest

from mailwitness.evidence.host import (
    CipherList,
    ConfigurationFile,
    LibraryDefaults,
    Suite,
    TlsLibrary,
    VersionSuites,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import VersionName
from mailwitness.resolver import dovecot, postfix
from mailwitness.resolver.dovecot import Given
from mailwitness.resolver.library import Key
from mailwitness.resolver.offer import Offer

ECDHE = Suite("ECDHE-RSA-AES128-SHA", 0xC013, "ECDH", "RSA", "AES(128)", "SHA1")
DHE = Suite("DHE-RSA-AES128-SHA", 0x33, "DH", "RSA", "AES(128)", "SHA1")
RSA = Suite("AES128-SHA", 0x2F, "RSA", "RSA", "AES(128)", "SHA1")
ECDSA = Suite("ECDHE-ECDSA-AES128-SHA", 0xC009, "ECDH", "ECDSA", "AES(128)", "SHA1")
ANONYMOUS = Suite("AECDH-AES128-SHA", 0xC018, "ECDH", "None", "AES(128)", "SHA1")
NEWEST = Suite("TLS_AES_128_GCM_SHA256", 0x1301, "any", "any", "AESGCM(128)", "AEAD")
OLD = (ECDHE, DHE, RSA, ECDSA, ANONYMOUS)
BY_VERSION: dict[VersionName, tuple[Suite, ...]] = {
    "TLSv1": OLD,
    "TLSv1.1": OLD,
    "TLSv1.2": OLD,
    "TLSv1.3": (NEWEST,),
}
KEYS = (Key("RSA", 2048, weakly_signed=False),)


def library(
    level: int = 0,
    version: str = "OpenSSL 3.0.20",
    text: str = "ALL",
    asked_level: int | None = None,
    **defaults: object,
) -> TlsLibrary:
    """One that was asked about one list of ciphers."""
    names = tuple(
        VersionSuites(version, tuple(suite.name for suite in suites))
        for version, suites in BY_VERSION.items()
    )
    built_in = LibraryDefaults(None, None, level, ())
    return TlsLibrary(
        path="/usr/lib/libssl.so.3",
        source="ldd",
        version=version,
        configuration=ConfigurationFile("/etc/ssl/openssl.cnf", "2024-01-01T00:00:00Z"),
        built_in=built_in,
        defaults=built_in._replace(**defaults),  # type: ignore[arg-type]
        suites=(*OLD, NEWEST),
        cipher_lists=(CipherList(text, asked_level, level, names),),
    )


def of_dovecot(
    found: TlsLibrary,
    keys: tuple[Key, ...] = KEYS,
    dh_bits: int | Missing = 0,
    **settings: str,
) -> Offer:
    every = {"ssl": "yes", "ssl_min_protocol": "TLSv1", "ssl_cipher_list": "ALL", **settings}
    return dovecot.offer(every, Given("2.3.19", found, keys, dh_bits), implicit=True)


def of_postfix(found: TlsLibrary, **settings: str) -> Offer:
    every = {
        "mail_version": "3.7.11",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_ciphers": "medium",
        "smtpd_tls_mandatory_ciphers": "medium",
        "tls_medium_cipherlist": "ALL",
        **settings,
    }
    return postfix.offer(every, found, KEYS, ("LOGIN", "PLAIN"))


def offered(offer: Offer) -> list[str]:
    assert not isinstance(offer.versions, Missing)
    return [version.version for version in offer.versions if version.offered is True]


def decided(offer: Offer, version: str) -> tuple[str, str]:
    found = offer.version(version)
    assert not isinstance(found, Missing)
    return found.layer, found.decided_by


class TestDovecot:
    def test_the_least_version_is_the_setting_s(self) -> None:
        offer = of_dovecot(library(), ssl_min_protocol="TLSv1.2")
        assert offered(offer) == ["TLSv1.2", "TLSv1.3"]
        assert decided(offer, "TLSv1.1") == ("setting", "ssl_min_protocol = TLSv1.2")

    def test_the_system_s_upper_bound_holds(self) -> None:
        offer = of_dovecot(library(maximum="TLSv1.2"))
        assert offered(offer) == ["TLSv1", "TLSv1.1", "TLSv1.2"]
        layer, why = decided(offer, "TLSv1.3")
        assert (layer, why) == ("system", "/etc/ssl/openssl.cnf: MaxProtocol = TLSv1.2")

    def test_the_system_s_lower_bound_holds_where_there_is_no_own(self) -> None:
        assert offered(of_dovecot(library(minimum="TLSv1.3"))) != ["TLSv1.3"]
        anything = of_dovecot(library(minimum="TLSv1.3"), ssl_min_protocol="ANY")
        assert offered(anything) == ["TLSv1.3"]

    @pytest.mark.parametrize(
        ("version", "tls", "protocols", "expected"),
        [
            # A minimum of its own, over the system's: what is named above it says nothing.
            ("2.2.34", "OpenSSL 1.1.1w", "!SSLv3", ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
            ("2.2.36.4", "OpenSSL 1.1.1w", "!SSLv3 !TLSv1", ["TLSv1.1", "TLSv1.2", "TLSv1.3"]),
            (
                "2.2.36.4",
                "OpenSSL 1.1.1w",
                "!SSLv3,!TLSv1.1",
                ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
            ),
            ("2.2.36.4", "OpenSSL 1.1.1w", "TLSv1.2", ["TLSv1.2", "TLSv1.3"]),
            ("2.2.36.4", "OpenSSL 1.1.1w", "!SSLv2 !SSLv3", None),
            ("2.2.36.4", "OpenSSL 1.1.1w", "!TLSv1.3", None),
            ("2.2.36.4", "OpenSSL 1.1.1w", "!SSLv3 !TLSv1 !TLSv1.1 !TLSv1.2", None),
            # Versions switched off one by one, beside the system's minimum.
            ("2.2.33.2", "OpenSSL 1.1.1w", "!SSLv3", ["TLSv1.2", "TLSv1.3"]),
            ("2.2.33.2", "OpenSSL 1.1.1w", "!SSLv3 !TLSv1.2", ["TLSv1.3"]),
            ("2.2.36", "OpenSSL 1.0.2k-fips", "!SSLv2 !SSLv3", ["TLSv1.2", "TLSv1.3"]),
            ("unknown", "OpenSSL 1.1.1w", "!SSLv3", None),
        ],
    )
    def test_before_2_3_ssl_protocols_means_what_that_version_made_of_it(
        self, version: str, tls: str, protocols: str, expected: list[str] | None
    ) -> None:
        before_2_3 = {"ssl": "yes", "ssl_protocols": protocols, "ssl_cipher_list": "ALL"}
        found = dovecot.offer(
            before_2_3, Given(version, library(0, tls, minimum="TLSv1.2"), KEYS, 0), implicit=True
        )
        assert (
            expected is None if isinstance(found.versions, Missing) else offered(found) == expected
        )

    @pytest.mark.parametrize("level", [1, 2])
    def test_openssl_3_has_old_versions_at_level_0_alone(self, level: int) -> None:
        offer = of_dovecot(library(level))
        assert offered(offer) == ["TLSv1.2", "TLSv1.3"]
        assert decided(offer, "TLSv1")[0] == "system"

    @pytest.mark.parametrize(("level", "there"), [(1, True), (2, False)])
    def test_openssl_1_signs_with_sha_1_alone_below_level_2(self, level: int, there: bool) -> None:  # noqa: FBT001
        both = (*KEYS, Key("ECDSA", 256, weakly_signed=False))
        offer = of_dovecot(library(level, "OpenSSL 1.1.1w"), both)
        assert not isinstance(offer.suites, Missing)
        assert "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" in offer.suites["TLSv1"]
        assert ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" in offer.suites["TLSv1"]) is there

    def test_without_parameters_there_is_no_finite_field(self) -> None:
        def suites(bits: int) -> tuple[str, ...]:
            found = of_dovecot(library(), dh_bits=bits).suites
            assert not isinstance(found, Missing)
            return found["TLSv1.2"]

        name = "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"
        assert name not in suites(0)
        assert name in suites(1024)

    @pytest.mark.parametrize(("level", "bits"), [(1, 512), (2, 1024)])
    def test_parameters_that_the_level_refuses_leave_nothing_known(
        self, level: int, bits: int
    ) -> None:
        refused = of_dovecot(library(level), dh_bits=bits).versions
        assert isinstance(refused, Missing)
        assert f"{bits} bits" in refused.reason
        assert offered(of_dovecot(library(level), dh_bits=8192))
        assert isinstance(of_dovecot(library(level), dh_bits=Missing("?")).versions, Missing)

    @pytest.mark.parametrize(
        ("length", "level", "there"), [(None, 1, True), (None, 2, False), ("2048", 2, True)]
    )
    def test_before_2_3_parameters_are_made_as_long_as_is_said(
        self,
        length: str | None,
        level: int,
        there: bool,  # noqa: FBT001
    ) -> None:
        settings = {"ssl": "yes", "ssl_protocols": "!SSLv3", "ssl_cipher_list": "ALL"}
        if length is not None:
            settings["ssl_dh_parameters_length"] = length
        offer = dovecot.offer(settings, Given("2.2.36", library(level), KEYS, 0), implicit=True)
        assert not isinstance(offer.suites, Missing)
        assert ("TLS_DHE_RSA_WITH_AES_128_CBC_SHA" in offer.suites["TLSv1.2"]) is there

    def test_a_size_of_a_hosts_own_making_is_none(self) -> None:
        settings = {"ssl_protocols": "", "ssl_dh_parameters_length": "9" * 5000}
        settings["ssl_cipher_list"] = "ALL"
        offer = dovecot.offer(settings, Given("2.2.36", library(), KEYS, 0), implicit=True)
        assert isinstance(offer.versions, Missing)

    def test_a_key_that_the_level_refuses_leaves_nothing_known(self) -> None:
        weak = (Key("RSA", 1024, weakly_signed=False),)
        offer = of_dovecot(library(2), weak)
        assert isinstance(offer.versions, Missing)
        assert "1024" in offer.versions.reason
        assert offered(of_dovecot(library(1), weak)) == ["TLSv1.2", "TLSv1.3"]

    def test_suites_are_those_of_the_keys(self) -> None:
        both = (*KEYS, Key("ECDSA", 256, weakly_signed=False))
        for keys, there in ((KEYS, False), (both, True)):
            offer = of_dovecot(library(), keys)
            assert not isinstance(offer.suites, Missing)
            assert ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" in offer.suites["TLSv1.2"]) is there

    def test_what_a_library_was_not_asked_is_not_known(self) -> None:
        offer = of_dovecot(library(), ssl_cipher_list="HIGH")
        assert isinstance(offer.versions, Missing)

    @pytest.mark.parametrize(
        ("settings", "before"),
        [
            ({"disable_plaintext_auth": "yes"}, ("SCRAM-SHA-256",)),
            ({"disable_plaintext_auth": "no"}, ("PLAIN", "SCRAM-SHA-256")),
            ({"auth_allow_cleartext": "yes"}, ("PLAIN", "SCRAM-SHA-256")),
            ({"ssl": "required", "disable_plaintext_auth": "no"}, ()),
        ],
    )
    def test_mechanisms_before_tls(self, settings: dict[str, str], before: tuple[str, ...]) -> None:
        every = {"ssl": "yes", "auth_mechanisms": "plain scram-sha-256", **settings}
        offer = dovecot.offer(every, Given("2.3.19", library(), KEYS, 0), implicit=False)
        assert offer.mechanisms_before_tls == before
        assert offer.mechanisms_inside_tls == ("PLAIN", "SCRAM-SHA-256")

    def test_trusted_networks_are_not_guessed_at(self) -> None:
        every = {"ssl": "yes", "login_trusted_networks": "192.0.2.0/24"}
        offer = dovecot.offer(every, Given("2.3.19", library(), KEYS, 0), implicit=False)
        assert isinstance(offer.mechanisms_before_tls, Missing)


class TestPostfix:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
            ("!SSLv2, !SSLv3, !TLSv1", ["TLSv1.1", "TLSv1.2", "TLSv1.3"]),
            ("!sslv3:!tlsv1.3", ["TLSv1", "TLSv1.1", "TLSv1.2"]),
            ("TLSv1.2 TLSv1.3", ["TLSv1.2", "TLSv1.3"]),
            (">=TLSv1.1, <=TLSv1.2", ["TLSv1.1", "TLSv1.2"]),
            (">=TLSv1, !TLSv1.1", ["TLSv1", "TLSv1.2", "TLSv1.3"]),
        ],
    )
    def test_both_notations(self, text: str, expected: list[str]) -> None:
        asked = library(asked_level=0)
        assert offered(of_postfix(asked, smtpd_tls_protocols=text)) == expected
        mandatory = {"smtpd_tls_security_level": "encrypt", "smtpd_tls_mandatory_protocols": text}
        assert offered(of_postfix(asked, **mandatory)) == expected
        wrapped = {"smtpd_tls_wrappermode": "yes", "smtpd_tls_mandatory_protocols": text}
        assert offered(of_postfix(asked, **wrapped)) == expected

    @pytest.mark.parametrize(
        "settings",
        [
            {"smtpd_tls_protocols": ">=TLSv1.2", "mail_version": "3.5.25"},
            {"smtpd_tls_protocols": "!TLSv2"},
        ],
    )
    def test_a_list_that_postfix_refuses_leaves_nothing_known(
        self, settings: dict[str, str]
    ) -> None:
        assert isinstance(of_postfix(library(asked_level=0), **settings).versions, Missing)

    def test_the_system_s_upper_bound_holds_before_3_6(self) -> None:
        bounded = library(asked_level=0, maximum="TLSv1.2")
        assert "TLSv1.3" in offered(of_postfix(bounded))
        assert "TLSv1.3" not in offered(of_postfix(bounded, mail_version="3.5.25"))

    def test_versions_that_the_system_switches_off_stay_off(self) -> None:
        offer = of_postfix(library(asked_level=0, switched_off=("TLSv1",)))
        assert decided(offer, "TLSv1") == ("system", "/etc/ssl/openssl.cnf switches it off")

    def test_without_a_certificate_nothing_is_known(self) -> None:
        offer = postfix.offer(
            {"smtpd_tls_security_level": "may", "smtpd_tls_ciphers": "medium"},
            library(asked_level=0),
            (),
            (),
        )
        assert isinstance(offer.versions, Missing)

    @pytest.mark.parametrize(
        ("settings", "tls"),
        [
            ({}, "starttls"),
            ({"smtpd_tls_security_level": "none"}, "none"),
            ({"smtpd_tls_security_level": "", "smtpd_use_tls": "yes"}, "starttls"),
            ({"smtpd_tls_security_level": "", "smtpd_enforce_tls": "yes"}, "starttls"),
            ({"smtpd_tls_security_level": ""}, "none"),
            ({"smtpd_tls_security_level": "none", "smtpd_tls_wrappermode": "yes"}, "implicit"),
            ({"smtpd_discard_ehlo_keywords": "starttls, dsn"}, "none"),
        ],
    )
    def test_where_tls_begins(self, settings: dict[str, str], tls: str) -> None:
        assert of_postfix(library(asked_level=0), **settings).tls == tls

    @pytest.mark.parametrize(
        ("settings", "before", "inside"),
        [
            ({}, (), ()),
            ({"smtpd_sasl_auth_enable": "yes"}, ("LOGIN", "PLAIN"), ("LOGIN", "PLAIN")),
            (
                {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "yes"},
                (),
                ("LOGIN", "PLAIN"),
            ),
            (
                {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_security_level": "encrypt"},
                (),
                ("LOGIN", "PLAIN"),
            ),
            (
                {
                    "smtpd_sasl_auth_enable": "yes",
                    "smtpd_sasl_security_options": "noanonymous, noplaintext",
                },
                (),
                ("LOGIN", "PLAIN"),
            ),
            (
                {"smtpd_sasl_auth_enable": "yes", "smtpd_discard_ehlo_keywords": "auth"},
                (),
                (),
            ),
        ],
    )
    def test_mechanisms(
        self, settings: dict[str, str], before: tuple[str, ...], inside: tuple[str, ...]
    ) -> None:
        offer = of_postfix(library(asked_level=0), **settings)
        assert (offer.mechanisms_before_tls, offer.mechanisms_inside_tls) == (before, inside)
