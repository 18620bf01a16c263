"""Connections to the ports of one host: how many at once, how fast, and from where."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal, NamedTuple, Optional, Union, get_args

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Reach
from mailwitness.probe.allowance import Allowance
from mailwitness.probe.channel import Channel, ChannelError, NotReachedError, SilentError, dial
from mailwitness.probe.dialogues import BusyError
from mailwitness.probe.limits import Limits
from mailwitness.probe.pace import Pace

# `versions`: which of them are accepted, by six to nine connections; `brief`: the chains and what
# is said inside TLS, too, by two or three more; `full`: all that can be negotiated, too, by sixty
# to a hundred to a server of today and some 130 to one that takes every old suite.
Depth = Literal["versions", "brief", "full"]
DEPTHS: tuple[Depth, ...] = get_args(Depth)


class BeforeHelloError(ChannelError):
    """The connection broke off before a hello could be sent: it says nothing of TLS."""


class TurnedAwayError(BeforeHelloError, BusyError):
    """And that by the server, which answered before: too many connections, or too fast."""


class Endpoint(NamedTuple):
    """A port of an address, and the names to ask for there."""

    address: str
    port: int
    names: tuple[str, ...]
    depth: Depth = "full"


class Places:
    """So many connections at once; who needs several takes them together.

    To be made inside the loop: up to Python 3.9 what it is made of belongs to one.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        # Two that wait for the rest of theirs would hold what the other one waits for.
        self._taking = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def take(self, count: int) -> AsyncIterator[None]:
        """Wait until `count` are free, and hold them."""
        taken = 0
        try:
            async with self._taking:
                while taken < count:
                    await self._free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._free.release()


class Conversations:
    """Opens connections to one host, a few at a time.

    `paces` are those of all ports by address, shared among hosts: two names may be one server.
    """

    def __init__(
        self,
        limits: Limits,
        everywhere: Places,
        paces: dict[tuple[str, int], Pace],
        source_addresses: Sequence[str] = (),
    ) -> None:
        self.limits = limits
        self._paces = paces
        self._everywhere = everywhere
        self._here = Places(limits.connections_per_host)
        self._source_addresses = source_addresses

    def pace(self, endpoint: Endpoint) -> Pace:
        """The turns at this port."""
        place = (endpoint.address, endpoint.port)
        if place not in self._paces:
            self._paces[place] = Pace(self.limits)
        return self._paces[place]

    @contextlib.asynccontextmanager
    async def open(
        self, endpoint: Endpoint, allowance: Allowance
    ) -> "AsyncIterator[tuple[Channel, Reach]]":
        """A connection and how it was reached; it is closed in the end.

        Raises:
            TurnedAwayError: none is tried any more, so often was the probe turned away.
        """
        pace = self.pace(endpoint)
        async with self._turns(endpoint, 1):
            begun = time.monotonic()
            with self._running(allowance) as until:
                channel, reach = await self._dial(endpoint, until)
                try:
                    yield channel, reach
                    pace.taken()
                except BusyError:
                    pace.refused(begun)
                    raise
                finally:
                    await channel.close()

    @contextlib.asynccontextmanager
    async def together(
        self, endpoint: Endpoint, allowance: Allowance, count: int
    ) -> "AsyncIterator[list[Union[tuple[Channel, Reach], NotReachedError]]]":
        """So many connections, opened at once and in their order; they are closed in the end.

        Raises:
            TurnedAwayError: none is tried any more, so often was the probe turned away.
        """
        async with self._turns(endpoint, count):
            with self._running(allowance) as until:
                dials = [asyncio.ensure_future(self._dial(endpoint, until)) for _ in range(count)]
                try:
                    yield [await _or_not_reached(one) for one in dials]
                finally:
                    for one in dials:
                        one.cancel()
                    ends = await asyncio.gather(*dials, return_exceptions=True)
                    opened = [end[0] for end in ends if isinstance(end, tuple)]
                    await asyncio.gather(*(channel.close() for channel in opened))

    @contextlib.asynccontextmanager
    async def _turns(self, endpoint: Endpoint, count: int) -> AsyncIterator[None]:
        # In this order: nobody who has all of one kind is waited for by who has them of the next.
        pace = self.pace(endpoint)
        async with pace.turns(count), self._here.take(count), self._everywhere.take(count):
            if pace.gave_up:
                raise TurnedAwayError(f"turned away {pace.turned_away} times, and left alone")
            yield

    @contextlib.contextmanager
    def _running(self, allowance: Allowance) -> Iterator[float]:
        with allowance.running() as until:
            if until <= time.monotonic():
                raise SilentError(f"no end within {self.limits.endpoint:g} s")
            yield until

    async def _dial(self, endpoint: Endpoint, until: float) -> tuple[Channel, Reach]:
        source = self._source_of(endpoint.address)
        return await dial(endpoint.address, endpoint.port, self.limits, until, source)

    def _source_of(self, address: str) -> Optional[str]:
        """Where to connect to this address from; None: wherever the system likes."""
        if not self._source_addresses:
            return None
        for source in self._source_addresses:
            if (":" in source) == (":" in address):
                return source
        family = "IPv6" if ":" in address else "IPv4"
        untried = f"not tried: no {family} address to connect from is given"
        raise NotReachedError(Reach("error", untried, 0.0, Missing(untried)))


async def _or_not_reached(
    dialled: "asyncio.Future[tuple[Channel, Reach]]",
) -> Union[tuple[Channel, Reach], NotReachedError]:
    try:
        return await dialled
    except NotReachedError as error:
        return error
