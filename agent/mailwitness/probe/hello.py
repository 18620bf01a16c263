"""ClientHellos made by hand, one version each, and what a server answers to one.

The local TLS library cannot ask for what it was built without, and its refusal proves
nothing of the server. The bytes are those of RFC 6101 (SSLv3), RFC 5246 and RFC 8446.
"""

import contextlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from mailwitness.evidence.names import is_address
from mailwitness.evidence.probe import VersionName
from mailwitness.probe.channel import Channel, ChannelError, ClosedError, FloodError

NUMBERS: dict[VersionName, int] = {
    "SSLv3": 0x0300,
    "TLSv1": 0x0301,
    "TLSv1.1": 0x0302,
    "TLSv1.2": 0x0303,
    "TLSv1.3": 0x0304,
}
_NAMES = {number: name for name, number in NUMBERS.items()}

# https://www.iana.org/assignments/tls-parameters. The order is a client's preference.
_SUITES_13 = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)
_SUITES_WITH_CERTIFICATE = (
    *(0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xCCAA),  # ECDHE, DHE: GCM, ChaCha20
    *(0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xC09E, 0xC09F),  # CCM
    *(0xC023, 0xC024, 0xC027, 0xC028, 0xC009, 0xC00A, 0xC013, 0xC014),  # ECDHE: CBC
    *(0x009E, 0x009F, 0x0067, 0x006B, 0x0033, 0x0039),  # DHE
    *(0x00A2, 0x00A3, 0x0040, 0x006A, 0x0032, 0x0038),  # DHE: DSS keys
    *(0xC0A2, 0xC0A3, 0xC0A0, 0xC0A1),  # CCM of 8 bytes: DHE, RSA
    *(0xC05C, 0xC05D, 0xC060, 0xC061, 0xC052, 0xC053),  # ARIA
    *(0xC056, 0xC057, 0xC050, 0xC051),  # ARIA: DSS keys, RSA
    *(0xC072, 0xC073, 0xC076, 0xC077, 0x00BE, 0x00C4, 0x0045, 0x0088),  # Camellia
    *(0x00BD, 0x00C3, 0x0044, 0x0087),  # Camellia: DSS keys
    *(0x009C, 0x009D, 0xC09C, 0xC09D, 0x003C, 0x003D, 0x002F, 0x0035),  # RSA
    *(0x00BA, 0x00C0, 0x0041, 0x0084, 0x0096, 0x009A, 0x0007),  # RSA: Camellia, SEED, IDEA
    *(0xC008, 0xC012, 0x0016, 0x0013, 0x000A),  # 3DES
    *(0xC007, 0xC011, 0x0005, 0x0004),  # RC4
    *(0x0015, 0x0012, 0x0009, 0x0003, 0x0006, 0x0008, 0x0014),  # DES, export grades
    *(0xC006, 0xC010, 0x003B, 0x0002, 0x0001),  # no encryption
)
# Last, so that a server which heeds its client shows a certificate where it has one.
_SUITES_ANONYMOUS = (
    *(0xC018, 0xC019, 0x00A6, 0x00A7, 0x006C, 0x006D, 0x0034, 0x003A),  # AES
    *(0x00BF, 0x00C5, 0x0046, 0x0089, 0xC017, 0x001B, 0xC016, 0x0018, 0x001A),  # and others
    *(0x0017, 0x0019, 0xC015),  # export grades, no encryption
)
_RENEGOTIATION_INFO = 0x00FF  # RFC 5746 §3.3, as a suite: SSLv3 has no extensions

