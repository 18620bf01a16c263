from collections.abc import Sequence

import pytest

from mailwitness.evidence.host import Configuration, Postfix, PostfixService
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.postfix import PARAMETERS, Found, certificate_paths, cipher_lists, postfix
from tests.host.replay import RELEASES, Replay


def collected(monkeypatch: pytest.MonkeyPatch, folder: str) -> Postfix:
    monkeypatch.setattr(command, "run", Replay(folder))
    found = postfix()
    assert isinstance(found, Found)
    return found.postfix


def with_settings(settings: dict[str, str]) -> Postfix:
    service = PostfixService("smtp", 25, None, "smtpd", {})
    return Postfix("/etc/postfix", settings, (service,), {}, {}, Configuration((), ()), None)


@pytest.mark.parametrize("release", RELEASES)
class TestConfigured:
    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch, release: str) -> Postfix:
        return collected(monkeypatch, f"{release}/postfix")

    def test_the_services_that_listen_are_found_with_their_settings(self, found: Postfix) -> None:
        unknown = found.services[-1].port
        assert unknown == Missing("/etc/services knows no nosuchservice/tcp")
        assert found.services == (
            PostfixService(
                name="smtp",
                port=25,
                address=None,
                program="postscreen",
                overrides={
                    "postscreen_tls_security_level": "encrypt",  # its own line
                    "smtpd_tls_ciphers": "high",  # smtpd's
                    "tlsproxy_tls_protocols": "TLSv1.2",  # tlsproxy's, by its default
                },
            ),
            PostfixService(
                name="submission",
                port=587,
                address=None,
                program="smtpd",
                overrides={
                    "smtpd_client_restrictions": "permit_sasl_authenticated, reject",
                    "smtpd_sasl_auth_enable": "yes",
                    "smtpd_tls_cert_file": "/etc/ssl/mail/submission.pem",
                    "smtpd_tls_security_level": "encrypt",
                },
            ),
            PostfixService("465", 465, None, "smtpd", {"smtpd_tls_wrappermode": "yes"}),
            PostfixService("127.0.0.1:10025", 10025, "127.0.0.1", "smtpd", {}),
            PostfixService(
                "[::1]:10026", 10026, "::1", "smtpd", {"smtpd_tls_security_level": "none"}
            ),
            PostfixService(
                "mail.example.com:nosuchservice", unknown, "mail.example.com", "smtpd", {}
            ),
        )

    def test_settings_are_expanded(self, found: Postfix) -> None:
        assert found.settings["smtpd_tls_cert_file"] == "/etc/ssl/mail/rsa.pem"
        assert found.settings["smtpd_tls_eccert_file"] == "/etc/ssl/mail/ec.pem"

    def test_settings_over_several_lines_are_one(self, found: Postfix) -> None:
        assert found.settings["mynetworks"] == "127.0.0.0/8 [::1]/128 192.0.2.0/24"
        assert found.settings["smtpd_client_restrictions"] == (
            "permit_mynetworks, check_client_access cidr:/etc/postfix/clients, reject"
        )

    def test_a_setting_may_be_empty_or_hold_an_equals_sign(self, found: Postfix) -> None:
        assert found.settings["smtpd_tls_chain_files"] == ""
        assert found.settings["smtpd_tls_mandatory_protocols"] == ">=TLSv1.2"

    def test_no_setting_is_there_that_was_not_asked_for(self, found: Postfix) -> None:
        assert found.settings.keys() <= set(PARAMETERS)

    def test_certificates_are_those_of_all_services(self, found: Postfix) -> None:
        assert sorted(set(certificate_paths(found))) == [
            "/etc/ssl/mail/ec.pem",
            "/etc/ssl/mail/rsa.pem",
            "/etc/ssl/mail/submission.pem",
        ]


