"""All ports of all addresses of all targets, and the evidence of each as soon as it is whole."""

import asyncio
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Callable, NamedTuple, Optional, Union

from mailwitness import __version__
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import Observation, ProbeEvidence
from mailwitness.probe.conversations import Conversations, Depth, Endpoint, Places
from mailwitness.probe.limits import DEFAULT_LIMITS, Limits
from mailwitness.probe.observe import observe_endpoint
from mailwitness.probe.pace import Pace
from mailwitness.probe.targets import Target


class Manner(NamedTuple):
    """How to look."""

    source_addresses: tuple[str, ...] = ()  # own ones to connect from, one of a family at most
    depth: Depth = "full"


DEFAULT_MANNER = Manner()


def probe(
    targets: Iterable[Target],
    vantage: str,
    limits: Limits = DEFAULT_LIMITS,
    manner: Manner = DEFAULT_MANNER,
    progress: Optional[Callable[[Observation], None]] = None,
) -> Iterator[ProbeEvidence]:
    """The evidence of each target, in the order in which they are done.

    Nothing that the network does raises here. `vantage` is the name of where this runs;
    `progress` is told of each port as soon as it is done.
    """
    loop = asyncio.new_event_loop()
    try:
        everywhere = loop.run_until_complete(_places(limits.connections))
        paces: dict[tuple[str, int], Pace] = {}

        async def one(target: Target) -> ProbeEvidence:
            talks = Conversations(limits, everywhere, paces, manner.source_addresses)
            look = _Look(talks, manner.depth, progress or _unheard)
            return await _probe_host(target, vantage, look)

        waiting = {loop.create_task(one(target)) for target in targets}
        while waiting:
            done, waiting = loop.run_until_complete(
                asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            )
            for task in done:
                yield task.result()
    finally:
        loop.run_until_complete(_end_the_others())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Look(NamedTuple):
    """At one host."""

    talks: Conversations
    depth: Depth
    progress: Callable[[Observation], None]

    async def at(self, endpoint: Endpoint) -> Observation:
        found = await observe_endpoint(self.talks, endpoint)
        self.progress(found)
        return found


def _unheard(_: Observation) -> None:
    """Where nobody wants to know how far it is."""


async def _end_the_others() -> None:
    """What still runs where nobody waits for more; their connections are closed by it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _places(count: int) -> Places:
    return Places(count)


async def _probe_host(target: Target, vantage: str, look: _Look) -> ProbeEvidence:
    started_at, begun = now(), time.monotonic()
    addresses = await _resolve(target.target)
    observations: Union[tuple[Observation, ...], Missing]
    if isinstance(addresses, Missing):
        observations = addresses
    else:
        looks = (
            look.at(Endpoint(address, port, target.names, look.depth))
            for address in addresses
            for port in target.ports
        )
        observations = tuple(await asyncio.gather(*looks))
        if target.account is not None:
            from mailwitness.probe.account import log_in_everywhere  # noqa: PLC0415 - few have one

            observations = await log_in_everywhere(look.talks, target, observations)
    return ProbeEvidence(
        tool_version=__version__,
        host=target.host,
        vantage=vantage,
        target=target.target,
        names=target.names,
        started_at=started_at,
        seconds=round(time.monotonic() - begun, 3),
        observations=observations,
    )


async def _resolve(name: str) -> Union[tuple[str, ...], Missing]:
    """Every address of the name, in the resolver's order."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a name that no query can hold
        return Missing(f"{name} does not resolve: {getattr(error, 'strerror', None) or error}")
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
