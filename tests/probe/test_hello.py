import asyncio
import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Reach, VersionAnswer, VersionName
from mailwitness.probe import answer as module
from mailwitness.probe.answer import NUMBERS, Alert, ServerHello
from mailwitness.probe.channel import (
    Channel,
    ChannelError,
    ClosedError,
    NotReachedError,
    SilentError,
)
from mailwitness.probe.conversations import BeforeHelloError
from mailwitness.probe.hello import client_hello, everything, say_hello
from mailwitness.probe.limits import Limits
from mailwitness.probe.stream import Stream
from mailwitness.probe.versions import judge

LIMITS = Limits(read=0.3)
RETRY = module._RETRY


def answer_to(
    answer: bytes, version: VersionName = "TLSv1.2", *, hang: bool = False, piece: int = 0
) -> "ServerHello | Alert":
    """What is made of these bytes, over a real connection; `hang`: it stays open after them."""

    async def ask() -> "ServerHello | Alert":
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.settimeout(0)
            _, stream = await asyncio.get_running_loop().create_connection(Stream, sock=ours)
            channel = Channel(stream, LIMITS)
            talking = asyncio.ensure_future(say_hello(channel, everything(version)))
            loop = asyncio.get_running_loop()
            await loop.sock_recv(theirs, 65536)
            with contextlib.suppress(OSError):
                for at in range(0, len(answer), piece or len(answer) or 1):
                    await loop.sock_sendall(theirs, answer[at : at + (piece or len(answer))])
                    await asyncio.sleep(0)
                if not hang:
                    theirs.shutdown(socket.SHUT_WR)
            try:
                return await talking
            finally:
                await channel.close()

    return asyncio.run(ask())


def said_after(version: VersionName, answer: bytes) -> bytes:
    """What the probe says between the answer to its hello and its end of the connection."""

    async def ask() -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.settimeout(0)
            _, stream = await asyncio.get_running_loop().create_connection(Stream, sock=ours)
            channel = Channel(stream, LIMITS)
            talking = asyncio.ensure_future(say_hello(channel, everything(version)))
            loop = asyncio.get_running_loop()
            await loop.sock_recv(theirs, 65536)
            await loop.sock_sendall(theirs, answer)
            await talking
            await channel.close()
            return await loop.sock_recv(theirs, 65536)

    return asyncio.run(ask())


def record(kind: int, payload: bytes, version: int = 0x0303) -> bytes:
    return struct.pack("!BHH", kind, version, len(payload)) + payload


