"""The lab as a whole: hosts that are up together, and the inventory by which they are reached."""

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.lab import network, suites, upstream
from tests.lab.certificates import Authority
from tests.lab.command import run
from tests.lab.description import Description, all_hosts
from tests.lab.errors import LabError
from tests.lab.machine import Machine

STATE = Path(__file__).parents[2] / ".lab"
_TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
}
# CAP_NET_ADMIN and CAP_SYS_ADMIN by their numbers, capability.h
_CAPABILITIES = 1 << 12 | 1 << 21
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def unavailable() -> str | None:
    """Why no lab can run on this machine, with what to do; None where one can."""
    if os.geteuid() != 0:
        return "the lab boots real hosts and needs root"
    if not Path("/etc/debian_version").exists():
        return "the lab is made from Debian's packages and needs a Debian machine"
    if not _may_administer():
        return "the lab needs the capabilities sys_admin and net_admin, which root lacks here"
    absent = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if absent:
        return f"the lab needs more packages: apt-get install {' '.join(absent)}"
    return None


def _may_administer() -> bool:
    """Whether root is whole; in an unprivileged container it is not."""
    status = Path("/proc/self/status").read_text()
    held = next(int(line.split()[1], 16) for line in status.splitlines() if "CapEff" in line)
    return held & _CAPABILITIES == _CAPABILITIES


class Lab:
    """The hosts under a folder of state, up or not."""

    def __init__(self, state: Path = STATE) -> None:
        self.state = state.resolve()
        self.hosts = all_hosts()

    @property
    def inventory(self) -> Path:
        """For ansible-playbook -i; written by `up`."""
        return self.state / "inventory.yml"

    @property
    def authority(self) -> Authority:
        """The lab's CA."""
        return Authority.at(self.state / "ca")

    @property
    def password(self) -> str:
        """Of the mail user `tester` and of every login, new with each state folder."""
        file = self.state / "password"
        if not file.exists():
            self.state.mkdir(parents=True, exist_ok=True)
            file.write_text(secrets.token_urlsafe(18))
            file.chmod(0o600)
        return file.read_text()

    def machine(self, name: str) -> Machine:
        """One host.

        Raises:
            LabError: there is none of that name.
        """
        if name not in self.hosts:
            raise LabError(f"no lab host {name!r}; there are: {', '.join(self.hosts)}")
        return Machine(self.hosts[name], self.state / "hosts" / name)

    def up(self, names: Iterable[str] = ()) -> None:
        """Boot these hosts, or all, as far as they are not up, and write the inventory.

        Raises:
            LabError: one of them did not come up, or another folder's lab is up.
        """
        reason = unavailable()
        if reason:
            raise LabError(reason)
        network.claim(self.state)
        machines = [self.machine(name) for name in names or self.hosts]
        wanted = [m for m in machines if m.description.boot and not m.is_up()]
        for suite in sorted({machine.description.suite for machine in wanted}):
            suites.base(suite)
        _make_room(len(self.hosts))
        network.up(self.state)
        upstream.up(self.hosts)
        self._login_key()
        authority, _ = self.authority, self.password  # made here, not by several threads at once
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(lambda machine: self._make(machine, authority), wanted))
        begun = time.monotonic()
        for machine in wanted:
            machine.boot()
        with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
            list(pool.map(lambda machine: self._ready(machine, begun, authority), wanted))
        self._write_inventory()

    def down(self) -> None:
        """End whatever of the lab is up.

        Raises:
            LabError: the lab that is up is that of another folder.
        """
        network.claim(self.state)
        machines = [self.machine(name) for name in self.hosts]
        with ThreadPoolExecutor(max_workers=len(machines)) as pool:
            list(pool.map(Machine.halt, machines))
        upstream.down()
        network.down()

    def status(self) -> Iterator[tuple[Description, bool]]:
        """Each host and whether it is up."""
        for name, description in self.hosts.items():
            yield description, self.machine(name).is_up()

    def _make(self, machine: Machine, authority: Authority) -> None:
        names = "".join(
            f"{host.ipv4} {' '.join((*host.names, host.name))}\n" for host in self.hosts.values()
        )
        login_key = (self.state / "ssh/id_ed25519.pub").read_text()
        machine.make(authority, login_key, self.password, names)

    def _ready(self, machine: Machine, begun: float, authority: Authority) -> None:
        machine.wait()
        machine.change(authority)
        seconds = time.monotonic() - begun
        print(f"{machine.description.name}: up after {seconds:.0f} s", flush=True)

    def _login_key(self) -> None:
        key = self.state / "ssh/id_ed25519"
        if not key.exists():
            key.parent.mkdir(parents=True, exist_ok=True)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key)

    def _write_inventory(self) -> None:
        """Every host that is up or is meant to be down; strict host keys stay on."""
        known = self.state / "ssh/known_hosts"
        up = {name: self.machine(name) for name in self.hosts if self.machine(name).is_up()}
        known.write_text("".join(f"{m.description.ipv4} {m.host_key}\n" for m in up.values()))
        listed = {name: host for name, host in self.hosts.items() if name in up or not host.boot}
        groups: dict[str, Any] = {
            group: {
                "hosts": {n: self._variables(h) for n, h in listed.items() if group in h.groups}
            }
            for group in ("mail", "vantage")
        }
        groups["mail"]["vars"] = {"mailwitness_trust_store": str(self.authority.root)}
        common = {
            "ansible_ssh_private_key_file": str(self.state / "ssh/id_ed25519"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} "
            "-o StrictHostKeyChecking=yes -o ConnectTimeout=5",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        content = {"all": {"children": groups, "vars": common}}
        self.inventory.write_text(yaml.safe_dump(content, sort_keys=False))
        self.inventory.chmod(0o600)  # it holds a sudo password

    def _variables(self, host: Description) -> dict[str, Any]:
        variables: dict[str, Any] = {"ansible_host": host.ipv4, "ansible_user": host.user}
        if host.names:
            variables["mailwitness_names"] = list(host.names)
        if host.allowlists:
            variables["mailwitness_allowlists"] = [dict(entry) for entry in host.allowlists]
        if host.sudo == "password":
            variables |= {"ansible_become": True, "ansible_become_password": self.password}
        return variables


def _make_room(hosts: int) -> None:
    """Each systemd watches things by about six inotify instances, and the kernel has 128 a user.

    The host that comes last would have units that fail. inotify(7).
    """
    needed = 128 + 10 * hosts
    if int(_INOTIFY.read_text()) < needed:
        _INOTIFY.write_text(str(needed))
