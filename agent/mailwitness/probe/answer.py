"""What a server answers to a hello: as much of its first flight as comes in clear."""

import contextlib
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import VersionName
from mailwitness.probe.channel import (
    Channel,
    ChannelError,
    ClosedError,
    FloodError,
    NotReachedError,
)
from mailwitness.probe.suites import SUITES

NUMBERS: dict[VersionName, int] = {
    "SSLv3": 0x0300,
    "TLSv1": 0x0301,
    "TLSv1.1": 0x0302,
    "TLSv1.2": 0x0303,
    "TLSv1.3": 0x0304,
}
_NAMES = {number: name for name, number in NUMBERS.items()}

_ALERT, _HANDSHAKE = 21, 22
# RFC 5246 §7.4 and RFC 6066 §8.
_SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE, _CERTIFICATE_REQUEST, _DONE = 2, 11, 12, 13, 14
_CERTIFICATE_STATUS = 22
_SUPPORTED_VERSIONS, _KEY_SHARE = 43, 51
_MAJOR = 3  # of every version from SSLv3 on
# RFC 8446 §4.1.3: the random of a ServerHello that is a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_WARNING = 1
_NAMED_CURVE = 3  # RFC 8422 §5.4
_MAX_RECORD = 16384 + 2048  # RFC 5246 §6.2.3
_MAX_IDLE = 32  # records that say nothing; OpenSSL's MAX_EMPTY_RECORDS
MAX_CERTIFICATES = 16

# RFC 8446 §6.2: those with which a server says that it will not have this hello. Others
# (80, internal_error) tell of trouble, not of a will.
_REFUSALS = {
    40: "handshake_failure",
    47: "illegal_parameter",
    70: "protocol_version",
    71: "insufficient_security",
    86: "inappropriate_fallback",
    109: "missing_extension",
}


class ServerHello(NamedTuple):
    """What the server chose, and what it sent with it as far as that is in clear.

    From TLS 1.3 on the hello alone is; without a certificate there are none.
    """

    version: int
    suite: int
    retry: bool
    certificates: tuple[bytes, ...]  # DER, as sent
    compression: int = 0
    extensions: tuple[int, ...] = ()  # that the server answered
    group: Optional[int] = None
    signature: Optional[int] = None
    dh_bits: Optional[int] = None  # the size of the prime
    stapled: bool = False
    asks_certificate: bool = False
    whole: bool = False  # all that is in clear has come: what is not in it was not sent

    @property
    def proof(self) -> str:
        """For the evidence."""
        kind = "HelloRetryRequest" if self.retry else "ServerHello"
        name = _NAMES.get(self.version, f"0x{self.version:04x}")
        return f"{kind} {name}, suite 0x{self.suite:04x}"


class Alert(NamedTuple):
    """The server's fatal alert.

    `after`: what the server had chosen before it found that it cannot; the handshake fails.
    """

    number: int
    after: Optional[ServerHello] = None

    @property
    def refuses(self) -> bool:
        """Whether it says that the server will not have this hello."""
        return self.number in _REFUSALS

    @property
    def proof(self) -> str:
        """For the evidence."""
        said = f"alert {self.number} {_REFUSALS.get(self.number, '')}".rstrip()
        return said if self.after is None else f"{said} after {self.after.proof}"


# To one hello, on a connection of its own.
Answer = Union[ServerHello, Alert, ChannelError, NotReachedError]


def accepted_among(answers: Mapping[VersionName, Answer]) -> dict[VersionName, ServerHello]:
    """The versions that were asked for and chosen, the oldest first."""
    return {
        version: answer
        for version, answer in answers.items()
        if isinstance(answer, ServerHello) and answer.version == NUMBERS[version]
    }


def unanswered(answer: Union[Alert, ChannelError, NotReachedError]) -> Missing:
    """That it was no choice, with what it was."""
    return Missing(answer.proof if isinstance(answer, Alert) else str(answer))


async def read_answer(channel: Channel) -> Union[ServerHello, Alert]:
    """To the end of the server's first flight, where that is in clear.

    Raises:
        ClosedError: the connection closed without a word.
        ChannelError: no answer, half of one, or one that is not TLS.
    """
    messages = bytearray()
    hello: Optional[ServerHello] = None
    idle = 0
    while idle <= _MAX_IDLE:
        try:
            kind, payload = await _read_record(channel)
        except ChannelError as error:
            if hello is not None and not isinstance(error, FloodError):
                return hello  # the choice was made, whatever became of the rest
            if messages and isinstance(error, ClosedError):
                raise ChannelError(f"the answer to the hello broke off: {error}") from None
            raise
        if kind == _ALERT:
            if len(payload) == 2 and payload[0] == _WARNING:  # noqa: PLR2004
                idle += 1
                continue
            return Alert(payload[-1] if payload else 0, hello)
        idle += not payload
        messages += payload
        for message, content in _take_messages(messages):
            hello = _with_message(hello, message, content)
            if hello is not None and hello.whole:
                return hello
    raise FloodError(f"more than {_MAX_IDLE} records that say nothing")


