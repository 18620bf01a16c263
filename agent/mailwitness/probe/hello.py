"""ClientHellos made by hand, and what a server answers to one.

The local TLS library cannot ask for what it was built without, and its refusal proves
nothing of the server. The bytes are those of RFC 6101 (SSLv3), RFC 5246 and RFC 8446.
"""

import contextlib
import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Optional, Union

from mailwitness.evidence.names import is_address
from mailwitness.evidence.probe import VersionName
from mailwitness.probe.answer import NUMBERS, Alert, ServerHello, read_answer
from mailwitness.probe.channel import Channel, ChannelError, ClosedError
from mailwitness.probe.parameters import GROUPS, GROUPS_OF_TLS_1_3, SHARES, SIGNATURES
from mailwitness.probe.suites import SUITES, SUITES_OF_TLS_1_3

_RENEGOTIATION_INFO = 0x00FF  # RFC 5746 §3.3, as a suite: SSLv3 has no extensions
_FALLBACK = 0x5600  # RFC 7507 §2
_ALERT, _HANDSHAKE, _WARNING = 21, 22, 1
_NAMES = {**SUITES, **SUITES_OF_TLS_1_3}
_DEFLATE, _NO_COMPRESSION = b"\x01", b"\x00"  # RFC 3749


class Offer(NamedTuple):
    """What a hello offers: one version, and numbers of everything else in order of preference."""

    version: VersionName
    suites: tuple[int, ...]
    groups: tuple[int, ...]
    signatures: tuple[int, ...]
    server_name: Optional[str] = None
    fallback: bool = False  # say that a newer version was tried and failed
    shared: Optional[int] = None  # the group of TLS 1.3 that a key share is sent of


@lru_cache(maxsize=64)
def everything(
    version: VersionName, server_name: Optional[str] = None, *, anonymous: bool = True
) -> Offer:
    """All that has ever been in use with that version. `anonymous`: without certificates too."""
    newest = version == "TLSv1.3"
    suites = SUITES_OF_TLS_1_3 if newest else SUITES
    return Offer(
        version,
        tuple(number for number, name in suites.items() if anonymous or "_anon_" not in name),
        tuple(GROUPS_OF_TLS_1_3 if newest else GROUPS),
        tuple(SIGNATURES),
        server_name,
    )


async def say_hello(channel: Channel, offer: Offer) -> Union[ServerHello, Alert]:
    """One hello and its answer; then the connection is of no more use than to be closed.

    Raises:
        ClosedError: the hello was sent, and the connection closed without a word.
        ChannelError: no answer, half of one, or one that is not TLS.
    """
    try:
        hello = client_hello(offer)
    except UnicodeError:
        raise ChannelError(f"{offer.server_name!a} is no name that a hello can ask for") from None
    try:
        await channel.send(hello)
    except ClosedError as error:
        raise ChannelError(f"before the hello: {error}") from None  # it was not heard
    answer = await read_answer(channel)
    if isinstance(answer, ServerHello):
        with contextlib.suppress(ChannelError):  # the answer is there; nobody need hear the end
            await channel.send(_close_notify(answer.version))
    return answer


@lru_cache(maxsize=64)
def without_suites(offer: Offer, *beginnings: str) -> Offer:
    """The same but for the suites whose names begin so."""
    chosen = tuple(number for number in offer.suites if not _NAMES[number].startswith(beginnings))
    return offer._replace(suites=chosen)


def with_suites(offer: Offer, *beginnings: str) -> Offer:
    """The same with those suites alone whose names begin so."""
    chosen = tuple(number for number in offer.suites if _NAMES[number].startswith(beginnings))
    return offer._replace(suites=chosen)


def client_hello(offer: Offer) -> bytes:
    """The record of a hello that offers this and nothing else."""
    number = NUMBERS[offer.version]
    newest = offer.version == "TLSv1.3"
    suites = offer.suites if newest else (*offer.suites, _RENEGOTIATION_INFO)
    if offer.fallback:
        suites = (*suites, _FALLBACK)
    body = struct.pack("!H", min(number, 0x0303)) + os.urandom(32)
    # A session id that is not empty lets TLS 1.3 pass for 1.2 on its way (RFC 8446 §D.4).
    body += _vector(1, os.urandom(32) if newest else b"")
    body += _vector(2, _shorts(suites))
    body += _vector(1, _NO_COMPRESSION if newest else _DEFLATE + _NO_COMPRESSION)
    if offer.version != "SSLv3":
        body += _vector(2, b"".join(_extensions(offer)))
    handshake = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return struct.pack("!BHH", _HANDSHAKE, min(number, 0x0301), len(handshake)) + handshake


def _extensions(offer: Offer) -> Iterable[bytes]:
    name = offer.server_name
    if name is not None and not is_address(name):  # RFC 6066 §3 forbids addresses
        encoded = name.rstrip(".").encode("idna")  # no trailing dot either
        if not encoded:
            raise UnicodeError("an empty name")
        yield _extension(0, _vector(2, b"\x00" + _vector(2, encoded)))
    yield _extension(10, _vector(2, _shorts(offer.groups)))
    yield _extension(11, _vector(1, b"\x00"))  # points uncompressed
    if offer.version in ("TLSv1.2", "TLSv1.3"):
        yield _extension(13, _vector(2, _shorts(offer.signatures)))
    if offer.version == "TLSv1.3":
        yield _extension(43, _vector(1, _shorts([NUMBERS[offer.version]])))
        yield _extension(45, _vector(1, b"\x01"))  # psk_dhe_ke
        # Without a key share the server names the group it wants, which proves as much (§4.1.4).
        share = b""
        if offer.shared is not None:
            share = struct.pack("!H", offer.shared) + _vector(2, SHARES[offer.shared])
        yield _extension(51, _vector(2, share))
    else:
        yield _extension(5, b"\x01\x00\x00\x00\x00")  # OCSP stapling, RFC 6066 §8
        yield _extension(22, b"")  # encrypt-then-MAC, RFC 7366
        yield _extension(23, b"")  # extended master secret, RFC 7627
        yield _extension(35, b"")  # session tickets, RFC 5077


def _close_notify(version: int) -> bytes:
    """The orderly end; in a record of another version than agreed it is an error in a log."""
    return struct.pack("!BHHBB", _ALERT, min(version, NUMBERS["TLSv1.2"]), 2, _WARNING, 0)


def _extension(number: int, content: bytes) -> bytes:
    return struct.pack("!H", number) + _vector(2, content)


def _vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def _shorts(numbers: Iterable[int]) -> bytes:
    listed = tuple(numbers)
    return struct.pack(f"!{len(listed)}H", *listed)
