"""One running host: an overlay over its suite's base, booted by systemd-nspawn."""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.lab import cgroup, network, suites
from tests.lab.certificates import Authority
from tests.lab.command import HOST_ENVIRONMENT, run
from tests.lab.description import Description
from tests.lab.errors import LabError

_MAILSERVER = Path(__file__).parent / "mailserver"
_BOOT_SECONDS = 120.0
_HALT_SECONDS = 15.0
# Exit of the container's init, systemd(1): SIGRTMIN+3 halts the system.
_HALT = signal.SIGRTMIN + 3

# Containers outlive the command that starts them; where it is the same that ends them, it
# waits for them as a parent must.
_started: "dict[Path, subprocess.Popen[bytes]]" = {}


@dataclass(frozen=True)
class Machine:
    """A host of the lab and its folder; it may be up or not."""

    description: Description
    folder: Path

    @property
    def root(self) -> Path:
        """Its file system, while it is mounted."""
        return self.folder / "root"

    @property
    def host_key(self) -> str:
        """Its public ssh key, for known_hosts."""
        return (self.folder / "host_key.pub").read_text().rsplit(" ", 1)[0]

    @property
    def _group(self) -> str:
        """Its control group: no lab in another folder has one of that name."""
        folder = hashlib.sha256(bytes(self.folder)).hexdigest()[:8]
        return f"mailwitness-lab-{folder}-{self.description.name}"

    def make(self, authority: Authority, login_key: str, password: str, names: str) -> None:
        """Lay out the file system: configuration, certificates, keys and accounts."""
        self.halt()  # or what was left of it, if its container died on its own
        shutil.rmtree(self.folder, ignore_errors=True)
        suites.lay_over(suites.base(self.description.suite), self.folder)
        for tree in (_MAILSERVER / self.description.suite, self.description.files):
            if tree.is_dir():
                shutil.copytree(tree, self.root, dirs_exist_ok=True)
        (self.root / "etc/hostname").write_text(f"{self.description.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{names}")
        # A name server that answers at once that it is not there: any other delays banners.
        (self.root / "etc/resolv.conf").unlink(missing_ok=True)
        (self.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        for certificate in self.description.certificates:
            if not certificate.after_boot:
                authority.issue(certificate, self.root)
        self._ssh(login_key, password)
        (self.root / "etc/dovecot/users").write_text(f"tester:{{PLAIN}}{password}\n")
        prepare = (_MAILSERVER / "prepare.sh").read_text()
        self._chroot("\n".join((prepare, *self.description.prepare)))

    def _ssh(self, login_key: str, password: str) -> None:
        user = self.description.user
        home = Path("root" if user == "root" else f"home/{user}")
        script = "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key\n"
        if user != "root":
            script += f"useradd -m -s /bin/sh {user}\n"
            script += f"echo {shlex.quote(f'{user}:{password}')} | chpasswd\n"
            if self.description.sudo == "password":
                script += f"usermod -aG sudo {user}\n"
        script += f"install -d -m 700 -o {user} -g {user} /{home}/.ssh\n"
        self._chroot(script)
        keys = self.root / home / ".ssh/authorized_keys"
        keys.write_text(login_key)
        self._chroot(f"chown {user}: /{home}/.ssh/authorized_keys")
        shutil.copy(self.root / "etc/ssh/ssh_host_ed25519_key.pub", self.folder / "host_key.pub")

    def _chroot(self, script: str) -> None:
        done = subprocess.run(
            ("chroot", self.root, "/bin/sh", "-e", "-c", script),
            capture_output=True,
            text=True,
            check=False,
            env=HOST_ENVIRONMENT,
        )
        if done.returncode != 0:
            raise LabError(f"{self.description.name}: preparing it failed: {done.stderr.strip()}")

    def boot(self) -> None:
        """Start it and give it its addresses; `wait` tells when it is ready."""
        with (self.folder / "console.log").open("wb") as console:
            process = subprocess.Popen(
                (
                    "/bin/sh",
                    "-c",
                    cgroup.ENTER,
                    "sh",
                    *cgroup.make(self._group),
                    "--",
                    "systemd-nspawn",
                    "--quiet",
                    "--boot",
                    f"--directory={self.root}",
                    "--register=no",
                    "--keep-unit",
                    f"--network-bridge={network.BRIDGE}",
                    f"--machine={self.description.name}",
                ),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        _started[self.folder] = process
        (self.folder / "pid").write_text(str(process.pid))
        self._until(self._has_cable, "get its network cable")
        for address, length in ((self.description.ipv4, 24), (self.description.ipv6, 64)):
            nodad = ["nodad"] if ":" in address else []
            self._in_network("ip", "address", "add", f"{address}/{length}", "dev", "host0", *nodad)
        self._in_network("ip", "link", "set", "host0", "up")
        for gateway in network.ADDRESSES:
            # As everywhere, so that a stranger's packet is one that could be answered.
            self._in_network("ip", "route", "add", "default", "via", gateway, "dev", "host0")

    def wait(self) -> None:
        """Until its services run and its ports listen."""
        self._until(
            lambda: self.run(("systemctl", "is-system-running")).stdout.strip() == "running",
            "reach the state running (systemctl --failed in it tells why)",
        )
        for port in (22, *self.description.ready):
            self._until(partial(self._listens, port), f"listen on port {port}")

    def change(self, authority: Authority) -> None:
        """What is done behind the daemons' backs: renewed certificates, other settings."""
        self._chroot("\n".join(self.description.after_boot))
        for certificate in self.description.certificates:
            if certificate.after_boot:
                authority.issue(certificate, self.root)

    def run(self, argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command in it, as root."""
        return subprocess.run(
            self.command(argv),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command of this machine that runs `argv` in the host, as root."""
        init = self._init()
        if init is None:
            raise LabError(f"{self.description.name} is not up")
        environment = [f"{name}={value}" for name, value in HOST_ENVIRONMENT.items()]
        terminal = f"TERM={os.environ.get('TERM', 'dumb')}"
        clean = ["/usr/bin/env", "-i", terminal, *environment]
        return ["nsenter", f"--target={init}", "--all", "--", *clean, *argv]

    def is_up(self) -> bool:
        """Whether its container runs."""
        return self._init() is not None

    def halt(self) -> None:
        """End it, its init first, and unmount it; nothing happens where it is not up.

        Its control group is asked for what is left: a host outlives its systemd-nspawn.
        """
        init = self._init()
        if init is not None:
            os.kill(init, _HALT)
        deadline = time.monotonic() + _HALT_SECONDS
        while self._container() is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        self._kill_rest()
        if self.folder in _started:
            _started.pop(self.folder).wait()
        (self.folder / "pid").unlink(missing_ok=True)
        network.detach(self.description.name)
        cgroup.remove(self._group)
        self._unmount()

    def _kill_rest(self) -> None:
        deadline = time.monotonic() + _HALT_SECONDS
        while (left := self._left()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def _left(self) -> set[int]:
        container = self._container()
        pids = cgroup.members(self._group)
        return pids if container is None else pids | {container}

    def _unmount(self) -> None:
        if os.path.ismount(self.root):
            run("umount", "--lazy", self.root)

    def _container(self) -> int | None:
        """The pid of its systemd-nspawn, if that is still what runs under that pid."""
        try:
            pid = int((self.folder / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if f"--directory={self.root}".encode() in command else None

    def _init(self) -> int | None:
        """The pid of its first process: the child of systemd-nspawn that is 1 to itself.

        Another child, gone again at once, sets the file system up before.
        """
        container = self._container()
        if container is None:
            return None
        try:
            children = Path(f"/proc/{container}/task/{container}/children").read_text().split()
            for child in children:
                status = Path(f"/proc/{child}/status").read_text()
                if re.search(r"^NSpid:\t\d+.*\t1$", status, re.MULTILINE):
                    return int(child)
        except OSError:
            pass
        return None

    def _has_cable(self) -> bool:
        try:
            return "host0:" in Path(f"/proc/{self._init()}/net/dev").read_text()
        except OSError:
            return False

    def _in_network(self, *argv: str) -> None:
        run("nsenter", f"--target={self._init()}", "--net", "--", *argv)

    def _listens(self, port: int) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(1)
            return client.connect_ex((self.description.ipv4, port)) == 0

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        begun = time.monotonic()
        while not condition():
            passed = time.monotonic() - begun
            # While a process becomes another program it has no command line for a moment.
            ended = passed > 1 and self._container() is None
            if passed > _BOOT_SECONDS or ended:
                log = self.folder / "console.log"
                raise LabError(f"{self.description.name} did not {what}; its console: {log}")
            time.sleep(0.1)
