"""A connection to speak over: lines and bytes with limits, in clear or through TLS."""

import asyncio
import contextlib
import errno
import math
import os
import socket
import ssl
import time
from typing import Optional, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Reach, ReachState
from mailwitness.probe.limits import Limits
from mailwitness.probe.stream import Stream, wake

_CHUNK = 16384
_FAREWELL = 1.0  # seconds
_UNREACHABLE = (
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN),
    errno.EACCES,  # what Linux makes of "administratively prohibited" in ICMPv6
)


class ChannelError(Exception):
    """The conversation cannot go on; the message says what the server did."""


class SilentError(ChannelError):
    """Nothing came within the time limit: this proves nothing of the server's will."""


class ClosedError(ChannelError):
    """The server closed or reset the connection."""


class FloodError(ChannelError):
    """The server sent more than any server needs to."""


class UntrustedError(ChannelError):
    """The server's certificate does not prove that it is the one that was meant."""


class NotReachedError(Exception):
    """No connection came about."""

    def __init__(self, reach: Reach) -> None:
        super().__init__(reach.detail)
        self.reach = reach


class Channel:
    """A TCP connection. Every wait on the server has a limit, and so has what it may send.

    `until` is the moment of time.monotonic() after which nothing is waited for any more: a
    server that says a little now and then never meets the limit of a single wait.
    """

    def __init__(
        self,
        stream: Stream,
        limits: Limits,
        until: float = math.inf,
    ) -> None:
        self.limits = limits
        self.until = until
        self._stream = stream
        self._buffer = bytearray()
        self._received = 0

    @property
    def own_address(self) -> str:
        """The address of this end."""
        return str(self._stream.transport.get_extra_info("sockname")[0]).partition("%")[0]

    @property
    def ended(self) -> bool:
        """Whether the server has closed it, as far as is known here, and all was read before."""
        return self._stream.ended

    async def line(self, timeout: Optional[float] = None) -> bytes:
        """The next line, without its end."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > self.limits.line:
                raise ChannelError(f"a line of more than {self.limits.line} bytes")
            await self._more(timeout or self.limits.read, self.limits.dialogue)
        line, _, rest = bytes(self._buffer).partition(b"\n")
        if len(line) > self.limits.line:
            raise ChannelError(f"a line of more than {self.limits.line} bytes")
        self._buffer[:] = rest
        return line.rstrip(b"\r")

    async def exactly(self, count: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._buffer) < count:
            await self._more(self.limits.read, self.limits.handshake)
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def pending(self) -> bytes:
        """What has come and was not asked for yet."""
        return bytes(self._buffer)

    async def send(self, data: bytes) -> None:
        """All of `data`."""
        stream = self._stream
        until = self._until(self.limits.read)
        stream.transport.write(data)
        if stream.transport.is_closing():
            await asyncio.sleep(0)  # for the loop to tell why
        while stream.congested and not stream.lost:
            await self._change(until, f"took no data for {self.limits.read:g} s")
        if stream.lost:
            raise ClosedError(f"connection lost: {_words(stream.error)}")

    async def close(self) -> None:
        """End the connection in order; what the server makes of it does not matter any more."""
        transport, until = self._stream.transport, time.monotonic() + _FAREWELL
        transport.close()
        try:
            while not self._stream.lost and (left := until - time.monotonic()) > 0:
                await self._stream.change(left)
        finally:
            transport.abort()  # where the server does not take the last bytes

    async def _more(self, timeout: float, most: int) -> None:
        chunk = await self.receive(timeout)
        self._received += len(chunk)
        if self._received > most:
            raise FloodError(f"more than {most} bytes were sent")
        self._buffer += chunk

    async def receive(self, timeout: float) -> bytes:
        """Whatever comes next, at least one byte."""
        stream = self._stream
        until = self._until(timeout)
        while not (chunk := stream.take()):
            if stream.error is not None:
                raise ClosedError(f"connection reset: {_words(stream.error)}")
            if stream.ended:
                raise ClosedError("connection closed")
            await self._change(until, f"nothing came for {timeout:g} s")
        return chunk

    def _until(self, timeout: float) -> float:
        """To which moment a wait of so many seconds may last.

        Raises:
            SilentError: none may any more.
        """
        begun = time.monotonic()
        if begun >= self.until:
            raise self._silence("")
        return min(begun + timeout, self.until)

    async def _change(self, until: float, silence: str) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise self._silence(silence)
        await self._stream.change(left)

    def _silence(self, what: str) -> SilentError:
        over = time.monotonic() >= self.until
        return SilentError(f"no end within {self.limits.endpoint:g} s" if over else what)


class TlsChannel(Channel):
    """The same over TLS. Python's own start_tls on streams exists from 3.11 on only."""

    def __init__(self, plain: Channel, context: ssl.SSLContext, server_name: Optional[str]) -> None:
        super().__init__(plain._stream, plain.limits, plain.until)
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self) -> None:
        """Shake hands.

        Raises:
            ChannelError: it failed, with what the TLS library says.
        """
        received = 0
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                chunk = await self._plain.receive(self.limits.read)
                received += len(chunk)
                if received > self.limits.handshake:
                    raise FloodError("the handshake has no end") from None
                self._incoming.write(chunk)
            except ssl.SSLError as error:
                with contextlib.suppress(ChannelError):
                    await self._flush()  # the alert that tells the server why
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise UntrustedError(f"certificate: {error.verify_message}") from None
                raise ChannelError(f"TLS handshake: {error.reason or error}") from None
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        """All of `data`, encrypted."""
        try:
            self.tls.write(data)
        except ssl.SSLError as error:  # what came before has ended the session
            raise ClosedError(f"TLS: {error.reason or error}") from None
        await self._flush()

    async def receive(self, timeout: float) -> bytes:
        """Whatever comes next, decrypted."""
        begun, received = time.monotonic(), 0
        while True:
            try:
                return self._decrypted()
            except ssl.SSLWantReadError:
                pass
            left = begun + timeout - time.monotonic()
            if left <= 0:
                raise SilentError(f"nothing came for {timeout:g} s")
            if received > self.limits.handshake:
                raise FloodError("records of TLS without end that say nothing")
            chunk = await self._plain.receive(left)
            received += len(chunk)
            self._incoming.write(chunk)

    def _decrypted(self) -> bytes:
        try:
            chunk = self.tls.read(_CHUNK)
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            raise ClosedError(f"TLS: {error.reason or error}") from None
        if not chunk:
            raise ClosedError("connection closed")
        return chunk

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            await self._plain.send(data)


