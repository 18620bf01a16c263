"""The probe on many ports at once, against sslyze, and on a fleet of a thousand addresses.

    python -m benchmarks.wire_fleet [--sslyze PYTHON] [--fleet 1000] [HOST:PORT ...]

The ports given are asked for their versions by both, idle and while every processor is busy, three
times by ours and once by sslyze: the answers must be the same. The fleet is one TLS server on as
many loopback addresses, ten of which take connections and never answer; connections are counted in
the kernel's table. Exit status 1 where a goal is missed or an answer is wrong.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tabulate import tabulate
from tests.probe.matrix import make_keys

from benchmarks.installed import compile_sources
from benchmarks.wire_speed import AGENT, RUNS, Cost, median, run
from mailwitness.evidence.probe import VERSIONS

_SSLYZE = {
    "SSLv2": "ssl_2_0",
    "SSLv3": "ssl_3_0",
    "TLSv1": "tls_1_0",
    "TLSv1.1": "tls_1_1",
    "TLSv1.2": "tls_1_2",
    "TLSv1.3": "tls_1_3",
}
_PORT, _SILENT = 993, 10
WALL, MEMORY = 60, 10  # times less than sslyze, for 50 ports
AT_ONCE, FLEET_MEGABYTES = 8, 150
_ESTABLISHED = "01"  # in /proc/net/tcp

Versions = Mapping[str, frozenset[str]]  # accepted, by HOST:PORT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sslyze", metavar="PYTHON")
    parser.add_argument("--fleet", type=int, default=1000, help="addresses; 0: none")
    parser.add_argument("endpoints", nargs="*", metavar="HOST:PORT")
    arguments = parser.parse_args()
    compile_sources()
    missed = False
    if arguments.endpoints and arguments.sslyze:
        for busy in (False, True):
            with _load() if busy else contextlib.nullcontext():
                missed |= _against(arguments.sslyze, arguments.endpoints, busy=busy)
    if arguments.fleet:
        missed |= _fleet(arguments.fleet)
    return int(missed)


def _against(python: str, endpoints: Sequence[str], *, busy: bool) -> bool:
    costs, answers = zip(*(_probed(endpoints) for _ in range(RUNS)), strict=True)
    ours, said = median(costs), answers[-1]
    theirs, told = _scanned(python, endpoints)
    rows = [
        (name, f"{cost.wall:.2f}", f"{cost.megabytes:.0f}")
        for name, cost in (("mailwitness", ours), ("sslyze", theirs))
    ]
    state = "every processor busy" if busy else "idle"
    print(f"\n{len(endpoints)} ports, {state}")
    print(tabulate(rows, headers=("", "wall s", "MB")))
    wrong = [
        f"{endpoint}: {' '.join(sorted(said[endpoint]))}, sslyze {' '.join(sorted(told[endpoint]))}"
        for endpoint in endpoints
        if endpoint in told and any(each[endpoint] != told[endpoint] for each in answers)
    ]
    silent = [endpoint for endpoint in endpoints if endpoint not in told]
    print(f"{len(wrong)} answers differ; sslyze has none for {len(silent)}: {' '.join(silent)}")
    print("\n".join(wrong))
    missed = bool(wrong)
    for what, ratio, goal in (
        ("wall", theirs.wall / ours.wall, WALL),
        ("memory", theirs.megabytes / ours.megabytes, MEMORY),
    ):
        missed |= ratio < goal
        print(f"{what}: {ratio:.1f} times less (goal {goal}: {_met(ratio >= goal)})")
    return missed


def _probed(endpoints: Sequence[str]) -> tuple[Cost, Versions]:
    with tempfile.TemporaryFile() as output:
        cost = run(
            (sys.executable, "-c", AGENT, "probe", "--depth", "versions", *endpoints), output
        )
        output.seek(0)
        lines = output.read().decode().splitlines()
    found = {}
    for line in lines:
        for seen in json.loads(line)["observations"]:
            versions = seen["session"].get("versions", ())
            accepted = frozenset(each["version"] for each in versions if each["accepted"] is True)
            found[f"{seen['address']}:{seen['port']}"] = accepted
    return cost, found


def _scanned(python: str, endpoints: Sequence[str]) -> tuple[Cost, Versions]:
    versions = [f"--{name}" for name in ("sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2")]
    how = ("--tlsv1_3", "--starttls=auto")
    with tempfile.NamedTemporaryFile() as file:
        argv = (python, "-m", "sslyze", *versions, *how, f"--json_out={file.name}", *endpoints)
        cost = run(argv)
        results = json.loads(Path(file.name).read_text())["server_scan_results"]
    found = {}
    for each in results:
        where = each["server_location"]
        if each["scan_result"] is not None:
            answers = {
                name: each["scan_result"][f"{key}_cipher_suites"] for name, key in _SSLYZE.items()
            }
            if all(answer["result"] for answer in answers.values()):
                found[f"{where['hostname']}:{where['port']}"] = frozenset(
                    name
                    for name, answer in answers.items()
                    if answer["result"]["accepted_cipher_suites"]
                )
    return cost, found


@contextlib.contextmanager
def _load() -> Iterator[None]:
    """Two processes that do nothing but work for each processor."""
    spin = (sys.executable, "-c", "while True: pass")
    busy = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _fleet(size: int) -> bool:
    """Ours alone: what it holds open, keeps in memory, and waits for."""
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(size)]
    talking, silent = addresses[_SILENT:], addresses[:_SILENT]
    with _served(talking), _listening(silent):
        sound, most, at_most = _watched(talking)
        whole, *_ = _watched(addresses)
        alone = run(_of_fleet(silent[:1]))
    rows = [
        ("those that answer", f"{sound.wall:.1f}", f"{sound.megabytes:.0f}"),
        (f"with {_SILENT} that do not", f"{whole.wall:.1f}", f"{whole.megabytes:.0f}"),
        ("one that does not, alone", f"{alone.wall:.1f}", f"{alone.megabytes:.0f}"),
    ]
    print(f"\na fleet of {size}: {at_most} connections open at most, {most} to one host")
    print(tabulate(rows, headers=("", "wall s", "MB")))
    megabytes = max(sound.megabytes, whole.megabytes)
    # Bounded by the slowest: what the silent ones take hides behind the others or what one takes.
    waited = whole.wall <= 1.25 * (sound.wall + alone.wall)
    for what, good in (
        (f"at most {AT_ONCE} connections to a host", most <= AT_ONCE),
        (f"under {FLEET_MEGABYTES} MB", megabytes < FLEET_MEGABYTES),
        ("no longer than the slowest beside the rest", waited),
    ):
        print(f"{what}: {_met(good)}")
    return most > AT_ONCE or megabytes >= FLEET_MEGABYTES or not waited


def _of_fleet(addresses: Sequence[str]) -> tuple[str, ...]:
    look = ("probe", "--depth", "brief", "--port", str(_PORT))
    return (sys.executable, "-c", AGENT, *look, *addresses)


def _watched(addresses: Sequence[str]) -> tuple[Cost, int, int]:
    """The cost, the connections to one host that were open at once, and those to all of them."""
    most = at_most = 0
    with tempfile.TemporaryFile() as output, ThreadPoolExecutor() as aside:
        running = aside.submit(run, _of_fleet(addresses), output)
        while not running.done():
            open_now = Counter(there for _, there in set(_connected()))
            most = max(most, *open_now.values(), 0)
            at_most = max(at_most, open_now.total())
            time.sleep(0.02)
        output.seek(0)
        assert sum(1 for _ in output) == len(addresses)
    return running.result(), most, at_most


def _connected() -> Iterator[tuple[str, str]]:
    """Both ends of each connection to the port that is open, as the kernel has it.

    It may tell one twice, since the table changes while it is read.
    """
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, *_ = line.split()
        if state == _ESTABLISHED and there.endswith(f":{_PORT:04X}"):
            yield here, there


@contextlib.contextmanager
def _served(addresses: Sequence[str]) -> Iterator[None]:
    """An IMAP greeting inside TLS on each address, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        make_keys(Path(folder))
        ready, told = os.pipe()
        server = os.fork()
        if server == 0:
            try:
                asyncio.run(_serve(addresses, Path(folder), told))
            finally:
                os._exit(1)
        os.close(told)
        try:
            assert os.read(ready, 1), "the server did not start"
            yield
        finally:
            os.kill(server, 9)
            os.waitpid(server, 0)
            os.close(ready)


async def _serve(addresses: Sequence[str], folder: Path, told: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ec.crt", folder / "ec.key")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
            while line := await reader.readline():
                tag, _, command = line.partition(b" ")
                if command.upper().startswith(b"CAPABILITY"):
                    writer.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
                writer.write(tag.strip() + b" OK done\r\n")
        writer.close()

    server = await asyncio.start_server(talk, list(addresses), _PORT, ssl=context, backlog=64)
    os.write(told, b"1")
    await server.serve_forever()


@contextlib.contextmanager
def _listening(addresses: Sequence[str]) -> Iterator[None]:
    """Whoever connects there gets a connection, and never an answer."""
    with contextlib.ExitStack() as sockets:
        for address in addresses:
            sockets.enter_context(socket.create_server((address, _PORT)))
        yield


def _met(good: bool) -> str:  # noqa: FBT001
    return "met" if good else "MISSED"


if __name__ == "__main__":
    assert set(_SSLYZE) == set(VERSIONS)
    sys.exit(main())