_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x001E)  # x25519, P-256, P-384, P-521, x448
# A server that has none of a hello's groups answers as one that refuses the version. Up to
# TLS 1.2: brainpool, secp256k1, P-224, P-192. Not in a hello of 1.3, where tlslite aborts.
_GROUPS_OLD = (0x001A, 0x001B, 0x001C, 0x0016, 0x0015, 0x0013)
# From TLS 1.3 on: ffdhe2048 to 8192 (RFC 7919; before 1.3 they would bind the choice of DHE),
# the RFC 8734 numbers of brainpool, and ML-KEM alone and beside P-256, x25519, P-384. None
# of them need be computed here, since no key share is sent.
_GROUPS_NEW = (
    *(0x0100, 0x0101, 0x0102, 0x0103, 0x0104),
    *(0x001F, 0x0020, 0x0021),
    *(0x0200, 0x0201, 0x0202, 0x11EB, 0x11EC, 0x11ED),
)
_SIGNATURES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808),  # ECDSA with SHA-2, EdDSA
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),  # RSA-PSS
    *(0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0202),  # RSA PKCS #1; SHA-1 for old servers
)

_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO, _CERTIFICATE = 2, 11
_MAJOR = 3  # of every version from SSLv3 on
_SUPPORTED_VERSIONS = 43
# RFC 8446 §4.1.3: the random of a ServerHello that is a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_WARNING = 1
_MAX_RECORD = 16384 + 2048  # RFC 5246 §6.2.3
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


@dataclass(frozen=True)
class ServerHello:
    """The version and suite that the server chose, and its certificates where they are in clear."""

    version: int
    suite: int
    retry: bool
    certificates: tuple[bytes, ...]  # DER, as sent; none from TLS 1.3 on, or without one

    @property
    def proof(self) -> str:
        """For the evidence."""
        kind = "HelloRetryRequest" if self.retry else "ServerHello"
        name = _NAMES.get(self.version, f"0x{self.version:04x}")
        return f"{kind} {name}, suite 0x{self.suite:04x}"


@dataclass(frozen=True)
class Alert:
    """The server's fatal alert."""

    number: int

    @property
    def refuses(self) -> bool:
        """Whether it says that the server will not have this hello."""
        return self.number in _REFUSALS

    @property
    def proof(self) -> str:
        """For the evidence."""
        return f"alert {self.number} {_REFUSALS.get(self.number, '')}".rstrip()


async def say_hello(
    channel: Channel, version: VersionName, server_name: Optional[str], *, anonymous: bool
) -> "ServerHello | Alert":
    """One hello and its answer.

    `anonymous`: offer suites without a certificate too. After the answer the connection is
    of no more use than to be closed.

    Raises:
        ClosedError: the hello was sent, and the connection closed without a word.
        ChannelError: no answer, half of one, or one that is not TLS.
    """
    try:
        hello = client_hello(version, server_name, anonymous=anonymous)
    except UnicodeError:
        raise ChannelError(f"{server_name!a} is no name that a hello can ask for") from None
    try:
        await channel.send(hello)
    except ClosedError as error:
        raise ChannelError(f"before the hello: {error}") from None  # it was not heard
    answer = await _read_answer(channel)
    if isinstance(answer, ServerHello):
        with contextlib.suppress(ChannelError):  # the answer is there; nobody need hear the end
            await channel.send(_close_notify(answer.version))
    return answer


def client_hello(version: VersionName, server_name: Optional[str], *, anonymous: bool) -> bytes:
    """The record of a hello that offers `version` and nothing else."""
    number = NUMBERS[version]
    newest = version == "TLSv1.3"
    suites: tuple[int, ...] = _SUITES_13 if newest else _SUITES_WITH_CERTIFICATE
    if anonymous and not newest:
        suites += _SUITES_ANONYMOUS
    if not newest:
        suites += (_RENEGOTIATION_INFO,)
    body = struct.pack("!H", min(number, 0x0303)) + os.urandom(32)
    # A session id that is not empty lets TLS 1.3 pass for 1.2 on its way (RFC 8446 §D.4).
    body += _vector(1, os.urandom(32) if newest else b"")
    body += _vector(2, _shorts(suites))
    body += _vector(1, b"\x00")  # no compression
    if version != "SSLv3":
        body += _vector(2, b"".join(_extensions(version, server_name)))
    handshake = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return struct.pack("!BHH", _HANDSHAKE, min(number, 0x0301), len(handshake)) + handshake


