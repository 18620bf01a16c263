"""Real sshds on loopback ports, each a host of its own to whoever logs in."""

import contextlib
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import suites
from tests.lab.command import run

ADDRESS = "127.0.0.1"
# In namespaces of its own: whatever a login starts ends with it.
_START = """\
mount -t proc proc {root}/proc
{daemons}
wait
"""
_DAEMON = (
    "chroot {root} /usr/sbin/sshd -D -f /dev/null -o ListenAddress=127.0.0.1:{port} "
    "-o HostKey=/etc/ssh/lab_key -o PidFile=none {more} &"
)
# After the login.
_MORE = {
    "hangs": "-o ForceCommand='exec sleep 3600'",
    "floods": "-o ForceCommand='yes & yes >&2'",
    "complains": "-o ForceCommand='exec yes >&2'",
}


@dataclass
class Fleet:
    """Who listens where, and what a login needs."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


@contextlib.contextmanager
def fleet(folder: Path, kinds: dict[str, str]) -> Iterator[Fleet]:
    """Hosts by name and kind: "sound", "down", "no-python", or what one does after the login."""
    its = Fleet(folder, {name: _free_port() for name in kinds})
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", its.key)
    without = [name for name, kind in kinds.items() if kind == "no-python"]
    others = [name for name, kind in kinds.items() if kind not in ("no-python", "down")]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_root(its, "others", {name: kinds[name] for name in others}))
        if without:
            stack.enter_context(_root(its, "no-python", {name: kinds[name] for name in without}))
        _wait(its.ports[name] for name in (*others, *without))
        yield its


@contextlib.contextmanager
def _root(its: Fleet, name: str, kinds: dict[str, str]) -> Iterator[None]:
    """A Debian file system, and an sshd in it for each host."""
    root = suites.lay_over(suites.base("bookworm"), its.folder / name)
    try:
        home = root / "root" / ".ssh"
        home.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{its.key}.pub", home / "authorized_keys")
        (root / "run" / "sshd").mkdir(parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / "etc/ssh/lab_key")
        public = (root / "etc/ssh/lab_key.pub").read_text().rsplit(maxsplit=1)[0]
        if name == "no-python":
            for python in (root / "usr" / "bin").glob("python3*"):
                python.unlink()
        daemons = []
        with its.known_hosts.open("a") as known:
            for host, kind in kinds.items():
                port = its.ports[host]
                known.write(f"[{ADDRESS}]:{port} {public}\n")
                more = _MORE.get(kind, "")
                daemons.append(_DAEMON.format(root=shlex.quote(str(root)), port=port, more=more))
        script = _START.format(root=shlex.quote(str(root)), daemons="\n".join(daemons))
        spaces = ("--pid", "--mount", "--fork", "--kill-child")
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            ("unshare", *spaces, "sh", "-ec", script), stdin=quiet, stdout=quiet, stderr=quiet
        ) as process:
            try:
                yield
            finally:
                process.kill()
    finally:
        run("umount", "-l", root)


def _wait(ports: Iterable[int]) -> None:
    deadline = time.monotonic() + 30
    for port in ports:
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((ADDRESS, port)).close()
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"no sshd on port {port}")
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        port: int = found.getsockname()[1]
        return port
