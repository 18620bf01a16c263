import pytest

from mailwitness.evidence.host import Dovecot, DovecotListener
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.dovecot import SETTINGS, certificate_paths, dovecot
from tests.host.replay import RELEASES, Replay

ALL = ("*", "::")


def collected(monkeypatch: pytest.MonkeyPatch, folder: str) -> Dovecot:
    monkeypatch.setattr(command, "run", Replay(folder))
    found = dovecot()
    assert isinstance(found, Dovecot)
    return found


@pytest.mark.parametrize("release", RELEASES)
class TestConfigured:
    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch, release: str) -> Dovecot:
        return collected(monkeypatch, f"{release}/dovecot")

    def test_the_listeners_are_those_that_are_switched_on(
        self, found: Dovecot, release: str
    ) -> None:
        outer = ("192.0.2.1", "2001:db8::1")
        expected = {
            DovecotListener("imap-login", "imaps", 993, ALL, ssl=True),
            DovecotListener("imap-login", "outer", 10993, outer, ssl=True),
            DovecotListener("pop3-login", "pop3", 110, ALL, ssl=False),
            DovecotListener("submission-login", "submission", 10587, ALL, ssl=False),
        }
        if release == "trixie":
            expected.add(DovecotListener("submission-login", "submissions", 465, ALL, ssl=True))
        assert set(found.listeners) == expected
        assert len(found.listeners) == len(expected)

    def test_settings_are_those_of_each_protocol(self, found: Dovecot, release: str) -> None:
        assert list(found.settings) == ["imap", "pop3", "submission"]
        name, sign = ("ssl_server_cert_file", "") if release == "trixie" else ("ssl_cert", "<")
        assert {protocol: scope[name] for protocol, scope in found.settings.items()} == {
            "imap": f"{sign}/etc/ssl/mail/rsa.pem",
            "pop3": f"{sign}/etc/ssl/mail/pop3.pem",
            "submission": f"{sign}/etc/ssl/mail/rsa.pem",
        }
        assert {scope["ssl"] for scope in found.settings.values()} == {"required"}
        assert {scope["auth_mechanisms"] for scope in found.settings.values()} == {"plain login"}

    def test_a_setting_of_one_protocol_leaves_the_others_alone(
        self, found: Dovecot, release: str
    ) -> None:
        weaker = "TLSv1.2" if release == "trixie" else "TLSv1"
        assert found.settings["pop3"]["ssl_min_protocol"] == weaker
        assert found.settings["imap"]["ssl_min_protocol"] == "TLSv1.2"

    def test_a_setting_of_some_clients_alone_is_not_taken_for_all(
        self, found: Dovecot, release: str
    ) -> None:
        if release == "trixie":
            assert found.settings["imap"]["auth_allow_cleartext"] == "no"
        else:
            assert found.settings["imap"]["disable_plaintext_auth"] == "yes"

    def test_no_setting_is_there_that_was_not_asked_for(self, found: Dovecot) -> None:
        for scope in found.settings.values():
            assert scope.keys() <= set(SETTINGS)

    def test_the_certificates_of_single_names_and_addresses_are_found(
        self, found: Dovecot, release: str
    ) -> None:
        sign = "" if release == "trixie" else "<"
        assert found.certificates_by_name == (
            f"{sign}/etc/ssl/mail/local.pem",
            f"{sign}/etc/ssl/mail/org.pem",
        )

    def test_every_file_of_a_certificate_is_named(self, found: Dovecot) -> None:
        assert set(certificate_paths(found)) == {
            "/etc/ssl/mail/local.pem",
            "/etc/ssl/mail/org.pem",
            "/etc/ssl/mail/pop3.pem",
            "/etc/ssl/mail/rsa.pem",
        }


@pytest.mark.parametrize("release", RELEASES)
def test_as_packaged(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    found = collected(monkeypatch, f"{release}/dovecot-as-packaged")
    assert set(found.listeners) == {
        DovecotListener("imap-login", "imap", 143, ALL, ssl=False),
        DovecotListener("imap-login", "imaps", 993, ALL, ssl=True),
        DovecotListener("pop3-login", "pop3", 110, ALL, ssl=False),
        DovecotListener("pop3-login", "pop3s", 995, ALL, ssl=True),
    }
    assert set(certificate_paths(found)) == {"/etc/dovecot/private/dovecot.pem"}
    assert found.certificates_by_name == ()


@pytest.mark.parametrize("release", RELEASES)
def test_without_tls_no_listener_for_it_is_left(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    found = collected(monkeypatch, f"{release}/dovecot-without-tls")
    assert {listener.name for listener in found.listeners} <= {"imap", "pop3"}
    assert DovecotListener("imap-login", "imap", 143, ALL, ssl=False) in found.listeners
    assert certificate_paths(found) == []


def test_a_protocol_that_is_switched_off_has_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    found = collected(monkeypatch, "trixie/dovecot-without-tls")
    assert list(found.settings) == ["imap"]
    assert [listener.service for listener in found.listeners] == ["imap-login"]


def test_not_installed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = command.NotInstalled("doveconf: not installed")
    monkeypatch.setattr(command, "run", lambda _: absent)
    assert dovecot() is None


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("failing", range(6))
def test_a_command_that_fails_makes_all_of_it_missing(
    monkeypatch: pytest.MonkeyPatch, release: str, failing: int
) -> None:
    replay = Replay(f"{release}/dovecot")
    argv = list(replay.answers)[failing]
    replay.answers[argv] = Missing("doveconf: fatal")
    monkeypatch.setattr(command, "run", replay)
    assert dovecot() == Missing("doveconf: fatal")
