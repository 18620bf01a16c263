import contextlib
import errno
import socket
import ssl
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Capabilities, Protocol, Starttls, TlsMode
from mailwitness.probe.conversations import Endpoint
from mailwitness.probe.observe import observe
from mailwitness.probe.run import Manner, probe
from mailwitness.probe.targets import Target
from tests.probe.looking import HASTY, look, session_of, usual, versions_of
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

PROTOCOLS: tuple[Protocol, ...] = ("imap", "pop3", "smtp")
V = ssl.TLSVersion
REFUSED = {
    "SSLv2": False,
    "SSLv3": False,
    "TLSv1": False,
    "TLSv1.1": False,
    "TLSv1.2": False,
    "TLSv1.3": False,
}


class TestWholeConversation:
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_starttls(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocol: Protocol
    ) -> None:
        with serving(with_starttls(protocol, context(tmp_path))) as server:
            usual(monkeypatch, server.port, protocol, "starttls")
            found = look(server.port)
        session = session_of(found)
        assert found.reach.state == "open"
        assert session.starttls is not None
        assert session.starttls.state == "ready"
        assert isinstance(session.before_tls, Capabilities)
        assert session.before_tls.mechanisms == ()
        assert isinstance(session.inside_tls, Capabilities)
        assert session.inside_tls.mechanisms == ("LOGIN", "PLAIN")
        assert versions_of(found) == {**REFUSED, "TLSv1.2": True, "TLSv1.3": True}

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_tls_from_the_first_byte(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocol: Protocol
    ) -> None:
        with serving(with_tls(protocol, context(tmp_path))) as server:
            usual(monkeypatch, server.port, protocol, "implicit")
            found = look(server.port)
        session = session_of(found)
        assert (session.before_tls, session.starttls) == (None, None)
        expected = GREETING[protocol].decode().rstrip()
        assert session.greeting == expected
        assert isinstance(session.inside_tls, Capabilities)
        assert session.inside_tls.mechanisms == ("LOGIN", "PLAIN")
        assert versions_of(found) == {**REFUSED, "TLSv1.2": True, "TLSv1.3": True}

    def test_an_ipv6_address(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with serving(with_starttls("smtp", context(tmp_path)), "::1") as server:
            usual(monkeypatch, server.port, "smtp", "starttls")
            (found,) = observe([Endpoint("::1", server.port, ())])
        assert session_of(found).chains[0].leaf == identity("mail.example.com").leaf

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("mode", ["starttls", "implicit"])
    def test_an_unusual_port_is_recognised(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        protocol: Protocol,
        mode: TlsMode,
    ) -> None:
        monkeypatch.setattr("mailwitness.probe.observe._SILENCE", 0.3)
        tls = context(tmp_path)
        script = with_tls(protocol, tls) if mode == "implicit" else with_starttls(protocol, tls)
        with serving(script) as server:
            found = look(server.port)
        assert (found.protocol, found.tls) == (protocol, mode)
        assert versions_of(found)["TLSv1.2"] is True


class TestVersions:
    @pytest.mark.parametrize(
        ("lowest", "highest", "accepted"),
        [
            (V.TLSv1, V.TLSv1, {"TLSv1"}),
            (V.TLSv1_1, V.TLSv1_1, {"TLSv1.1"}),
            (V.TLSv1_2, V.TLSv1_2, {"TLSv1.2"}),
            (V.TLSv1_3, V.TLSv1_3, {"TLSv1.3"}),
            (V.TLSv1, V.TLSv1_3, {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}),
        ],
    )
    @pytest.mark.parametrize("mode", ["starttls", "implicit"])
    def test_exactly_those_that_the_server_has_are_accepted(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        lowest: ssl.TLSVersion,
        highest: ssl.TLSVersion,
        accepted: set[str],
        mode: TlsMode,
    ) -> None:
        tls = context(tmp_path, lowest=lowest, highest=highest)
        script = with_tls("imap", tls) if mode == "implicit" else with_starttls("imap", tls)
        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", mode)
            found = look(server.port)
        assert versions_of(found) == {name: name in accepted for name in REFUSED}
        assert all(answer.proof for answer in session_of(found).versions)
        assert session_of(found).chains[0].leaf == identity("mail.example.com").leaf

    def test_a_server_that_closes_at_any_other_version_refuses_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)

        def script(peer: Peer) -> None:
            hello = peer.connection.recv(4096, 2)  # MSG_PEEK
            if b"\x00\x2b\x00\x03\x02\x03\x04" in hello or b"\x02\x03\x04\x03\x03" in hello:
                with_tls("imap", tls)(peer)

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port)
        assert versions_of(found) == {**REFUSED, "TLSv1.3": True}
        proof = session_of(found).versions[0].proof
        assert "in answer to the hello" in proof

    def test_a_server_that_only_ever_closes_has_refused_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving(lambda _: None) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port)
        assert set(versions_of(found).values()) == {None}

    def test_a_server_that_chooses_a_version_and_then_closes_has_not_refused_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)
        hello = b"\x03\x02" + b"R" * 32 + b"\x00\xc0\x13\x00"

        def script(peer: Peer) -> None:
            version = peer.connection.recv(4096, 2)[9:11]
            if version == b"\x03\x02":  # TLS 1.1: it chooses and goes
                peer.hello()
                peer.send(b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26" + hello)
            elif version == b"\x03\x01":  # TLS 1.0: it goes in the middle of a record
                peer.hello()
                peer.send(b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26")
            else:
                with_tls("imap", tls)(peer)

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port)
        expected = {**REFUSED, "TLSv1": None, "TLSv1.1": True, "TLSv1.2": True, "TLSv1.3": True}
        assert versions_of(found) == expected

    def test_a_server_that_drips_at_a_version_costs_that_version_alone(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)

        def script(peer: Peer) -> None:
            if peer.connection.recv(4096, 2)[9:11] == b"\x03\x00":
                peer.send(b"\x16\x03\x00\x40\x00")
                while peer.pause():
                    peer.send(b"x")
            with_tls("imap", tls)(peer)

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, HASTY)
        assert session_of(found).accepts("SSLv3") == Missing("no end within 2 s")
        assert session_of(found).accepted_versions == ("TLSv1.2", "TLSv1.3")

    @pytest.mark.parametrize(
        ("group", "lowest"),
        [
            ("X448", V.TLSv1_3),
            ("secp521r1", V.TLSv1_3),
            ("ffdhe2048", V.TLSv1_3),
            ("brainpoolP256r1", V.TLSv1_2),
            ("secp256k1", V.TLSv1_2),
        ],
    )
    def test_a_server_of_one_rare_group_is_understood(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        group: str,
        lowest: ssl.TLSVersion,
    ) -> None:
        tls = context(tmp_path, lowest=lowest, highest=lowest)
        try:
            tls.set_ecdh_curve(group)
        except (ValueError, ssl.SSLError):
            pytest.skip(f"the local OpenSSL has no {group}")
        with serving(with_tls("imap", tls)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port)
        name = "TLSv1.3" if lowest == V.TLSv1_3 else "TLSv1.2"
        assert versions_of(found)[name] is True

    def test_a_server_that_is_silent_at_a_version_has_not_refused_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)

        def script(peer: Peer) -> None:
            if peer.connection.recv(4096, 2)[9:11] == b"\x03\x00":
                peer.hang()
            with_tls("imap", tls)(peer)

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, HASTY)
        answers = versions_of(found)
        assert answers["SSLv3"] is None
        assert answers["TLSv1.2"] is True