def message(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def server_hello(
    version: int = 0x0303,
    suite: int = 0xC02F,
    *,
    random: bytes = b"R" * 32,
    session: bytes = b"",
    extensions: "bytes | None" = None,
) -> bytes:
    content = struct.pack("!H", version) + random + bytes([len(session)]) + session
    content += struct.pack("!HB", suite, 0)
    if extensions is not None:
        content += struct.pack("!H", len(extensions)) + extensions
    return message(2, content)


def certificates(*chain: bytes) -> bytes:
    inner = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    return message(11, len(inner).to_bytes(3, "big") + inner)


SUPPORTS_13 = struct.pack("!HHH", 43, 2, 0x0304)
DONE = message(14, b"")


class TestAnswer:
    @pytest.mark.parametrize("number", [0x0300, 0x0301, 0x0302, 0x0303])
    def test_a_server_hello_and_its_chain(self, number: int) -> None:
        messages = server_hello(number) + certificates(b"leaf", b"issuer") + DONE
        assert answer_to(record(22, messages, number)) == ServerHello(
            number, 0xC02F, retry=False, certificates=(b"leaf", b"issuer"), whole=True
        )

    def test_a_server_hello_of_tls_1_3_is_known_by_its_extension(self) -> None:
        extensions = struct.pack("!HH", 51, 2) + b"\x00\x1d" + SUPPORTS_13
        found = answer_to(
            record(22, server_hello(suite=0x1301, session=b"S" * 32, extensions=extensions))
        )
        assert found == ServerHello(
            *(0x0304, 0x1301, False, ()), extensions=(51, 43), group=0x1D, whole=True
        )
        assert found.proof == "ServerHello TLSv1.3, suite 0x1301"

    def test_a_hello_retry_request_is_known_by_its_random(self) -> None:
        hello = server_hello(suite=0x1302, random=RETRY, extensions=SUPPORTS_13)
        found = answer_to(record(22, hello), hang=True)
        assert found == ServerHello(*(0x0304, 0x1302, True, ()), extensions=(43,), whole=True)
        assert found.proof == "HelloRetryRequest TLSv1.3, suite 0x1302"

    def test_a_version_without_a_name_is_shown_as_its_number(self) -> None:
        found = answer_to(record(22, server_hello(0x7F1C) + DONE))
        assert found.proof == "ServerHello 0x7f1c, suite 0xc02f"

    @pytest.mark.parametrize("size", [1, 3, 7, 100])
    def test_messages_may_be_in_as_many_records_as_they_like(self, size: int) -> None:
        messages = server_hello() + certificates(b"L" * 300, b"I" * 200)
        records = b"".join(
            record(22, messages[at : at + size]) for at in range(0, len(messages), size)
        )
        found = answer_to(records)
        assert isinstance(found, ServerHello)
        assert found.certificates == (b"L" * 300, b"I" * 200)

    def test_bytes_may_come_one_at_a_time(self) -> None:
        found = answer_to(record(22, server_hello() + certificates(b"leaf")), piece=1)
        assert isinstance(found, ServerHello)
        assert found.certificates == (b"leaf",)

    def test_an_anonymous_suite_has_no_chain(self) -> None:
        found = answer_to(record(22, server_hello(suite=0xC018) + message(12, b"key")), hang=True)
        assert found == ServerHello(0x0303, 0xC018, retry=False, certificates=())

    @pytest.mark.parametrize("number", [40, 47, 70, 71, 86, 109])
    def test_an_alert_that_speaks_of_the_hello_refuses_it(self, number: int) -> None:
        found = answer_to(record(21, bytes([2, number])))
        assert found == Alert(number)
        assert found.refuses

    @pytest.mark.parametrize("number", [0, 10, 20, 22, 50, 80, 112, 255])
    def test_any_other_alert_does_not(self, number: int) -> None:
        found = answer_to(record(21, bytes([2, number])))
        assert isinstance(found, Alert)
        assert not found.refuses

    def test_a_warning_is_passed_over(self) -> None:
        warning = record(21, b"\x01\x70")
        found = answer_to(warning * 3 + record(22, server_hello() + certificates(b"leaf")))
        assert isinstance(found, ServerHello)

    def test_an_alert_behind_the_server_hello_says_what_cannot_be_used(self) -> None:
        found = answer_to(record(22, server_hello()) + record(21, b"\x02\x28"))
        assert found == Alert(40, ServerHello(0x0303, 0xC02F, retry=False, certificates=()))
        assert found.proof == "alert 40 handshake_failure after ServerHello TLSv1.2, suite 0xc02f"

    def test_a_chain_without_end_is_cut(self) -> None:
        found = answer_to(record(22, server_hello() + certificates(*[b"c"] * 100)))
        assert isinstance(found, ServerHello)
        assert len(found.certificates) == 16


class TestNoAnswer:
    @pytest.mark.parametrize(
        "said",
        [
            b"220 mail ESMTP\r\n",
            b"* BAD command\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x00" * 64,
            b"\xff" * 64,
            record(23, b"application data"),
            record(22, server_hello(), 0x0200),
            struct.pack("!BHH", 22, 0x0303, 65535),
        ],
    )
    def test_what_is_not_tls_is_shown(self, said: bytes) -> None:
        with pytest.raises(ChannelError, match="not TLS: it begins"):
            answer_to(said)

    def test_to_close_without_a_word_is_no_broken_answer(self) -> None:
        with pytest.raises(ClosedError, match=r"^connection closed$"):
            answer_to(b"")

    def test_an_answer_cut_off_anywhere_is_no_closing_without_a_word(self) -> None:
        whole = record(22, server_hello() + certificates(b"leaf"))
        for end in range(1, len(whole)):
            with pytest.raises(ChannelError, match="broke off") as caught:
                answer_to(whole[:end])
            assert not isinstance(caught.value, ClosedError)

    def test_half_a_message_in_a_whole_record_is_no_closing_without_a_word(self) -> None:
        with pytest.raises(ChannelError, match="broke off") as caught:
            answer_to(record(22, server_hello()[:20]))
        assert not isinstance(caught.value, ClosedError)

    @pytest.mark.parametrize("hang", [True, False])
    def test_a_version_that_was_chosen_stays_so_when_the_certificate_is_cut_off(
        self,
        hang: bool,  # noqa: FBT001
    ) -> None:
        chosen = record(22, server_hello())
        rest = record(22, certificates(b"leaf"))
        for end in (0, 3, 5, 9, len(rest) - 1):
            found = answer_to(chosen + rest[:end], hang=hang)
            assert found == ServerHello(0x0303, 0xC02F, retry=False, certificates=())

    def test_silence_is_no_closing(self) -> None:
        with pytest.raises(SilentError):
            answer_to(b"", hang=True)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x03",
            b"\x03\x03" + b"R" * 32,
            b"\x03\x03" + b"R" * 32 + b"\xff",
            b"\x03\x03" + b"R" * 32 + b"\x00\xc0\x2f\x00\xff\xff\x00",
            b"\x03\x03" + b"R" * 32 + b"\x00\xc0\x2f\x00\x00\x04\x00\x2b\x00\x02",
        ],
    )
    def test_a_broken_server_hello_is_said_to_be_one(self, content: bytes) -> None:
        with pytest.raises(ChannelError, match="ServerHello that cannot be read"):
            answer_to(record(22, message(2, content)))

    def test_a_flight_of_other_messages_has_an_end(self) -> None:
        with pytest.raises(ChannelError, match="bytes were sent"):
            answer_to(record(22, message(99, b"x" * 16000)) * 20)

    def test_warnings_and_empty_records_have_an_end(self) -> None:
        for endless in (record(21, b"\x01\x00"), record(22, b"")):
            with pytest.raises(ChannelError, match="more than 32 records that say nothing"):
                answer_to(endless * 100 + record(22, server_hello()))

    @given(st.binary(max_size=200))
    def test_any_bytes_are_an_answer_or_a_channel_error(self, said: bytes) -> None:
        with contextlib.suppress(ChannelError):
            answer_to(said)

    @given(st.binary(max_size=120))
    def test_any_messages_are_an_answer_or_a_channel_error(self, said: bytes) -> None:
        with contextlib.suppress(ChannelError):
            answer_to(record(22, said))
        with contextlib.suppress(ChannelError):
            answer_to(record(22, message(2, said) + message(11, said)))


