"""What a host costs the controller: audit play and collect, the usual role and plain ssh.

    python -m benchmarks.transport_cost [--hosts 60] [--rounds 3]

All look at the same sshds on loopback addresses, one after the other, 20 hosts at a time; the usual
role as Ansible comes, five at a time and with facts, and tuned, by the settings of the checkout.
Needs root, and control groups to count what connections kept open and what the hosts cost, too. The
hosts share a file system and the cores of the controller: the agent is there after the first,
times are upper bounds. What audits is run over ten hosts and over twice as many, too: start-up is
what is left where there is no host, growth what more of them cost. That is a small difference of
two runs, and one run differs from the next by more: all are run in turn, in rounds, and of each the
median counts.
"""

import argparse
import contextlib
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path

import yaml
from tests.lab.audit import ROOT, playbook
from tests.transport import sshd

from benchmarks.installed import compile_sources
from mailwitness import zipapp

_AT_ONCE, _FEW = "20", 10
_PLAIN, _USUAL_ROLE, _TUNED_ROLE = "plain ssh", "usual role", "tuned role"
_PLAY, _COLLECT, _REPORT = "audit play", "collect", "report alone"
_AUDITS = _PLAY, _COLLECT
_GROWING = *_AUDITS, _REPORT
_AGENT = "mailwitness-agent.pyz"
# Control groups, version 1 where there is one, and 2.
_FIRST, _SECOND = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")
_INSPECT = "inspect --host it --address 127.0.0.1 --port 1"
_USUAL = [
    {
        "hosts": "mail",
        "tasks": [
            {"stat": {"path": "/root/usual.pyz"}},
            {"copy": {"src": "{{ agent }}", "dest": "/root/usual.pyz", "mode": "0700"}},
            {"shell": f"python3 /root/usual.pyz {_INSPECT} >/root/usual.{{{{ ansible_port }}}}"},
            {"fetch": {"src": "/root/usual.{{ ansible_port }}", "dest": "{{ output }}"}},
        ],
    }
]


@dataclass(frozen=True)
class Cost:
    """Of one run, in seconds."""

    hosts: int
    cpu: float  # the controller's
    wall: float
    theirs: float  # CPU of the hosts


@dataclass(frozen=True)
class Groups:
    """Control groups: of the hosts, and of what looks at them."""

    hosts: Path
    controller: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    hosts = arguments.hosts
    names = [f"h{number}" for number in range(2 * hosts)]
    compile_sources()
    print(f"{'a host:':25} {'CPU':>6} {'time':>6} {'their CPU':>10}   in ms")
    with tempfile.TemporaryDirectory() as temporary, _groups() as groups:
        folder = Path(temporary)
        with sshd.fleet(folder, dict.fromkeys(names, "sound")) as fleet:
            runs: dict[tuple[str, int], list[Cost]] = {}
            for _, count in product(range(arguments.rounds), (hosts, _FEW, 2 * hosts)):
                for name, command in _commands(folder, fleet, count).items():
                    if count == hosts or name in _GROWING:
                        cost = _cost(name, command, count, groups)
                        runs.setdefault((name, count), []).append(cost)
    _judge({what: _median(its) for what, its in runs.items()}, hosts)


def _median(runs: Iterable[Cost]) -> Cost:
    """Of each of its figures."""
    return Cost(*map(statistics.median, zip(*map(astuple, runs), strict=True)))


@contextlib.contextmanager
def _groups() -> Iterator[Groups]:
    """What is started in here is a host, unless it joins the other group."""
    above = _FIRST if _FIRST.exists() else _SECOND
    its = Groups(*(above / f"mailwitness-{name}-{os.getpid()}" for name in ("hosts", "cost")))
    its.hosts.mkdir()
    try:
        _join(its.hosts)
        yield its
    finally:
        _join(above)
        _end_all(its.hosts)