class TestChains:
    @pytest.mark.parametrize("highest", [V.TLSv1_2, V.TLSv1_3])
    @pytest.mark.parametrize("lowest", [V.TLSv1_2, V.TLSv1_3])
    def test_each_name_has_its_own(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        lowest: ssl.TLSVersion,
        highest: ssl.TLSVersion,
    ) -> None:
        if lowest > highest:
            lowest, highest = highest, lowest
        by_name = {
            name: context(tmp_path, name, lowest, highest)
            for name in ("a.example.com", "b.example.com")
        }
        default = context(tmp_path, "mail.example.com", lowest, highest)

        def choose(
            opened: "ssl.SSLSocket | ssl.SSLObject", name: "str | None", _: ssl.SSLContext
        ) -> None:
            if name in by_name:
                opened.context = by_name[name]

        default.sni_callback = choose
        with serving(with_starttls("smtp", default)) as server:
            usual(monkeypatch, server.port, "smtp", "starttls")
            found = look(server.port, names=("a.example.com", "b.example.com", "c.example.com"))
        served = {chain.server_name: chain for chain in session_of(found).chains}
        assert {name: chain.leaf for name, chain in served.items()} == {
            None: identity("mail.example.com").leaf,
            "a.example.com": identity("a.example.com").leaf,
            "b.example.com": identity("b.example.com").leaf,
            "c.example.com": identity("mail.example.com").leaf,
        }
        assert served["a.example.com"].intermediates == identity("a.example.com").issuers

    def test_a_name_that_the_server_will_not_have_is_missing_alone(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)

        def choose(_: object, name: "str | None", __: ssl.SSLContext) -> "int | None":
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name else None

        tls.sni_callback = choose
        with serving(with_tls("imap", tls)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, names=("a.example.com",))
        unnamed, named = session_of(found).chains
        assert unnamed.leaf == identity("mail.example.com").leaf
        assert named.leaf == Missing("no certificate came: alert 112")

    @pytest.mark.parametrize("lowest", [V.TLSv1_2, V.TLSv1_3])
    @pytest.mark.parametrize("name", ["x" * 64 + ".example", "a..example", ""])
    def test_a_name_that_no_hello_can_carry_is_missing_alone(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        name: str,
        lowest: ssl.TLSVersion,
    ) -> None:
        with serving(with_tls("imap", context(tmp_path, lowest=lowest))) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, names=(name,))
        unnamed, named = session_of(found).chains
        assert unnamed.leaf == identity("mail.example.com").leaf
        assert isinstance(named.leaf, Missing)

    def test_no_name_is_asked_for_where_clients_are_told_an_address(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)
        asked: list[str | None] = []
        tls.sni_callback = lambda _, name, __: asked.append(name)
        with serving(with_tls("imap", tls)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port, names=("192.0.2.1", "2001:db8::1"))
        unnamed, *others = session_of(found).chains
        assert [chain.server_name for chain in others] == ["192.0.2.1", "2001:db8::1"]
        assert {chain.leaf for chain in others} == {unnamed.leaf}
        assert set(asked) == {None}

    @pytest.mark.parametrize(("lowest", "expected"), [(V.TLSv1_2, 9), (V.TLSv1_3, 9)])
    def test_it_takes_a_connection_for_each_version_and_name_and_one_to_converse(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        lowest: ssl.TLSVersion,
        expected: int,
    ) -> None:
        with serving(with_starttls("imap", context(tmp_path, lowest=lowest))) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            names = ("a.example.com", "b.example.com", "a.example.com", "192.0.2.1")
            found = look(server.port, names=names)
        assert session_of(found).chains[0].leaf == identity("mail.example.com").leaf
        assert server.connections == expected


