"""The hello of SSL 2.0, whose records and messages are unlike those of all later versions.

As in draft-hickman-netscape-ssl-00, §2. What it accepts is answered whole by one hello.
"""

import os
import struct
from typing import NamedTuple, Optional, Union

from mailwitness.probe.answer import Alert
from mailwitness.probe.channel import Channel, ChannelError, ClosedError

SSLV2 = 0x0002
_ERROR, _CLIENT_HELLO, _SERVER_HELLO = 0, 1, 4
_ALERT = 21
_SUITES = (
    *(0x010080, 0x020080, 0x030080, 0x040080),  # RC4, RC2, each with an export grade
    *(0x050080, 0x060040, 0x0700C0),  # IDEA, DES, 3DES
)
_LONG_HEADER = 0x80  # of two bytes: no padding follows


class HelloOfSslv2(NamedTuple):
    """An answer in SSL 2.0; without a version it is an error, which refuses."""

    version: Optional[int]

    @property
    def proof(self) -> str:
        """For the evidence."""
        return "ERROR of SSL 2.0" if self.version is None else "SERVER-HELLO of SSL 2.0"


async def say_hello_of_sslv2(channel: Channel) -> Union[HelloOfSslv2, Alert]:
    """One hello and its answer, which may be the alert of a newer protocol.

    Raises:
        ClosedError: the hello was sent, and the connection closed without a word.
        ChannelError: no answer, or one that is neither.
    """
    try:
        await channel.send(_client_hello())
    except ClosedError as error:
        raise ChannelError(f"before the hello: {error}") from None
    first = await channel.exactly(1)
    if first[0] == _ALERT:
        _, _, _, number = struct.unpack("!HHBB", await _rest(channel, 6))
        return Alert(number)
    if not first[0] & _LONG_HEADER:
        raise ChannelError(f"the answer to the hello is not TLS: it begins {first!a}")
    head = await _rest(channel, 2)
    if head[1] == _ERROR:
        return HelloOfSslv2(None)
    if head[1] != _SERVER_HELLO:
        raise ChannelError(f"the answer to the hello is not TLS: it begins {first + head!a}")
    _, _, version = struct.unpack("!BBH", await _rest(channel, 4))
    return HelloOfSslv2(version)


def _client_hello() -> bytes:
    challenge = os.urandom(16)
    suites = b"".join(suite.to_bytes(3, "big") for suite in _SUITES)
    body = struct.pack("!BHHHH", _CLIENT_HELLO, SSLV2, len(suites), 0, len(challenge))
    body += suites + challenge
    return struct.pack("!H", _LONG_HEADER << 8 | len(body)) + body


async def _rest(channel: Channel, count: int) -> bytes:
    try:
        return await channel.exactly(count)
    except ClosedError as error:
        raise ChannelError(f"the answer to the hello broke off: {error}") from None
