"""What one run of the agent costs its host: time, memory, and the slowest commands.

    python -m benchmarks.agent_cost [--runs 15]

On hosts of the lab, one of each Debian release, which are booted for it where they are not up;
needs root. The peer is the look that people take by hand, command after command in a shell. Goals:
under 1.0 s and 40 MB at the median.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate
from tests.lab.lab import Lab
from tests.lab.machine import Machine

from mailwitness import zipapp

HOSTS = ("legacy", "good", "dovecot24")
_PORTS = (25, 110, 143, 465, 587, 993, 995)
_AGENT = "root/agent.pyz"
# Says what the command took and what it printed; the memory is that of the largest process of all.
_MEASURE = """\
import json, resource, subprocess, sys, time
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
wall = time.monotonic() - begun
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([wall, used.ru_utime + used.ru_stime, used.ru_maxrss, done.stdout.decode()], sys.stdout)
"""
_BY_HAND = (
    "doveconf -n; postconf -n; postconf -M; postconf -P; ss -ltnp; nft list ruleset; "
    "iptables-save; ip address; ip route"
)


@dataclass(frozen=True)
class Sample:
    """Of one run: seconds, seconds of processor, bytes of the largest process."""

    wall: float
    cpu: float
    memory: int
    said: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    lab = Lab()
    found_up = any(up for _, up in lab.status())
    lab.up(HOSTS)
    machines = [lab.machine(name) for name in HOSTS]
    try:
        rows = [row for machine in machines for row in _host(machine, runs)]
        slow = [row for machine in machines for row in _slowest(machine)]
    finally:
        if not found_up:
            lab.down()
    headers = ("host", "release", "what", "seconds", "cpu seconds", "MB", "of by hand")
    print(tabulate(rows, headers, floatfmt=".2f"))
    print("\nwhere the agent's time goes, in one more run:")
    print(tabulate(slow, ("host", "collector, its slowest commands", "seconds"), floatfmt=".3f"))


def _host(machine: Machine, runs: int) -> Iterator[tuple[Any, ...]]:
    (machine.root / _AGENT).write_bytes(zipapp.build().content)
    commands = {
        "agent": _agent(machine),
        "by hand": ["sh", "-c", _BY_HAND],
    }
    samples: dict[str, list[Sample]] = {what: [] for what in commands}
    for _ in range(runs):  # by turns, since a machine is not the same all the time
        for what, command in commands.items():
            samples[what].append(_sample(machine, command))
    for what, found in samples.items():
        wall = statistics.median(sample.wall for sample in found)
        peer = statistics.median(sample.wall for sample in samples["by hand"])
        yield (
            machine.description.name,
            machine.description.suite,
            what,
            wall,
            statistics.median(sample.cpu for sample in found),
            statistics.median(sample.memory for sample in found) / 1e6,
            wall / peer,
        )


def _agent(machine: Machine) -> list[str]:
    ports = [word for port in _PORTS for word in ("--port", str(port))]
    where = ("--host", "it", "--address", machine.description.ipv4)
    return ["python3", f"/{_AGENT}", "inspect", *where, *ports]


def _sample(machine: Machine, command: list[str]) -> Sample:
    done = machine.run(["python3", "-c", _MEASURE, *command])
    if done.returncode != 0:
        sys.exit(f"{machine.description.name}: {done.stderr}")
    wall, cpu, kibibytes, said = json.loads(done.stdout)
    return Sample(wall, cpu, kibibytes * 1024, said)


def _slowest(machine: Machine) -> Iterator[tuple[Any, ...]]:
    """The collectors and commands that took longest."""
    timings = json.loads(_sample(machine, _agent(machine)).said)["agent"]["timings"]
    for timing in timings[:3]:
        yield machine.description.name, timing["collector"], timing["seconds"]
        for command, seconds in sorted(timing["commands"].items(), key=lambda each: -each[1])[:2]:
            yield machine.description.name, f"  {command[:60]}", seconds


if __name__ == "__main__":
    main()
