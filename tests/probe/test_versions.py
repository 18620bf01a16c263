"""A look at versions alone, and what a closing proves there."""

import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Protocol, Starttls, TlsMode
from mailwitness.probe.conversations import Depth
from tests.lab.certificates import OAKLEY_GROUP_2
from tests.probe.looking import NEW_ALONE, PATIENT, look, session_of, usual, versions_of
from tests.probe.scripted import (
    GREETING,
    Peer,
    Script,
    context,
    converse,
    identity,
    serving,
    with_starttls,
    with_tls,
)

V = ssl.TLSVersion
NOT_ASKED = Missing("not asked for: a look at versions alone")
_DHE = 0x009E  # TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, of every offer that is not spared it


def offered(hello: bytes) -> tuple[int, tuple[int, ...]]:
    """The highest version up to 1.2 of a hello's record, and its suites."""
    at = 44 + hello[43]
    (size,) = struct.unpack_from("!H", hello, at)
    return int.from_bytes(hello[9:11], "big"), struct.unpack_from(f"!{size // 2}H", hello, at + 2)


class Closes:
    """As Dovecot 2.3: without an alert, at old versions or where it has no parameters for DHE."""

    def __init__(self, honest: Script, *, old: bool = False, dhe: bool = False) -> None:
        self._honest, self._old, self._dhe = honest, old, dhe

    def __call__(self, peer: Peer) -> None:
        hello = peer.connection.recv(4096, socket.MSG_PEEK)
        if hello[:1] != b"\x16":
            return
        version, suites = offered(hello)
        is_old = version < 0x0303
        if version > 0x0300 and not (self._old and is_old) and not (self._dhe and _DHE in suites):
            self._honest(peer)