class TestStarttls:
    @pytest.mark.parametrize(
        ("protocol", "offer", "answer"),
        [
            ("smtp", b"250-mail\r\n250 STARTTLS\r\n", b"454 4.7.0 TLS not available"),
            ("imap", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK\r\n", b"a2 BAD TLS not available"),
            ("pop3", b"+OK\r\nSTLS\r\n.\r\n", b"-ERR TLS not available"),
        ],
    )
    def test_a_refusal_is_kept_with_its_words(
        self, monkeypatch: pytest.MonkeyPatch, protocol: Protocol, offer: bytes, answer: bytes
    ) -> None:
        def script(peer: Peer) -> None:
            peer.send(GREETING[protocol])
            peer.line()
            peer.send(offer)
            peer.line()
            peer.send(answer + b"\r\n")
            peer.line()

        with serving(script) as server:
            usual(monkeypatch, server.port, protocol, "starttls")
            session = session_of(look(server.port))
        assert session.starttls == Starttls("refused", answer.decode())
        assert session.offers_tls
        assert (session.versions, session.chains) == ((), ())
        assert isinstance(session.inside_tls, Missing)

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_one_that_is_not_offered_is_not_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, protocol: Protocol
    ) -> None:
        heard: list[bytes] = []

        def script(peer: Peer) -> None:
            peer.send(GREETING[protocol])
            converse(peer, protocol)

        def listening(peer: Peer) -> None:
            original = peer.line

            def line() -> bytes:
                heard.append(original())
                return heard[-1]

            monkeypatch.setattr(peer, "line", line)
            script(peer)

        with serving(listening) as server:
            usual(monkeypatch, server.port, protocol, "starttls")
            session = session_of(look(server.port))
        assert session.starttls == Starttls("not-offered", "")
        assert not session.offers_tls
        assert isinstance(session.before_tls, Capabilities)
        assert session.before_tls.mechanisms == ("LOGIN", "PLAIN")
        assert not any(b"STARTTLS" in line or b"STLS" in line for line in heard)
        assert not any(b"AUTH" in line or b"LOGIN" in line.split()[1:] for line in heard)

    def test_data_in_clear_after_the_answer_is_no_upgrade(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(peer: Peer) -> None:
            peer.send(GREETING["smtp"])
            peer.line()
            peer.send(b"250-mail\r\n250 STARTTLS\r\n")
            peer.line()
            peer.send(b"220 go\r\n250 injected\r\n")
            peer.hang()

        with serving(script) as server:
            usual(monkeypatch, server.port, "smtp", "starttls")
            session = session_of(look(server.port))
        assert session.starttls is not None
        assert session.starttls.state == "refused"
        assert "before any TLS" in session.starttls.detail

    @pytest.mark.parametrize(
        ("answer", "shown"),
        [
            (b"a1 BAD busy\r\n", "a1 BAD busy"),
            (b"a1 OK done\r\n", "a1 OK done"),
            (b"* CAPABILITY IMAP4rev1\r\na1 NO busy\r\n", "a1 NO busy"),
            (b"* BYE shutting down\r\n", "* BYE shutting down"),
        ],
    )
    def test_imap_capabilities_that_were_not_said_do_not_lack_it(
        self, monkeypatch: pytest.MonkeyPatch, answer: bytes, shown: str
    ) -> None:
        def script(peer: Peer) -> None:
            peer.send(GREETING["imap"])
            peer.line()
            peer.send(answer)
            peer.line()

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            session = session_of(look(server.port))
        assert session.before_tls == Missing(f"CAPABILITY answered {shown!r}")
        assert session.starttls == Starttls("unknown", "the capabilities are not known")

    @pytest.mark.parametrize(
        ("protocol", "offer"),
        [
            ("imap", b"* CAPABILITY IMAP4rev1" + b" X-MORE" * 1000 + b" STARTTLS\r\na1 OK\r\n"),
            ("smtp", b"250-mail\r\n250-X-" + b"x" * 4000 + b"\r\n250 STARTTLS\r\n"),
        ],
    )
    def test_it_may_be_offered_at_the_end_of_much_else(
        self, monkeypatch: pytest.MonkeyPatch, protocol: Protocol, offer: bytes
    ) -> None:
        def script(peer: Peer) -> None:
            peer.send(GREETING[protocol])
            peer.line()
            peer.send(offer)
            peer.line()

        with serving(script) as server:
            usual(monkeypatch, server.port, protocol, "starttls")
            session = session_of(look(server.port))
        assert session.offers_tls

    def test_what_the_greeting_says_of_capabilities_is_not_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        heard: list[bytes] = []
        tls = context(tmp_path)

        def script(peer: Peer) -> None:
            peer.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n")
            heard.append(peer.line())
            if heard[-1]:
                peer.send(b"a2 OK begin\r\n")
                inner = peer.start_tls(tls)
                try:
                    converse(inner, "imap")
                finally:
                    inner.close()

        with serving(script) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            session = session_of(look(server.port))
        assert set(heard) == {b"a2 STARTTLS"}
        assert session.before_tls == Capabilities(("IMAP4rev1", "STARTTLS", "LOGINDISABLED"))
        # What was said in clear is no word of the server: inside it is asked again.
        assert session.inside_tls == Capabilities(("IMAP4rev1", "AUTH=PLAIN", "AUTH=LOGIN"))

    def test_capabilities_that_are_refused_leave_it_unknown(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(peer: Peer) -> None:
            peer.send(GREETING["smtp"])
            peer.line()
            peer.send(b"502 not implemented\r\n")
            peer.line()

        with serving(script) as server:
            usual(monkeypatch, server.port, "smtp", "starttls")
            session = session_of(look(server.port))
        assert session.starttls == Starttls("unknown", "the capabilities are not known")
        assert session.before_tls == Missing("EHLO answered '502 not implemented'")


class TestGreeting:
    def test_one_of_several_lines_that_come_slowly_is_heard_to_its_end(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path)

        def script(peer: Peer) -> None:
            for part in (
                b"220-mail.exam",
                b"ple.com\r\n220",
                b"-please wait\r",
                b"\n220 ESMTP\r\n",
            ):
                peer.send(part)
                peer.pause()
            converse(peer, "smtp", tls=tls)

        with serving(script) as server:
            usual(monkeypatch, server.port, "smtp", "starttls")
            found = look(server.port)
        assert session_of(found).greeting == "220-mail.example.com\n220-please wait\n220 ESMTP"
        assert versions_of(found)["TLSv1.3"] is True

    @pytest.mark.parametrize(
        ("protocol", "said"),
        [
            ("imap", b"220 mail ESMTP\r\n"),
            ("smtp", b"* OK ready\r\n"),
            ("smtp", b"554 no service\r\n"),
            ("pop3", b"-ERR go away\r\n"),
            ("imap", b"SSH-2.0-OpenSSH_9.2\r\n"),
            ("imap", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ],
    )
    def test_another_protocol_is_no_session(
        self, monkeypatch: pytest.MonkeyPatch, protocol: Protocol, said: bytes
    ) -> None:
        def script(peer: Peer) -> None:
            peer.send(said)
            peer.line()

        with serving(script) as server:
            usual(monkeypatch, server.port, protocol, "starttls")
            found = look(server.port)
        assert found.reach.state == "open"
        assert isinstance(found.session, Missing)
        assert found.session.reason.startswith(("no such greeting", "turned away"))

    def test_a_protocol_that_is_none_of_mail_is_not_recognised(self) -> None:
        def script(peer: Peer) -> None:
            peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")
            peer.line()

        with serving(script) as server:
            found = look(server.port)
        assert isinstance(found.session, Missing)
        assert "neither IMAP, POP3 nor SMTP" in found.session.reason

    def test_clear_text_where_tls_is_due_is_no_tls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(with_starttls("imap", None)) as server:
            usual(monkeypatch, server.port, "imap", "implicit")
            found = look(server.port)
        session = session_of(found)
        assert session.inside_tls == Missing("clear text, where TLS is due: '* OK ready'")
        assert session.greeting == session.inside_tls
        assert set(versions_of(found).values()) == {None}
        assert session.chains == ()


def test_tls_where_clear_text_is_due_is_said_to_be_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(with_tls("imap", context(tmp_path))) as server:
        usual(monkeypatch, server.port, "imap", "starttls")
        found = look(server.port, HASTY)
    assert found.session == Missing("TLS from the first byte, where clear text is due")


class TestReach:
    def test_a_port_that_nobody_listens_on_is_refused(self) -> None:
        with serving(lambda _: None) as server:
            port = server.port
        found = look(port)
        assert found.reach.state == "refused"
        assert found.session == Missing("no connection: connection refused")

    @pytest.mark.parametrize(
        ("number", "state"),
        [
            (errno.ECONNREFUSED, "refused"),
            (errno.ECONNRESET, "reset"),
            (errno.ETIMEDOUT, "filtered"),
            (errno.EHOSTUNREACH, "unreachable"),
            (errno.ENETUNREACH, "unreachable"),
            (errno.EACCES, "unreachable"),
            (errno.EPERM, "error"),
            (errno.EADDRNOTAVAIL, "error"),
            (errno.EMFILE, "error"),
        ],
    )
    def test_what_the_kernel_says_of_it_is_an_outcome(
        self, monkeypatch: pytest.MonkeyPatch, number: int, state: str
    ) -> None:
        monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: number)
        found = look(143, HASTY)
        assert found.reach.state == state
        assert found.session == Missing(f"no connection: {found.reach.detail}")

    def test_no_answer_at_all_is_a_filter_and_the_source_is_known(self) -> None:
        with contextlib.ExitStack() as open_ones:
            full = open_ones.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            open_ones.enter_context(socket.create_connection(full.getsockname()))
            found = look(full.getsockname()[1], HASTY)
        assert found.reach.state == "filtered"
        assert found.reach.detail == "nothing came back within 0.5 s"
        assert 400 < found.reach.milliseconds < 2000
        assert found.reach.source_address == "127.0.0.1"

    @pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.7"])
    def test_the_source_is_the_address_that_the_server_sees(self, source: str) -> None:
        seen: list[str] = []
        with serving(lambda peer: seen.append(peer.connection.getpeername()[0])) as server:
            target = Target("mail1", "127.0.0.1", (), (server.port,))
            (found,) = probe([target], "here", HASTY, Manner((source,)))
        assert isinstance(found.observations, tuple)
        assert {found.observations[0].reach.source_address, *seen} == {source}

    def test_without_a_way_there_is_no_source(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.ENETUNREACH)
        assert isinstance(look(143, HASTY).reach.source_address, Missing)

    def test_a_good_endpoint_beside_a_bad_one_is_observed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        good: Script = with_starttls("imap", context(tmp_path))
        with serving(Peer.hang) as bad, serving(good) as server:
            usual(monkeypatch, bad.port, "imap", "starttls")
            usual(monkeypatch, server.port, "imap", "starttls")
            ports = (bad.port, server.port)
            found = observe([Endpoint("127.0.0.1", port, ()) for port in ports], HASTY)
        assert found[0].session == Missing("nothing came for 0.5 s")
        assert versions_of(found[1])["TLSv1.2"] is True


def test_a_server_too_busy_for_starttls_has_said_nothing_of_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy(peer: Peer) -> None:
        peer.send(GREETING["smtp"])
        peer.line()
        peer.send(b"250-mail\r\n250 STARTTLS\r\n")
        peer.line()
        peer.send(b"421 4.7.0 too busy\r\n")

    with serving(busy) as server:
        usual(monkeypatch, server.port, "smtp", "starttls")
        upgrade = session_of(look(server.port)).starttls
    assert upgrade is not None
    assert (upgrade.state, upgrade.detail) == ("unknown", "turned away: '421 4.7.0 too busy'")


def test_a_server_that_turns_the_client_away_is_no_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(peer: Peer) -> None:
        peer.send(b"* BYE too many connections\r\n")

    with serving(away) as server:
        usual(monkeypatch, server.port, "imap", "starttls")
        seen = look(server.port).session
    assert isinstance(seen, Missing)
    assert "BYE too many connections" in seen.reason