@pytest.mark.parametrize(
    ("release", "version", "protocols"),
    [
        ("bullseye", "3.5.25", "!SSLv2, !SSLv3"),
        ("bookworm", "3.7.11", ">=TLSv1"),
        ("trixie", "3.10.13", ">=TLSv1"),
    ],
)
def test_as_packaged(
    monkeypatch: pytest.MonkeyPatch, release: str, version: str, protocols: str
) -> None:
    found = collected(monkeypatch, f"{release}/postfix-as-packaged")
    assert found.config_directory == "/etc/postfix"
    assert found.services == (PostfixService("smtp", 25, None, "smtpd", {}),)
    assert found.settings["mail_version"] == version
    assert found.settings["smtpd_tls_protocols"] == protocols
    assert found.settings["smtpd_tls_security_level"] == "may"
    assert certificate_paths(found) == ["/etc/ssl/certs/ssl-cert-snakeoil.pem"]


def test_several_chain_files_are_several_paths() -> None:
    found = with_settings({"smtpd_tls_chain_files": "/a.pem, /b.pem\t/c.pem"})
    assert certificate_paths(found) == ["/a.pem", "/b.pem", "/c.pem"]


def test_none_is_no_certificate() -> None:
    assert certificate_paths(with_settings({"smtpd_tls_cert_file": "none"})) == []


def test_not_installed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = command.NotInstalled("postconf: not installed")
    monkeypatch.setattr(command, "run", lambda _: absent)
    assert postfix() is None


@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_a_command_that_fails_makes_all_of_it_missing(
    monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    replay = Replay("bookworm/postfix")
    argv = list(replay.answers)[failing]
    replay.answers[argv] = Missing("postconf: fatal")
    monkeypatch.setattr(command, "run", replay)
    assert postfix() == Missing("postconf: fatal")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"smtpd_tls_ciphers": "high"}, "HIGH"),
        (
            {"smtpd_tls_ciphers": "high", "smtpd_tls_exclude_ciphers": "aNULL, MD5"},
            "HIGH:!aNULL:!MD5",
        ),
        ({"smtpd_tls_ciphers": "low"}, "MEDIUM"),
        ({"smtpd_tls_ciphers": "high", "smtpd_tls_ask_ccert": "yes"}, "HIGH:!aNULL"),
        (
            {"smtpd_tls_security_level": "encrypt", "smtpd_tls_mandatory_ciphers": "medium"},
            "MEDIUM:!RC4",
        ),
        (
            {"smtpd_tls_wrappermode": "yes", "smtpd_tls_mandatory_ciphers": "high"},
            "HIGH:!RC4",
        ),
        ({"smtpd_enforce_tls": "yes", "smtpd_tls_mandatory_ciphers": "high"}, "HIGH:!RC4"),
    ],
)
def test_a_list_of_ciphers_is_put_together_as_smtpd_does(
    settings: dict[str, str], expected: str
) -> None:
    lists = {"tls_high_cipherlist": "HIGH", "tls_medium_cipherlist": "MEDIUM"}
    lists["smtpd_tls_mandatory_exclude_ciphers"] = "RC4"
    assert cipher_lists(with_settings({**lists, **settings})) == [(expected, 0)]


@pytest.mark.parametrize(
    "settings",
    [
        {"smtpd_tls_ciphers": "best"},
        {"smtpd_tls_ciphers": "high", "smtpd_tls_exclude_ciphers": "!aNULL"},
    ],
)
def test_a_list_that_smtpd_refuses_is_none(settings: dict[str, str]) -> None:
    lists = {"tls_high_cipherlist": "HIGH", "tls_medium_cipherlist": "MEDIUM"}
    assert cipher_lists(with_settings({**lists, **settings})) == []


@pytest.mark.parametrize(
    ("value", "switched_off"),
    [
        ("", False),
        ("inet", True),
        ("smtp/inet", True),
        ("submission/inet", False),
        ("!smtp/inet, inet", False),
        ("inet, !smtp/inet", True),
    ],
)
def test_a_service_that_master_leaves_out_listens_nowhere(
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    switched_off: bool,  # noqa: FBT001
) -> None:
    replay = Replay("bookworm/postfix")

    def run(argv: Sequence[str]) -> str | Missing:
        said = replay(argv)
        if argv[:2] == ("postconf", "-x") and isinstance(said, str):
            return said.replace("master_service_disable =", f"master_service_disable = {value}")
        return said

    monkeypatch.setattr(command, "run", run)
    found = postfix()
    assert isinstance(found, Found)
    assert (25 not in [service.port for service in found.postfix.services]) is switched_off