async def dial(
    address: str,
    port: int,
    limits: Limits,
    until: float,
    source_address: Optional[str] = None,
) -> tuple[Channel, Reach]:
    """A connection that ends by `until` (see `Channel`), and how long it took to come about.

    Raises:
        NotReachedError: there is none, with its kind.
    """
    begun = time.monotonic()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)

    def reach(state: ReachState, detail: str) -> Reach:
        milliseconds = round((time.monotonic() - begun) * 1000, 1)
        # Before an answer, too, and after a refusal: the system chose it by the first packet.
        return Reach(state, detail, milliseconds, _own_address(connection))

    try:
        connection.settimeout(0)
        if source_address:
            connection.bind((source_address, 0))
        await _connect(connection, (address, port), limits.connect)
        connected = reach("open", "connected")
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(Stream, sock=connection)
    except BaseException as error:
        failed = _kind_of(error, limits)
        lost = failed and NotReachedError(reach(*failed))
        connection.close()
        if lost is None:
            raise
        raise lost from None
    return Channel(stream, limits, until), connected


async def _connect(connection: socket.socket, place: tuple[str, int], timeout: float) -> None:
    """As the loop's sock_connect(), with a limit that needs no task.

    Raises:
        asyncio.TimeoutError: nothing came back.
        OSError: what the network says.
    """
    error = connection.connect_ex(place)
    if error == errno.EINPROGRESS:
        loop, number = asyncio.get_running_loop(), connection.fileno()
        answered: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout, _give_up, answered)
        loop.add_writer(number, wake, answered)
        try:
            await answered
        finally:
            loop.remove_writer(number)
            timer.cancel()
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _give_up(answered: "asyncio.Future[None]") -> None:
    if not answered.done():
        answered.set_exception(asyncio.TimeoutError())


def _words(error: Optional[Exception]) -> str:
    return str(getattr(error, "strerror", None) or error or "Connection lost")


def _kind_of(error: BaseException, limits: Limits) -> Optional[tuple[ReachState, str]]:
    """What the network means by it; None: it is none of the network's."""
    if isinstance(error, asyncio.TimeoutError):
        return "filtered", f"nothing came back within {limits.connect:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "refused", "connection refused"
    if isinstance(error, ConnectionResetError):
        return "reset", "connection reset"
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ETIMEDOUT:
        return "filtered", "connection timed out"
    state: ReachState = "unreachable" if error.errno in _UNREACHABLE else "error"
    return state, os.strerror(error.errno) if error.errno else str(error)


def _own_address(connection: socket.socket) -> Union[str, Missing]:
    address = str(connection.getsockname()[0]).partition("%")[0]
    if address in ("0.0.0.0", "::"):  # noqa: S104 - what a socket says that has none
        return Missing("no packet was sent: there is no way to that address")
    return address