def _join(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _end_all(group: Path) -> None:
    """Whatever is left in it, and itself."""
    while left := (group / "cgroup.procs").read_text().split():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
        time.sleep(0.05)
    group.rmdir()


def _commands(folder: Path, fleet: sshd.Fleet, count: int) -> dict[str, list[str]]:
    ports = dict(list(fleet.ports.items())[:count])
    agent = folder / _AGENT
    zipapp.write(agent)
    trust = f"-o UserKnownHostsFile={fleet.known_hosts}"
    inventory = folder / f"hosts{count}.yml"
    common = {
        "ansible_host": sshd.ADDRESS,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(fleet.key),
        "ansible_ssh_common_args": trust,
        "mailwitness_ports": [1],
        "mailwitness_fail_on": "never",
    }
    hosts = {name: {"ansible_port": port} for name, port in ports.items()}
    inventory.write_text(yaml.safe_dump({"mail": {"hosts": hosts, "vars": common}}))
    usual = folder / "usual.yml"
    usual.write_text(yaml.safe_dump(_USUAL))
    variables = ("-e", f"agent={agent}", "-e", f"output={folder}/fetched")
    output = folder / f"playbook{count}"
    ansible = playbook(inventory, output)
    role = [ansible[0], "-i", str(inventory), str(usual), *variables]
    ours = [sys.executable, "-m", "mailwitness.cli"]
    written = ("--fail-on", "never", "--output")
    remote = f"cat >/root/floor.$$; python3 /root/floor.$$ {_INSPECT}; rm /root/floor.$$"
    plain = (
        f"ssh -i {fleet.key} -p PORT {trust} root@{sshd.ADDRESS} {shlex.quote(remote)} "
        f"<{agent} >{folder}/floor.PORT"
    )
    listed = " ".join(map(str, ports.values()))
    floor = f"printf '%s\\n' {listed} | xargs -P {_AT_ONCE} -I PORT sh -c {shlex.quote(plain)}"
    return {
        _PLAIN: ["sh", "-c", floor],
        _USUAL_ROLE: role,
        _TUNED_ROLE: role,
        _PLAY: ansible,
        _COLLECT: [
            *(*ours, "collect", "-i", str(inventory), "--jobs", _AT_ONCE),
            *(*written, str(folder / f"collect{count}")),
        ],
        # A part of both: what has been gathered becomes a report.
        _REPORT: [*ours, "judge", str(output / "evidence"), *written, str(folder / "report")],
    }


def _cost(name: str, command: list[str], hosts: int, groups: Groups) -> Cost:
    group = groups.controller
    group.mkdir()
    try:
        joined = f"echo $$ >{group}/cgroup.procs && exec {shlex.join(command)}"
        # The usual role by Ansible's own settings, the others by those of the checkout.
        cwd = Path("/") if name == _USUAL_ROLE else ROOT
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        before, start = _cpu(groups.hosts), time.monotonic()
        done = subprocess.run(
            ("/bin/sh", "-c", joined), cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        wall = time.monotonic() - start
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        cost = Cost(hosts, _cpu(group), wall, _cpu(groups.hosts) - before)
        cpu, wall, theirs = (1000 * each / hosts for each in (cost.cpu, cost.wall, cost.theirs))
        print(f"{name:15} {hosts:3} hosts {cpu:6.0f} {wall:6.0f} {theirs:10.0f}", flush=True)
        return cost
    finally:
        _end_all(group)


def _cpu(group: Path) -> float:
    """Seconds that all that ever ran in it took."""
    if _FIRST.exists():
        return int((group / "cpuacct.usage").read_text()) / 1e9
    stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(stat["usage_usec"]) / 1e6


def _judge(costs: dict[tuple[str, int], Cost], hosts: int) -> None:
    def each(name: str, first: int, last: int) -> float:
        """Seconds of CPU that a host more costs, between so many and so many."""
        few, many = costs[name, first], costs[name, last]
        return (many.cpu - few.cpu) / (many.hosts - few.hosts)

    for name in _GROWING:
        slope = each(name, _FEW, hosts)
        start_up = costs[name, _FEW].cpu - _FEW * slope
        print(f"{name}: {1000 * start_up:.0f} ms CPU to start, {1000 * slope:.0f} for each host")
    names = (_PLAIN, _USUAL_ROLE, _TUNED_ROLE, _PLAY, _COLLECT)
    floor, usual, tuned, play, collect = (costs[name, hosts] for name in names)
    double = costs[_PLAY, 2 * hosts]
    for what, found, goal in (
        ("audit play's CPU to plain ssh's", play.cpu / floor.cpu, 1.9),
        ("audit play's CPU to the usual role's", play.cpu / usual.cpu, 0.20),
        ("audit play's time to the usual role's", play.wall / usual.wall, 0.15),
        ("audit play's time to the tuned role's", play.wall / tuned.wall, 0.25),
        ("audit play's time to plain ssh's", play.wall / floor.wall, 1.25),
        ("hosts' CPU with the audit play to with plain ssh", play.theirs / floor.theirs, 1.15),
        ("audit play's CPU a host, twice the hosts", double.cpu / 2 / play.cpu, 1.05),
        ("collect's CPU to the audit play's", collect.cpu / play.cpu, 0.25),
        ("collect's CPU for each host, in seconds", each(_COLLECT, _FEW, hosts), 0.030),
        *(
            # Linear is 1; a tenth is what runs differ by.
            (
                f"{name}'s CPU for each host beyond {hosts}, to that before",
                each(name, hosts, 2 * hosts) / each(name, _FEW, hosts),
                1.1,
            )
            for name in _AUDITS
        ),
    ):
        met = "met" if found <= goal else "not met"
        print(f"{what}: {found:.3g}, goal {goal:g}: {met}")


if __name__ == "__main__":
    main()