def _extensions(version: VersionName, server_name: Optional[str]) -> Iterable[bytes]:
    if server_name is not None and not is_address(server_name):  # RFC 6066 §3 forbids addresses
        name = server_name.rstrip(".").encode("idna")  # no trailing dot either
        if not name:
            raise UnicodeError("an empty name")
        yield _extension(0, _vector(2, b"\x00" + _vector(2, name)))
    groups = _GROUPS + (_GROUPS_NEW if version == "TLSv1.3" else _GROUPS_OLD)
    yield _extension(10, _vector(2, _shorts(groups)))
    yield _extension(11, _vector(1, b"\x00"))  # points uncompressed
    if version in ("TLSv1.2", "TLSv1.3"):
        yield _extension(13, _vector(2, _shorts(_SIGNATURES)))
    if version == "TLSv1.3":
        yield _extension(_SUPPORTED_VERSIONS, _vector(1, _shorts([NUMBERS[version]])))
        yield _extension(45, _vector(1, b"\x01"))  # psk_dhe_ke
        # No key share: the server names the group it wants, which proves as much (§4.1.4).
        yield _extension(51, _vector(2, b""))


def _close_notify(version: int) -> bytes:
    """The orderly end; in a record of another version than agreed it is an error in a log."""
    return struct.pack("!BHHBB", _ALERT, min(version, NUMBERS["TLSv1.2"]), 2, _WARNING, 0)


async def _read_answer(channel: Channel) -> "ServerHello | Alert":
    """To the ServerHello, and on to the certificate where it comes in clear."""
    messages = bytearray()
    hello: Optional[ServerHello] = None
    while True:
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
                continue
            if hello is not None:
                return hello
            return Alert(payload[-1] if payload else 0)
        messages += payload
        for message, content in _take_messages(messages):
            if message == _SERVER_HELLO and hello is None:
                hello = _parse_server_hello(content)
                if hello.version >= NUMBERS["TLSv1.3"]:
                    return hello
            elif hello is not None and message == _CERTIFICATE:
                return ServerHello(hello.version, hello.suite, hello.retry, _parse_chain(content))
            elif hello is not None:
                return hello  # key exchange without a certificate: an anonymous suite


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


def _take_messages(buffer: bytearray) -> Iterable["tuple[int, bytes]"]:
    while len(buffer) >= 4:  # noqa: PLR2004
        length = int.from_bytes(buffer[1:4], "big")
        if len(buffer) < 4 + length:
            return
        kind, content = buffer[0], bytes(buffer[4 : 4 + length])
        del buffer[: 4 + length]
        yield kind, content


def _parse_server_hello(content: bytes) -> ServerHello:
    try:
        (version,) = struct.unpack_from("!H", content)
        at = 35 + content[34]
        (suite,) = struct.unpack_from("!H", content, at)
        at += 3
        if at < len(content):
            (end,) = struct.unpack_from("!H", content, at)
            at += 2
            end += at
            while at < end:
                kind, length = struct.unpack_from("!HH", content, at)
                if kind == _SUPPORTED_VERSIONS:
                    (version,) = struct.unpack_from("!H", content, at + 4)
                at += 4 + length
    except (struct.error, IndexError):
        raise ChannelError("a ServerHello that cannot be read") from None
    return ServerHello(version, suite, content[2:34] == _RETRY, ())


def _parse_chain(content: bytes) -> tuple[bytes, ...]:
    """RFC 5246 §7.4.2: a length of three bytes, then each certificate behind its own."""
    certificates: list[bytes] = []
    at = 3
    while at + 3 <= len(content) and len(certificates) < MAX_CERTIFICATES:
        length = int.from_bytes(content[at : at + 3], "big")
        certificates.append(content[at + 3 : at + 3 + length])
        at += 3 + length
    return tuple(certificates)


def _extension(number: int, content: bytes) -> bytes:
    return struct.pack("!H", number) + _vector(2, content)


def _vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def _shorts(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack("!H", number) for number in numbers)
