"""How fast one port is asked: fewer connections at once, and longer pauses, as the server wants."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from mailwitness.probe.limits import Limits


class Pace:
    """The turns at one port, by how the server took the ones before.

    A server that turns a client away, for being there too often or too fast, is given a pause
    that doubles each time, and half as many connections at once from then on. What it turned
    away may be asked again, since it has said nothing of anything else, until `gave_up`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._at_once = limits.connections_per_host
        self._open = 0
        self._freed = asyncio.Event()
        # Who waits for several would wait for as long as others come for one.
        self._first_in_line = asyncio.Lock()
        self._in_a_row = 0  # pauses since a connection was taken
        self._paused_at = 0.0
        self._resumes_at = 0.0
        self._paused = 0.0  # seconds, in all
        self.turned_away = 0  # connections so far
        self.gave_up = False

    @property
    def at_once(self) -> int:
        """How many connections the server is taken to bear."""
        return self._at_once

    @contextlib.asynccontextmanager
    async def turns(self, count: int) -> AsyncIterator[None]:
        """Wait for leave to open so many connections together: `at_once` of them at most."""
        async with self._first_in_line:
            while True:
                wait = self._resumes_at - time.monotonic()
                if wait > 0 and not self.gave_up:
                    await asyncio.sleep(wait)
                elif self._open and self._open + count > self._at_once:
                    self._freed.clear()
                    await self._freed.wait()
                else:
                    break
            self._open += count
        try:
            yield
        finally:
            self._open -= count
            self._freed.set()

    def taken(self) -> None:
        """A connection was taken, and what was asked on it answered."""
        self._in_a_row = 0

    def refused(self, since: float) -> None:
        """A connection that was begun at `since` was turned away.

        Several that were open together are one reason to pause, not many.
        """
        self.turned_away += 1
        if since < self._paused_at:
            return
        self._paused_at = time.monotonic()
        pause = self._limits.pause * 2**self._in_a_row
        self._in_a_row += 1
        self._at_once = max(1, self._at_once // 2)
        self._paused += pause
        self.gave_up = self._paused > self._limits.paused
        self._resumes_at = self._paused_at + pause
