"""What a host costs the controller: audit play and collect, the usual role and plain ssh.

    python -m benchmarks.transport_cost [--hosts 60]

All look at the same sshds on loopback addresses, one after the other, 20 hosts at a time; needs
root, and a control group to count what connections kept open cost too. The hosts share a file
system and the cores of the controller: the agent is there after the first, times are upper bounds.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.lab.audit import ROOT, playbook
from tests.transport import sshd

from mailwitness import zipapp

_AT_ONCE = "20"
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
    """Of one run, for each host: the controller's own CPU, and time."""

    cpu: float  # seconds
    wall: float  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=60)
    hosts = parser.parse_args().hosts
    names = [f"h{number}" for number in range(hosts)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with sshd.fleet(folder, dict.fromkeys(names, "sound")) as fleet:
            costs = {
                name: _cost(name, command, hosts)
                for name, command in _commands(folder, fleet).items()
            }
    _judge(costs)


def _commands(folder: Path, fleet: sshd.Fleet) -> dict[str, list[str]]:
    agent = folder / _AGENT
    zipapp.write(agent)
    trust = f"-o UserKnownHostsFile={fleet.known_hosts}"
    inventory = folder / "hosts.yml"
    common = {
        "ansible_host": sshd.ADDRESS,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(fleet.key),
        "ansible_ssh_common_args": trust,
        "mailwitness_ports": [1],
        "mailwitness_fail_on": "never",
    }
    hosts = {name: {"ansible_port": port} for name, port in fleet.ports.items()}
    inventory.write_text(yaml.safe_dump({"mail": {"hosts": hosts, "vars": common}}))
    usual = folder / "usual.yml"
    usual.write_text(yaml.safe_dump(_USUAL))
    variables = ("-e", f"agent={agent}", "-e", f"output={folder}/fetched")
    ansible = playbook(inventory, folder / "playbook")
    collect = ("--output", str(folder / "collect"), "--fail-on", "never", "--jobs", _AT_ONCE)
    remote = f"cat >/root/floor.$$; python3 /root/floor.$$ {_INSPECT}; rm /root/floor.$$"
    plain = (
        f"ssh -i {fleet.key} -p PORT {trust} root@{sshd.ADDRESS} {shlex.quote(remote)} "
        f"<{agent} >{folder}/floor.PORT"
    )
    ports = " ".join(map(str, fleet.ports.values()))
    floor = f"printf '%s\\n' {ports} | xargs -P {_AT_ONCE} -I PORT sh -c {shlex.quote(plain)}"
    return {
        "plain ssh": ["sh", "-c", floor],
        "usual role": [ansible[0], "-i", str(inventory), str(usual), *variables],
        "audit play": ansible,
        "collect": [
            *(sys.executable, "-m", "mailwitness.cli", "collect", "-i", str(inventory)),
            *collect,
        ],
    }


def _cost(name: str, command: list[str], hosts: int) -> Cost:
    group = (_FIRST if _FIRST.exists() else _SECOND) / f"mailwitness-cost-{os.getpid()}"
    group.mkdir()
    try:
        joined = f"echo $$ >{group}/cgroup.procs && exec {shlex.join(command)}"
        # The usual role as it comes; the others with the settings of the checkout.
        cwd = Path("/") if name == "usual role" else ROOT
        env = {**os.environ, "ANSIBLE_FORKS": _AT_ONCE, "PYTHONPATH": os.pathsep.join(sys.path)}
        start = time.monotonic()
        done = subprocess.run(
            ("/bin/sh", "-c", joined), cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        wall = time.monotonic() - start
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        cost = Cost(_cpu(group) / hosts, wall / hosts)
        print(f"{name:10}: {1000 * cost.cpu:6.0f} ms CPU, {1000 * cost.wall:6.0f} ms a host")
        sys.stdout.flush()
        return cost
    finally:
        while kept_open := (group / "cgroup.procs").read_text().split():
            for pid in kept_open:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
            time.sleep(0.05)
        group.rmdir()


def _cpu(group: Path) -> float:
    """Seconds that all that ever ran in it took."""
    if _FIRST.exists():
        return int((group / "cpuacct.usage").read_text()) / 1e9
    stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(stat["usage_usec"]) / 1e6


def _judge(costs: dict[str, Cost]) -> None:
    floor, usual, play, collect = costs.values()
    for what, ratio, goal in (
        ("audit play's CPU to plain ssh's", play.cpu / floor.cpu, 1.9),
        ("audit play's CPU to the usual role's", play.cpu / usual.cpu, 0.20),
        ("audit play's time to the usual role's", play.wall / usual.wall, 0.15),
        ("audit play's time to plain ssh's", play.wall / floor.wall, 1.25),
        ("collect's CPU to the audit play's", collect.cpu / play.cpu, 0.25),
    ):
        met = "met" if ratio <= goal else "not met"
        print(f"{what}: {ratio:.2f}, goal {goal:.2f}: {met}")


if __name__ == "__main__":
    main()
