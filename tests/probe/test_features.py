"""What real servers say beside their choice, and how SSL 2.0 is told from its refusal."""

import asyncio
import contextlib
import socket
import ssl
import struct
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Features, VersionName
from mailwitness.probe.answer import Alert, Answer, ServerHello
from mailwitness.probe.channel import Channel, ChannelError, ClosedError, SilentError
from mailwitness.probe.features import features
from mailwitness.probe.hello import Offer
from mailwitness.probe.limits import Limits
from mailwitness.probe.sslv2 import SSLV2, HelloOfSslv2, say_hello_of_sslv2
from mailwitness.probe.stream import Stream
from tests.probe.looking import look, session_of, usual
from tests.probe.scripted import context, serving, with_tls

V = ssl.TLSVersion


def of_server(monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext) -> Features:
    with serving(with_tls("imap", tls)) as server:
        usual(monkeypatch, server.port, "imap", "implicit")
        found = session_of(look(server.port, depth="full")).features
    assert isinstance(found, Features)
    return found


class TestRealServers:
    def test_one_of_today(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert of_server(monkeypatch, context(tmp_path)) == Features(
            secure_renegotiation=True,
            compression=False,
            session_tickets=True,
            extended_master_secret=True,
            encrypt_then_mac=True,
            ocsp_stapling=False,
            client_certificate=False,
            fallback_scsv=True,
        )

    def test_one_that_asks_for_certificates_and_has_no_tickets(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        tls = context(tmp_path, highest=V.TLSv1_2)
        tls.verify_mode = ssl.CERT_OPTIONAL
        tls.load_verify_locations(tmp_path / "mail.example.com.pem")
        tls.options |= ssl.OP_NO_TICKET
        tls.set_ciphers("ECDHE+AESGCM")
        found = of_server(monkeypatch, tls)
        assert found.client_certificate is True
        assert found.session_tickets is False
        assert found.encrypt_then_mac is None  # no suite of CBC
        assert found.fallback_scsv is None  # one version alone

    def test_one_of_tls_1_3_alone_has_none_of_them(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        found = of_server(monkeypatch, context(tmp_path, lowest=V.TLSv1_3))
        assert found == Features(None, None, None, None, None, None, None, None)


class TestFallback:
    OLD = ServerHello(0x0302, 0x002F, retry=False, certificates=(), whole=True)
    NEW = ServerHello(0x0303, 0x002F, retry=False, certificates=(), whole=True)

    def ask(self, fallback: Answer, control: Answer) -> object:
        answers: dict[VersionName, Answer] = {"TLSv1.1": self.OLD, "TLSv1.2": self.NEW}

        async def ask(offer: Offer) -> Answer:
            if offer.version == "TLSv1.2":
                return Alert(40)  # to suites of CBC alone
            return fallback if offer.fallback else control

        return asyncio.run(features(ask, answers)).fallback_scsv

    def test_the_alert_made_for_it(self) -> None:
        assert self.ask(Alert(86), SilentError("")) is True

    def test_a_handshake_that_goes_on(self) -> None:
        assert self.ask(self.OLD, SilentError("")) is False

    def test_a_closing_where_the_same_hello_without_it_is_answered(self) -> None:
        assert self.ask(ClosedError("closed"), self.OLD) is True

    @pytest.mark.parametrize("control", [ClosedError("closed"), SilentError("nothing")])
    def test_a_closing_of_a_server_that_always_closes_now(self, control: Answer) -> None:
        assert isinstance(self.ask(ClosedError("closed"), control), Missing)

    def test_another_alert_and_silence_prove_nothing(self) -> None:
        assert isinstance(self.ask(Alert(40), self.OLD), Missing)
        assert isinstance(self.ask(SilentError("nothing"), self.OLD), Missing)


class TestSslv2:
    def answer_to(self, said: bytes) -> "HelloOfSslv2 | Alert":
        async def ask() -> "HelloOfSslv2 | Alert":
            ours, theirs = socket.socketpair()
            with theirs:
                theirs.settimeout(0)
                _, stream = await asyncio.get_running_loop().create_connection(Stream, sock=ours)
                channel = Channel(stream, Limits(read=0.3))
                talking = asyncio.ensure_future(say_hello_of_sslv2(channel))
                loop = asyncio.get_running_loop()
                hello = await loop.sock_recv(theirs, 65536)
                assert struct.unpack_from("!HBH", hello) == (0x8000 | len(hello) - 2, 1, SSLV2)
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(theirs, said)
                    theirs.shutdown(socket.SHUT_WR)
                try:
                    return await talking
                finally:
                    await channel.close()

        return asyncio.run(ask())

    def test_its_server_hello(self) -> None:
        said = (
            b"\x04\x00\x01" + struct.pack("!HHHH", SSLV2, 3, 3, 16) + b"der\x07\x00\xc0" + b"C" * 16
        )
        found = self.answer_to(struct.pack("!H", 0x8000 | len(said)) + said)
        assert found == HelloOfSslv2(SSLV2)

    def test_its_error_refuses(self) -> None:
        assert self.answer_to(b"\x80\x03\x00\x00\x01") == HelloOfSslv2(None)

    def test_the_alert_of_a_newer_protocol(self) -> None:
        assert self.answer_to(b"\x15\x03\x01\x00\x02\x02\x46") == Alert(70)

    def test_a_closing_without_a_word_is_one(self) -> None:
        with pytest.raises(ClosedError):
            self.answer_to(b"")

    @pytest.mark.parametrize(
        "said", [b"\x15\x03", b"\x80", b"\x80\x05\x04", b"220 mail\r\n", b"\x80\x05\x09abcdef"]
    )
    def test_half_an_answer_or_another_protocol_is_neither(self, said: bytes) -> None:
        with pytest.raises(ChannelError) as caught:
            self.answer_to(said)
        assert not isinstance(caught.value, ClosedError)
