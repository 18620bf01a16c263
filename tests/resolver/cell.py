"""A mail host without a service manager: namespaces over a base of the lab, up in a blink."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import suites
from tests.lab.command import HOST_ENVIRONMENT, run

CLIENT, ADDRESSES = "10.9.0.1", ("10.9.0.2", "10.9.0.3")
_SECONDS = 240.0
_ENTER = """\
mount --make-rprivate /
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/run"
exec chroot "$0" sleep infinity
"""


@dataclass(frozen=True)
class Cell:
    """One host, and a client in a network namespace of its own."""

    root: Path
    init: int
    client: int

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """A command in the host, as root."""
        environment = [f"{name}={value}" for name, value in HOST_ENVIRONMENT.items()]
        where = ("--pid", "--net", "--mount", "--uts", "--root", "--wd")
        return _run(("nsenter", f"--target={self.init}", *where, "env", "-i", *environment, *argv))

    def from_client(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """A command of this machine on the client's network."""
        return _run(("nsenter", f"--target={self.client}", "--net", *argv))


def _run(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
    )


@contextlib.contextmanager
def cell(base: Path, folder: Path, files: Mapping[str, bytes]) -> Iterator[Cell]:
    """A host with these files beside those of its base; all of it is gone in the end."""
    root = suites.lay_over(base, folder)
    with contextlib.ExitStack() as stack:
        stack.callback(run, "umount", "--lazy", root)
        for name, content in files.items():
            file = root / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o600 if "key" in name else 0o644)
        spaces = ("--pid", "--mount", "--net", "--uts")
        host = stack.enter_context(
            _process("unshare", *spaces, "--fork", "--kill-child", "sh", "-ec", _ENTER, str(root))
        )
        init = _child(host)
        client = stack.enter_context(_process("unshare", "--net", "sleep", "infinity"))
        _until(lambda: _differs(init) and _differs(client))
        _connect(init, client)
        yield Cell(root, init, client)


@contextlib.contextmanager
def _process(*argv: str) -> Iterator[int]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _child(pid: int) -> int:
    """The first process of the new namespace, once it sleeps in its root."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found: list[str] = []

    def asleep() -> bool:
        found[:] = children.read_text().split()
        return bool(found) and Path(f"/proc/{found[0]}/comm").read_text() == "sleep\n"

    _until(asleep)
    return int(found[0])


def _differs(pid: int) -> bool:
    """Whether the process has a network of its own yet."""
    own, its = (Path(f"/proc/{who}/ns/net").readlink() for who in ("self", pid))
    return own != its


def _connect(init: int, client: int) -> None:
    def there(pid: int, *argv: str) -> None:
        run("nsenter", f"--target={pid}", "--net", "--", "ip", *argv)

    there(client, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", str(init))
    for pid, addresses in ((client, (CLIENT,)), (init, ADDRESSES)):
        for address in addresses:
            there(pid, "address", "add", f"{address}/24", "dev", "v0")
        for device in ("lo", "v0"):
            there(pid, "link", "set", device, "up")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} did not come true")
        time.sleep(0.01)
