"""The probe against sslyze and testssl.sh on the same ports: wall time, connections, memory.

    python -m benchmarks.wire_speed [--sslyze PYTHON] [--testssl SCRIPT] HOST:PORT ...

PYTHON is an interpreter that has sslyze. Connections are those that this network namespace opened
meanwhile: run it where nothing else does. `versions` asks which versions are accepted, `brief`
for chains and capabilities, too, `full` for all. Medians of three runs; one of testssl.sh. The
goals are those of the median of all ports. Exit status 1 where one is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tabulate import tabulate

from benchmarks.installed import compile_sources
from mailwitness.evidence.probe import Protocol
from mailwitness.evidence.services import SERVICES
from mailwitness.probe.conversations import DEPTHS

AGENT = "import sys; from mailwitness.agent import main; sys.exit(main())"
RUNS = 3
# Goals: our look at versions against sslyze's and testssl.sh -p, our full one against all.
GOALS = {
    ("sslyze versions", "versions"): {"wall": 20, "connections": 80},
    ("testssl.sh -p", "versions"): {"wall": 30},
    ("sslyze all", "full"): {"wall": 5, "connections": 5},
}


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    connections: float
    megabytes: float


def opened() -> int:
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    names, values = [line for line in lines if line[0] == "Tcp:"]
    return int(values[names.index("ActiveOpens")])


# Runs a command and says what it took: seconds, seconds of CPU, KiB. To a process the kernel
# counts what the one that started it had in memory, which is little of this one.
_MEASURE = """
import os, sys, time
say = int(sys.argv[1])
os.set_inheritable(say, False)
begun = time.monotonic()
child = os.fork()
if not child:
    os.execvp(sys.argv[2], sys.argv[2:])
usage = os.wait4(child, 0)[2]
took = time.monotonic() - begun
os.write(say, b"%f %f %d" % (took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))
"""


def run(argv: Sequence[str], output: int | IO[bytes] = subprocess.DEVNULL) -> Cost:
    connections = opened()
    said, say = os.pipe()
    with open(said, "rb") as measured:  # noqa: PTH123 - it is none of a path
        subprocess.run(
            (sys.executable, "-I", "-S", "-c", _MEASURE, str(say), *argv),
            stdout=output,
            stderr=subprocess.DEVNULL,
            pass_fds=(say,),
            check=True,
        )
        os.close(say)
        wall, cpu, kibibytes = map(float, measured.read().split())
    return Cost(wall, cpu, opened() - connections, kibibytes / 1024)


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(
            statistics.median(getattr(cost, name) for cost in costs)
            for name in ("wall", "cpu", "connections", "megabytes")
        )
    )


def starttls(port: int) -> Protocol | None:
    """The protocol by whose STARTTLS the port is usually asked for TLS; None: by no such thing."""
    service = SERVICES.get(port)
    return service.protocol if service is not None and service.tls == "starttls" else None


def commands(host: str, port: int, peers: argparse.Namespace) -> dict[str, list[str]]:
    ours = [sys.executable, "-c", AGENT, "probe", "--port", str(port)]
    found: dict[str, list[str]] = {depth: [*ours, "--depth", depth, host] for depth in DEPTHS}
    upgrade = starttls(port)
    if peers.sslyze:
        scan = [peers.sslyze, "-m", "sslyze", *([f"--starttls={upgrade}"] if upgrade else [])]
        versions = [f"--{name}" for name in ("sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2")]
        found["sslyze versions"] = [*scan, *versions, "--tlsv1_3", f"{host}:{port}"]
        found["sslyze all"] = [*scan, f"{host}:{port}"]
    if peers.testssl:
        scan = [peers.testssl, "-p", "--quiet", "--color=0", "--nodns=none"]
        found["testssl.sh -p"] = [*scan, *(["-t", upgrade] if upgrade else []), f"{host}:{port}"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sslyze", metavar="PYTHON")
    parser.add_argument("--testssl", metavar="SCRIPT")
    parser.add_argument("endpoints", nargs="+", metavar="HOST:PORT")
    arguments = parser.parse_args()
    compile_sources()
    ratios: dict[tuple[str, str, str], list[float]] = {}
    for endpoint in arguments.endpoints:
        host, _, port = endpoint.rpartition(":")
        costs = {
            name: median([run(argv) for _ in range(1 if name.startswith("testssl") else RUNS)])
            for name, argv in commands(host, int(port), arguments).items()
        }
        rows = [
            (name, f"{one.wall:.2f}", f"{one.cpu:.2f}", one.connections, f"{one.megabytes:.0f}")
            for name, one in costs.items()
        ]
        print(f"\n{endpoint}")
        print(tabulate(rows, headers=("", "wall s", "CPU s", "connections", "MB")))
        for (theirs, ours), goals in GOALS.items():
            for what in goals if theirs in costs else ():
                ratio = getattr(costs[theirs], what) / max(getattr(costs[ours], what), 1e-9)
                ratios.setdefault((theirs, ours, what), []).append(ratio)
                print(f"{theirs} / {ours}, {what}: {ratio:.1f} times", flush=True)
    print(f"\nmedians of {len(arguments.endpoints)} ports")
    missed = False
    for (theirs, ours, what), all_of in ratios.items():
        ratio, goal = statistics.median(all_of), GOALS[theirs, ours][what]
        missed |= ratio < goal
        word = "met" if ratio >= goal else "MISSED"
        print(f"{theirs} / {ours}, {what}: {ratio:.1f} times (goal {goal}: {word})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
