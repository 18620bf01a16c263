"""How far a long look is, for whoever waits at a terminal."""

from typing import TextIO

from mailwitness.evidence.probe import Observation

_CLEAR = "\r\x1b[K"


class Progress:
    """One line that is written over and over; nothing where the stream is no terminal."""

    def __init__(self, hosts: int, stream: TextIO) -> None:
        self._stream = stream
        self._hosts = hosts
        self._done = 0
        self._ports = 0

    def port(self, _: Observation) -> None:
        """One more port has been looked at."""
        self._ports += 1
        self._tell()

    def host(self) -> None:
        """All ports of a host have been."""
        self._done += 1
        self._tell()

    def end(self) -> None:
        """Leave the line as it was found."""
        self._show("")

    def _tell(self) -> None:
        self._show(f"{self._ports} ports looked at, {self._done} of {self._hosts} hosts done")

    def _show(self, text: str) -> None:
        if self._stream.isatty():
            self._stream.write(f"{_CLEAR}{text}")
            self._stream.flush()