class TestFarewell:
    @pytest.mark.parametrize(
        ("version", "hello", "expected"),
        [
            ("TLSv1", server_hello(0x0301), b"\x15\x03\x01\x00\x02\x01\x00"),
            ("TLSv1.2", server_hello(0x0303), b"\x15\x03\x03\x00\x02\x01\x00"),
            (
                "TLSv1.3",
                server_hello(random=RETRY, extensions=SUPPORTS_13),
                b"\x15\x03\x03\x00\x02\x01\x00",
            ),
        ],
    )
    def test_it_is_of_the_version_agreed_on(
        self, version: VersionName, hello: bytes, expected: bytes
    ) -> None:
        assert said_after(version, record(22, hello + certificates(b"leaf"))) == expected

    def test_a_server_that_refused_is_told_nothing_more(self) -> None:
        assert said_after("TLSv1", record(21, b"\x02\x46")) == b""


class TestClientHello:
    @pytest.mark.parametrize("version", NUMBERS)
    def test_the_lengths_are_right(self, version: VersionName) -> None:
        hello = client_hello(everything(version))
        assert hello[0] == 22
        assert int.from_bytes(hello[3:5], "big") == len(hello) - 5
        assert hello[5] == 1
        assert int.from_bytes(hello[6:9], "big") == len(hello) - 9

    @pytest.mark.parametrize("version", list(NUMBERS)[1:])
    def test_the_server_name_is_in_it(self, version: VersionName) -> None:
        assert b"mail.example.com" in client_hello(everything(version, "mail.example.com"))

    def test_a_name_of_other_letters_is_encoded(self) -> None:
        assert b"xn--bcher-kva.example" in client_hello(everything("TLSv1.2", "bücher.example"))

    @pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1", "::1"])
    def test_an_address_is_never_in_it(self, name: str) -> None:
        named = client_hello(everything("TLSv1.2", name))
        assert len(named) == len(client_hello(everything("TLSv1.2")))
        assert name.encode() not in named

    def test_the_root_s_dot_is_not_part_of_the_name(self) -> None:
        found = client_hello(everything("TLSv1.2", "mail.example.com."))
        assert struct.pack("!H", 16) + b"mail.example.com" + b"\x00\x0a" in found

    def test_sslv3_has_no_extensions(self) -> None:
        assert b"example" not in client_hello(everything("SSLv3", "mail.example.com"))

    def test_no_two_are_alike(self) -> None:
        assert len({client_hello(everything("TLSv1.3")) for _ in range(10)}) == 10


