"""The time that one endpoint may take of the probe."""

import contextlib
import time
from collections.abc import Iterator


class Allowance:
    """Seconds that run only while a connection to the endpoint is open.

    Waiting for a turn costs nothing: among many slow hosts the last one in the queue would
    else have used up its time before its first connection. Connections open at once share it.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._open = 0
        self._since = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[float]:
        """A connection is open; gives the moment of time.monotonic() at which it must end."""
        if self._open == 0:
            self._since = time.monotonic()
        self._open += 1
        try:
            yield self._since + self._left
        finally:
            self._open -= 1
            if self._open == 0:
                self._left -= time.monotonic() - self._since
