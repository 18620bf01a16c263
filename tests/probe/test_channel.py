import asyncio
import socket

import pytest

from mailwitness.probe.channel import Channel, SilentError
from mailwitness.probe.limits import Limits
from mailwitness.probe.stream import Stream


@pytest.mark.parametrize("turns", range(6))
def test_an_end_that_coincides_with_data_is_not_lost(turns: int) -> None:
    """Whatever comes in the very moment when the time is up, the conversation ends."""

    async def main() -> bool:
        ours, theirs = socket.socketpair()
        with theirs:
            _, stream = await asyncio.get_running_loop().create_connection(Stream, sock=ours)
            channel = Channel(stream, Limits())

            async def listen() -> None:
                while True:
                    await channel.receive(5)

            listening = asyncio.ensure_future(listen())
            await asyncio.sleep(0.01)
            theirs.sendall(b"x")
            for _ in range(turns):
                await asyncio.sleep(0)
            listening.cancel()
            await asyncio.wait({listening}, timeout=0.3)
            ended = listening.cancelled()
            listening.cancel()
            await asyncio.wait({listening})
            await channel.close()
            return ended

    assert asyncio.run(main())


def test_a_wait_that_was_in_vain_leaves_the_connection_usable() -> None:
    async def main() -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            _, stream = await asyncio.get_running_loop().create_connection(Stream, sock=ours)
            channel = Channel(stream, Limits())
            with pytest.raises(SilentError, match="nothing came"):
                await channel.receive(0.05)
            theirs.sendall(b"late\n")
            line = await channel.line(1)
            await channel.close()
            return line

    assert asyncio.run(main()) == b"late"
