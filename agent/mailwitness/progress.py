"""How far a long look is, for whoever waits at a terminal."""

from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from mailwitness.evidence.probe import Observation

_T = TypeVar("_T")

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
        _show(self._stream, "")

    def _tell(self) -> None:
        done = f"{self._ports} ports looked at, {self._done} of {self._hosts} hosts done"
        _show(self._stream, done)


def counted(items: Iterable[_T], total: int, what: str, stream: TextIO) -> Iterator[_T]:
    """The items as they come, with how many there have been on that line."""
    try:
        for number, item in enumerate(items, start=1):
            _show(stream, f"{number} of {total} {what}")
            yield item
    finally:
        _show(stream, "")


def _show(stream: TextIO, text: str) -> None:
    if stream.isatty():
        stream.write(f"{_CLEAR}{text}")
        stream.flush()
