"""Looks over a way of 100 ms there and back: how many round trips each port costs.

    python -m benchmarks.wire_delay [--milliseconds 100] [--sslyze PYTHON] HOST:PORT ...

Needs root. The delay is that of packets, handshakes of TCP included: two network devices, one of
them in a network namespace, and a process between them that holds each packet back. The hosts must
have a way back to 10.205.0.2, as the lab's have. Round trips are what a look takes longer with the
delay than without, by what a connection takes. The bound: with one hello to a connection and all
at once, 2 with implicit TLS, 4 for IMAP and POP3 and 5 for SMTP with STARTTLS. Exit status 1 where
a look at versions alone misses the goal of 1.5 x the bound.
"""

import argparse
import asyncio
import contextlib
import fcntl
import os
import statistics
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.wire_speed import RUNS, commands, run, starttls
from mailwitness.probe.conversations import DEPTHS

_NAMESPACE, _NEAR, _FAR = "mwdelay", "mwnear", "mwfar"
_NEAR_ADDRESS, _FAR_ADDRESS = "10.205.0.1", "10.205.0.2"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000  # linux/if_tun.h
_PACKET = 65536
_CONNECT = """
import socket, sys, time
for _ in range(5):
    begun = time.monotonic()
    socket.create_connection(sys.argv[1:]).close()
    print(time.monotonic() - begun)
"""
GOAL = 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--milliseconds", type=float, default=100)
    parser.add_argument("--sslyze", metavar="PYTHON")
    parser.add_argument("endpoints", nargs="+", metavar="HOST:PORT")
    arguments = parser.parse_args()
    arguments.testssl = None
    seconds = arguments.milliseconds / 1000
    missed = False
    with _delayed(seconds / 2) as prefix:
        for endpoint in arguments.endpoints:
            host, _, port = endpoint.rpartition(":")
            argvs = commands(host, int(port), arguments)
            connection = _connection(prefix, host, port)
            looks = {}
            for depth in DEPTHS:
                near = statistics.median(run(argvs[depth]).wall for _ in range(RUNS))
                far = statistics.median(run([*prefix, *argvs[depth]]).wall for _ in range(RUNS))
                looks[depth] = far, round((far - near) / connection, 1)
            (far, trips), bound = looks["versions"], _bound(int(port))
            good = trips <= GOAL * bound
            missed |= not good
            said = f"{endpoint}: {far:.2f} s, {trips} round trips, {trips / bound:.2f} x"
            said += f" the bound of {bound} (goal {GOAL}: {'met' if good else 'MISSED'})"
            for depth in ("brief", "full"):
                said += "; {} {:.2f} s, {}".format(depth, *looks[depth])
            if arguments.sslyze:
                theirs = run([*prefix, *argvs["sslyze versions"]]).wall
                said += f"; sslyze {theirs:.1f} s, {theirs / far:.0f} times as long"
            print(said, flush=True)
    return int(missed)


def _connection(prefix: Sequence[str], host: str, port: str) -> float:
    """Seconds that a connection over the delayed way takes: a round trip."""
    ran = subprocess.run(
        [*prefix, sys.executable, "-c", _CONNECT, host, port],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return statistics.median(map(float, ran.stdout.split()))


def _bound(port: int) -> int:
    return {None: 2, "imap": 4, "pop3": 4, "smtp": 5}[starttls(port)]


@contextlib.contextmanager
def _delayed(seconds: float) -> Iterator[list[str]]:
    """What a command is prefixed with to have that delay in each direction."""
    with contextlib.ExitStack() as stack:
        near, far = (stack.enter_context(_device(name)) for name in (_NEAR, _FAR))
        _ip("netns", "add", _NAMESPACE)
        stack.callback(_ip, "netns", "delete", _NAMESPACE)
        _ip("link", "set", _FAR, "netns", _NAMESPACE)
        inside = ("-n", _NAMESPACE)
        for where, name, address in (((), _NEAR, _NEAR_ADDRESS), (inside, _FAR, _FAR_ADDRESS)):
            _ip(*where, "address", "add", f"{address}/24", "dev", name)
            _ip(*where, "link", "set", name, "up")
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "route", "add", "default", "via", _NEAR_ADDRESS)
        before = _FORWARDING.read_text()
        _FORWARDING.write_text("1")
        stack.callback(_FORWARDING.write_text, before)
        courier = os.fork()
        if courier == 0:
            try:
                asyncio.run(_carry(near, far, seconds))
            finally:
                os._exit(1)
        stack.callback(os.waitpid, courier, 0)
        stack.callback(os.kill, courier, 9)
        yield ["ip", "netns", "exec", _NAMESPACE]


@contextlib.contextmanager
def _device(name: str) -> Iterator[int]:
    """A network device whose packets come out of the file that this is."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
        yield file
    finally:
        os.close(file)


async def _carry(near: int, far: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    def take(source: int, target: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = os.read(source, _PACKET)
                loop.call_later(seconds, _put, target, packet)

    loop.add_reader(near, take, near, far)
    loop.add_reader(far, take, far, near)
    await asyncio.Event().wait()


def _put(target: int, packet: bytes) -> None:
    with contextlib.suppress(OSError):  # what is lost is sent again
        os.write(target, packet)


def _ip(*argv: str) -> None:
    subprocess.run(("/sbin/ip", *argv), check=True)


if __name__ == "__main__":
    sys.exit(main())