def _with_message(
    hello: Optional[ServerHello], message: int, content: bytes
) -> Optional[ServerHello]:
    if hello is None:
        return _parse_server_hello(content) if message == _SERVER_HELLO else None
    if message == _CERTIFICATE:
        return hello._replace(certificates=_parse_chain(content))
    if message == _CERTIFICATE_STATUS:
        return hello._replace(stapled=True)
    if message == _KEY_EXCHANGE:
        with contextlib.suppress(struct.error, IndexError):  # then what was chosen is not known
            return _with_key_exchange(hello, content)
    if message == _CERTIFICATE_REQUEST:
        return hello._replace(asks_certificate=True)
    if message == _DONE:
        return hello._replace(whole=True)
    return hello


def _with_key_exchange(hello: ServerHello, content: bytes) -> ServerHello:
    """RFC 5246 §7.4.3 and RFC 8422 §5.4: parameters, then the signature under them."""
    name = SUITES.get(hello.suite, "")
    if name.startswith(("TLS_ECDHE_", "TLS_ECDH_anon_")):
        kind, group, length = struct.unpack_from("!BHB", content)
        if kind != _NAMED_CURVE:
            return hello
        hello, at = hello._replace(group=group), 4 + length
    elif name.startswith(("TLS_DHE_", "TLS_DH_anon_")):
        at, prime = 0, b""
        for _ in range(3):  # prime, generator, public value
            (length,) = struct.unpack_from("!H", content, at)
            prime = prime or content[at + 2 : at + 2 + length]
            at += 2 + length
        hello = hello._replace(dh_bits=int.from_bytes(prime, "big").bit_length())
    else:
        return hello
    if hello.version >= NUMBERS["TLSv1.2"] and "_anon_" not in name:
        (signature,) = struct.unpack_from("!H", content, at)
        return hello._replace(signature=signature)
    return hello


async def _read_record(channel: Channel) -> tuple[int, bytes]:
    """The kind of the next record and what is in it.

    Raises:
        ClosedError: the connection closed where a record may begin.
        ChannelError: it broke off elsewhere, or this is no TLS.
    """
    try:
        head = await channel.exactly(5)
    except ClosedError as error:
        if channel.pending():
            raise ChannelError(f"the answer to the hello broke off: {error}") from None
        raise
    kind, version, length = struct.unpack("!BHH", head)
    if kind not in (_ALERT, _HANDSHAKE) or version >> 8 != _MAJOR or length > _MAX_RECORD:
        raise ChannelError(f"the answer to the hello is not TLS: it begins {head!a}")
    try:
        return kind, await channel.exactly(length)
    except ClosedError as error:
        raise ChannelError(f"the answer to the hello broke off: {error}") from None


def _take_messages(buffer: bytearray) -> Iterable[tuple[int, bytes]]:
    while len(buffer) >= 4:  # noqa: PLR2004
        length = int.from_bytes(buffer[1:4], "big")
        if len(buffer) < 4 + length:
            return
        kind, content = buffer[0], bytes(buffer[4 : 4 + length])
        del buffer[: 4 + length]
        yield kind, content


def _parse_server_hello(content: bytes) -> ServerHello:
    group: Optional[int] = None
    extensions: list[int] = []
    try:
        (version,) = struct.unpack_from("!H", content)
        at = 35 + content[34]
        suite, compression = struct.unpack_from("!HB", content, at)
        at += 3
        if at < len(content):
            (end,) = struct.unpack_from("!H", content, at)
            at += 2
            end += at
            while at < end:
                kind, length = struct.unpack_from("!HH", content, at)
                if kind == _SUPPORTED_VERSIONS:
                    (version,) = struct.unpack_from("!H", content, at + 4)
                elif kind == _KEY_SHARE:
                    (group,) = struct.unpack_from("!H", content, at + 4)
                extensions.append(kind)
                at += 4 + length
    except (struct.error, IndexError):
        raise ChannelError("a ServerHello that cannot be read") from None
    retry = content[2:34] == _RETRY
    in_clear = version < NUMBERS["TLSv1.3"]
    return ServerHello(
        *(version, suite, retry, (), compression, tuple(extensions), group), whole=not in_clear
    )


def _parse_chain(content: bytes) -> tuple[bytes, ...]:
    """RFC 5246 §7.4.2: a length of three bytes, then each certificate behind its own."""
    certificates: list[bytes] = []
    at = 3
    while at + 3 <= len(content) and len(certificates) < MAX_CERTIFICATES:
        length = int.from_bytes(content[at : at + 3], "big")
        certificates.append(content[at + 3 : at + 3 + length])
        at += 3 + length
    return tuple(certificates)