class TestDepth:
    @pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
    @pytest.mark.parametrize("mode", ["starttls", "implicit"])
    def test_it_takes_a_connection_for_each_version(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        protocol: Protocol,
        mode: TlsMode,
    ) -> None:
        make = with_tls if mode == "implicit" else with_starttls
        with serving(make(protocol, context(tmp_path))) as server:
            usual(monkeypatch, server.port, protocol, mode)
            found = look(server.port, depth="versions")
        assert versions_of(found) == NEW_ALONE
        assert server.connections == 6
        assert found.reach.state == "open"

    def test_what_is_said_on_the_way_is_kept(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with serving(with_starttls("imap", context(tmp_path))) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            session = session_of(look(server.port, depth="versions", names=["a.example.com"]))
        assert session.greeting == "* OK ready"
        assert session.before_tls is not None
        assert not isinstance(session.before_tls, Missing)
        assert session.before_tls.says("LOGINDISABLED")
        assert session.starttls == Starttls("ready", "a2 OK begin")
        assert [chain.leaf for chain in session.chains] == [identity("mail.example.com").leaf]
        for left_out in (
            session.inside_tls,
            session.negotiation,
            session.features,
            session.injection,
        ):
            assert left_out == NOT_ASKED

    def test_without_starttls_nothing_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(with_starttls("imap", None)) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            session = session_of(look(server.port, depth="versions"))
        assert session.starttls == Starttls("not-offered", "")
        assert session.versions == ()
        assert session.chains == ()

    def test_nobody_there_is_no_session(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(lambda _: None) as server:
            port = server.port
        for mode in ("starttls", "implicit"):
            usual(monkeypatch, port, "imap", mode)
            found = look(port, depth="versions")
            assert found.session == Missing("no connection: connection refused")
            assert found.reach.state == "refused"

    def test_tls_where_clear_text_is_due(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with serving(with_tls("imap", context(tmp_path))) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            found = look(server.port, depth="versions")
        assert found.session == Missing("TLS from the first byte, where clear text is due")

    def test_clear_text_where_tls_is_due(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def script(peer: Peer) -> None:
            peer.send(GREETING["imap"])
            converse(peer, "imap")

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            session = session_of(look(server.port, depth="versions"))
        assert isinstance(session.inside_tls, Missing)
        assert session.inside_tls.reason.startswith("clear text, where TLS is due")
        assert {answer.accepted is True for answer in session.versions} == {False}


class TestClosings:
    @pytest.mark.parametrize("depth", ["versions", "brief"])
    def test_they_refuse_behind_a_control(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, depth: Depth
    ) -> None:
        with serving(Closes(with_tls("imap", context(tmp_path)), old=True)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth=depth)
        assert versions_of(found) == NEW_ALONE
        assert found.turned_away == 0

    @pytest.mark.parametrize("depth", ["versions", "brief"])
    def test_what_the_choice_of_a_suite_has_spoilt_is_found(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, depth: Depth
    ) -> None:
        tls = context(tmp_path, lowest=V.TLSv1)
        with serving(Closes(with_tls("imap", tls), dhe=True)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth=depth)
        assert versions_of(found) == {**NEW_ALONE, "TLSv1": True, "TLSv1.1": True}

    @pytest.mark.parametrize("depth", ["versions", "brief"])
    def test_where_no_first_hello_is_answered_it_is_the_choice_that_spoils_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, depth: Depth
    ) -> None:
        tls = context(tmp_path, highest=V.TLSv1_2)
        with serving(Closes(with_tls("imap", tls), dhe=True)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth=depth)
        assert versions_of(found) == {**NEW_ALONE, "TLSv1.3": False}
        assert found.turned_away == 0

    def test_old_versions_that_have_finite_field_suites_alone_are_found(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path, lowest=V.TLSv1, rsa_key=True)
        tls.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA:@SECLEVEL=0")
        parameters = tmp_path / "dh.pem"
        parameters.write_text(OAKLEY_GROUP_2)
        tls.load_dh_params(str(parameters))
        with serving(with_tls("imap", tls)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth="versions")
        assert versions_of(found) == {**NEW_ALONE, "TLSv1": True, "TLSv1.1": True}

    @pytest.mark.parametrize(
        ("ciphers", "server_order", "connections"),
        [
            ("ECDHE+AESGCM:ECDHE-RSA-AES128-SHA", False, 6),
            ("ECDHE-RSA-AES128-SHA:ECDHE+AESGCM", True, 6),
            # What it would choose for an old version is not known: one question and its control.
            ("ECDHE+AESGCM:ECDHE-RSA-AES128-SHA", True, 8),
        ],
    )
    def test_what_it_would_choose_for_an_old_version_need_not_be_asked(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        ciphers: str,
        server_order: bool,  # noqa: FBT001 - its own, as Dovecot's of Debian is not
        connections: int,
    ) -> None:
        tls = context(tmp_path, rsa_key=True)
        tls.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        if not server_order:
            tls.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        with serving(Closes(with_tls("imap", tls), old=True)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth="versions")
        assert versions_of(found) == NEW_ALONE
        assert server.connections == connections

    @pytest.mark.parametrize(
        ("ciphers", "connections"), [("AES128-SHA", 6), ("ECDHE-RSA-AES128-SHA", 8)]
    )
    def test_without_curves_it_may_have_to_choose_another(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ciphers: str, connections: int
    ) -> None:
        """SSLv3 has no extension for them."""
        tls = context(tmp_path, lowest=V.TLSv1, rsa_key=True)
        tls.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with serving(Closes(with_tls("imap", tls))) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth="versions")
        assert versions_of(found) == {**NEW_ALONE, "TLSv1": True, "TLSv1.1": True}
        assert server.connections == connections

    @pytest.mark.parametrize("places", [1, 2, 3, 4, 5])
    def test_at_a_door_that_lets_few_in_they_refuse_nothing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, places: int
    ) -> None:
        tls = context(tmp_path, lowest=V.TLSv1)
        free, turned_away = threading.Semaphore(places), 0
        honest = with_tls("imap", tls)

        def script(peer: Peer) -> None:
            nonlocal turned_away
            if not free.acquire(blocking=False):
                turned_away += 1
                return
            try:
                peer.pause()  # in its place, so that those who come together meet
                honest(peer)
            finally:
                free.release()

        limits = PATIENT._replace(paused=30, endpoint=60)
        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, limits, depth="versions")
        assert versions_of(found) == {**NEW_ALONE, "TLSv1": True, "TLSv1.1": True}
        assert found.turned_away > 0
        assert turned_away > 0

    def test_who_ends_the_oldest_for_a_new_one_has_not_refused_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """As the login process of Dovecot does where it has too many clients."""
        honest = with_tls("imap", context(tmp_path, lowest=V.TLSv1))
        waiting: list[socket.socket] = []
        lock = threading.Lock()

        def script(peer: Peer) -> None:
            end = peer.connection.dup()  # TLS takes the first one over
            with lock:
                waiting.append(end)
                oldest = waiting.pop(0) if len(waiting) > 3 else None
            if oldest is not None:
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            try:
                honest(peer)
            finally:
                with lock:
                    if end in waiting:
                        waiting.remove(end)
                end.close()

        limits = PATIENT._replace(paused=30, endpoint=60)
        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, limits, depth="versions")
        assert versions_of(found) == {**NEW_ALONE, "TLSv1": True, "TLSv1.1": True}

    def test_where_none_of_the_newest_is_answered_nothing_is_known(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving(lambda _: None) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, depth="versions")
        assert set(versions_of(found).values()) == {None}
