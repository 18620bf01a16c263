"""A connection of TCP as the loop tells of it: what has come, and whether there will be more."""

import asyncio
from typing import Optional, cast

_AT_ONCE = 16384  # bytes that are read
_MOST = 32768  # that wait to be taken; more wait in the kernel, and so at the sender


class Stream(asyncio.BufferedProtocol):
    """Both directions of one connection.

    asyncio's own streams need a task for each wait that has a limit, and a look waits a dozen
    times on each of its connections; here a wait is a future and a timer.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.lost = False  # the connection, in both directions
        self.error: Optional[Exception] = None  # by which it was lost
        self.congested = False  # more is written than the other end has read
        self._read = memoryview(bytearray(_AT_ONCE))
        self._arrived = bytearray()
        self._over = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to take, nor will be."""
        return self._over and not self._arrived

    def take(self) -> bytes:
        """All that has come."""
        taken = bytes(self._arrived)
        self._arrived.clear()
        self.transport.resume_reading()
        return taken

    async def change(self, timeout: float) -> None:
        """Wait for anything to change, so many seconds at most."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        timer = loop.call_later(timeout, wake, waiter)
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
            timer.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - of no use here
        """Where to put what comes."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        self._arrived += self._read[:nbytes]
        if len(self._arrived) > _MOST:
            self.transport.pause_reading()
        self._changed()

    def eof_received(self) -> bool:
        """The other end will send nothing more; what is written may still be read there."""
        self._over = True
        self._changed()
        return True

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """It is over."""
        self._over = self.lost = True
        self.error = exc
        self._changed()

    def pause_writing(self) -> None:
        """The other end should read first."""
        self.congested = True

    def resume_writing(self) -> None:
        """It has."""
        self.congested = False
        self._changed()

    def _changed(self) -> None:
        for waiter in self._waiting:
            wake(waiter)


def wake(waiter: "asyncio.Future[None]") -> None:
    """End its wait, if it still waits."""
    if not waiter.done():
        waiter.set_result(None)