class TestJudgement:
    def test_the_version_asked_for_is_accepted(self) -> None:
        hello = ServerHello(0x0303, 0xC02F, retry=False, certificates=())
        assert judge("TLSv1.2", hello, works=True) == VersionAnswer(
            "TLSv1.2", accepted=True, proof="ServerHello TLSv1.2, suite 0xc02f"
        )

    @pytest.mark.parametrize("number", [0x0300, 0x0301, 0x0302, 0x0304, 0x7F1C])
    def test_another_version_is_a_refusal(self, number: int) -> None:
        hello = ServerHello(number, 0xC02F, retry=False, certificates=())
        assert judge("TLSv1.2", hello, works=True).accepted is False

    @pytest.mark.parametrize("works", [True, False])
    def test_an_alert_is_the_servers_word_whatever_else_works(self, works: bool) -> None:  # noqa: FBT001
        assert judge("TLSv1", Alert(70), works=works) == VersionAnswer(
            "TLSv1", accepted=False, proof="alert 70 protocol_version"
        )

    def test_an_alert_of_trouble_proves_nothing(self) -> None:
        found = judge("TLSv1", Alert(80), works=True)
        assert found.accepted == Missing("alert 80 says nothing of versions")

    def test_closing_is_a_refusal_where_another_hello_was_answered(self) -> None:
        closed = ClosedError("connection closed")
        assert judge("SSLv3", closed, works=True).accepted is False
        assert judge("SSLv3", closed, works=False).accepted == Missing("connection closed")

    @pytest.mark.parametrize(
        "trouble",
        [
            SilentError("nothing came for 10 s"),
            ChannelError("the answer to the hello is not TLS"),
            BeforeHelloError("connection closed"),
            NotReachedError(Reach("refused", "connection refused", 0.0, "127.0.0.1")),
        ],
    )
    @pytest.mark.parametrize("works", [True, False])
    def test_any_other_trouble_is_not_known(
        self,
        trouble: "ChannelError | NotReachedError",
        works: bool,  # noqa: FBT001
    ) -> None:
        found = judge("SSLv3", trouble, works=works)
        assert found == VersionAnswer("SSLv3", accepted=Missing(str(trouble)), proof="")
