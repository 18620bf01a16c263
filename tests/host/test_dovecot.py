import pytest

from mailwitness.evidence.host import Dovecot, DovecotListener
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.dovecot import SETTINGS, Found, cipher_lists, dovecot
from tests.host.replay import RELEASES, Replay

ALL = ("*", "::")


def asked(monkeypatch: pytest.MonkeyPatch, folder: str) -> Found:
    monkeypatch.setattr(command, "run", Replay(folder))
    found = dovecot()
    assert isinstance(found, Found)
    return found


def collected(monkeypatch: pytest.MonkeyPatch, folder: str) -> Dovecot:
    return asked(monkeypatch, folder).dovecot


def certificates(found: Found) -> set[str]:
    return {pair.certificate for pair in found.pairs}


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
            DovecotListener("imap-login", "imaps", 993, ALL, ssl=True, haproxy=False),
            DovecotListener("imap-login", "outer", 10993, outer, ssl=True, haproxy=False),
            DovecotListener("pop3-login", "pop3", 110, ALL, ssl=False, haproxy=False),
            DovecotListener("submission-login", "submission", 10587, ALL, ssl=False, haproxy=False),
        }
        if release == "trixie":
            expected.add(
                DovecotListener(
                    "submission-login", "submissions", 465, ALL, ssl=True, haproxy=False
                )
            )
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

    def test_what_filter_blocks_change_is_asked_for_each(
        self, found: Dovecot, release: str
    ) -> None:
        name, sign = ("ssl_server_cert_file", "") if release == "trixie" else ("ssl_cert", "<")
        by_filter = {
            (scope.local, scope.local_name): scope.settings[name]
            for scope in found.scopes
            if scope.protocol == "imap"
            and scope.remote is None
            and not isinstance(scope.settings, Missing)
        }
        assert by_filter.pop(("192.0.2.1", None)) == f"{sign}/etc/ssl/mail/local.pem"
        assert (None, "imap.example.org") in by_filter
        assert set(by_filter.values()) == {f"{sign}/etc/ssl/mail/org.pem"}

    def test_no_key_is_among_the_settings(self, found: Dovecot) -> None:
        for scope in found.scopes:
            if not isinstance(scope.settings, Missing):
                assert scope.settings.keys() <= set(SETTINGS)

    def test_every_list_of_ciphers_is_to_be_asked_about(self, found: Dovecot) -> None:
        expected = {scope["ssl_cipher_list"] for scope in found.settings.values()}
        assert {text for text, level in cipher_lists(found) if level is None} >= expected

    def test_every_file_of_a_certificate_is_named(
        self, monkeypatch: pytest.MonkeyPatch, release: str
    ) -> None:
        assert certificates(asked(monkeypatch, f"{release}/dovecot")) == {
            "/etc/ssl/mail/local.pem",
            "/etc/ssl/mail/org.pem",
            "/etc/ssl/mail/pop3.pem",
            "/etc/ssl/mail/rsa.pem",
        }


@pytest.mark.parametrize("release", RELEASES)
def test_as_packaged(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    packaged = asked(monkeypatch, f"{release}/dovecot-as-packaged")
    found = packaged.dovecot
    assert set(found.listeners) == {
        DovecotListener("imap-login", "imap", 143, ALL, ssl=False, haproxy=False),
        DovecotListener("imap-login", "imaps", 993, ALL, ssl=True, haproxy=False),
        DovecotListener("pop3-login", "pop3", 110, ALL, ssl=False, haproxy=False),
        DovecotListener("pop3-login", "pop3s", 995, ALL, ssl=True, haproxy=False),
    }
    assert certificates(packaged) == {"/etc/dovecot/private/dovecot.pem"}
    assert found.scopes == ()


@pytest.mark.parametrize("release", RELEASES)
def test_without_tls_no_listener_for_it_is_left(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    plain = asked(monkeypatch, f"{release}/dovecot-without-tls")
    found = plain.dovecot
    assert {listener.name for listener in found.listeners} <= {"imap", "pop3"}
    assert (
        DovecotListener("imap-login", "imap", 143, ALL, ssl=False, haproxy=False) in found.listeners
    )
    assert certificates(plain) == set()


def test_a_protocol_that_is_switched_off_has_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    found = collected(monkeypatch, "trixie/dovecot-without-tls")
    assert list(found.settings) == ["imap"]
    assert [listener.service for listener in found.listeners] == ["imap-login"]


def test_not_installed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = command.NotInstalled("doveconf: not installed")
    monkeypatch.setattr(command, "run", lambda _: absent)
    assert dovecot() is None


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("failing", range(3))
def test_a_command_that_fails_makes_all_of_it_missing(
    monkeypatch: pytest.MonkeyPatch, release: str, failing: int
) -> None:
    replay = Replay(f"{release}/dovecot")
    argv = list(replay.answers)[failing]
    replay.answers[argv] = Missing("doveconf: fatal")
    monkeypatch.setattr(command, "run", replay)
    assert dovecot() == Missing("doveconf: fatal")


@pytest.mark.parametrize("release", RELEASES)
def test_a_filter_block_that_fails_costs_itself_alone(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    replay = Replay(f"{release}/dovecot")
    argv = next(argv for argv in replay.answers if "local=192.0.2.1" in argv)
    replay.answers[argv] = Missing("doveconf: conflict")
    monkeypatch.setattr(command, "run", replay)
    found = dovecot()
    assert isinstance(found, Found)
    by_filter = {(scope.protocol, scope.local): scope.settings for scope in found.dovecot.scopes}
    assert by_filter["imap", "192.0.2.1"] == Missing("doveconf: conflict")
    assert not all(isinstance(settings, Missing) for settings in by_filter.values())
