"""Which process holds a socket, and what it is: from /proc (proc(5)), across all namespaces."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from mailwitness.evidence.host import Process
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import since_1970
from mailwitness.host import command, privileged

PROC = Path("/proc")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_NAMESPACE = re.compile(r"net:\[(\d+)\]")
_LISTED = re.compile(r"/proc/(\d+)/(exe|fd/\d+|ns/net) -> (.*)")
_ROOT = re.compile(r"/proc/(\d+)/root/(\d+)/(\d+)/")
_MAX_CGROUP = 300


@dataclass(frozen=True)
class Processes:
    """The processes of this host as far as they may be looked into."""

    by_socket: dict[str, int]  # inode of a socket to the pid of the process behind it
    by_namespace: dict[int, int]  # inode of a network namespace to a pid in it
    executables: dict[int, str]
    roots: dict[int, tuple[int, int]]  # device and inode, where sudo had to tell
    blocked: int  # how many may not be looked into

    @property
    def how(self) -> str:
        """What would let them be looked into."""
        if os.geteuid() == 0:
            return "root is not allowed to, as in a container without that right"
        return f"needs root, or sudo for the find commands of {privileged.DOCUMENT}"

    def holder(self, inode: str) -> Union[Process, Missing]:
        """The process behind a socket."""
        pid = self.by_socket.get(inode)
        if pid is not None:
            return self._process(pid)
        if self.blocked:
            return Missing(f"{self.blocked} processes may not be looked into: {self.how}")
        return Missing("no process of this host holds it")

    def _process(self, pid: int) -> Process:
        folder = PROC / str(pid)
        found = named(pid)
        if isinstance(found, Missing):
            return Process(pid, "", found, found, found, found, None)
        unread = Missing(f"{folder}/exe: may not be read")
        return Process(
            pid=pid,
            name=found.name,
            executable=self.executables.get(pid, unread),
            started_at=found.started_at,
            own_root=self._own_root(pid),
            cgroup=_cgroup(folder),
            forwards_to=_forwards_to(folder, found.name),
        )

    def _own_root(self, pid: int) -> Union[bool, Missing]:
        """A private /tmp and its like leave the root directory what it is; a container does not."""
        here = os.stat("/")  # noqa: PTH116
        found = self.roots.get(pid)
        if found is None:
            try:
                there = os.stat(PROC / str(pid) / "root")  # noqa: PTH116
            except OSError as error:
                return Missing(f"/proc/{pid}/root: {error.strerror}")
            found = (there.st_dev, there.st_ino)
        return found == (here.st_dev, here.st_ino)


@dataclass(frozen=True)
class Named:
    """What anyone may know of a process."""

    pid: int
    name: str
    parent: int  # pid
    ticks: int  # of the start, after boot

    @property
    def started_at(self) -> Union[str, Missing]:
        """To the second."""
        for line in (PROC / "stat").read_text("ascii").splitlines():
            if line.startswith("btime "):
                return since_1970(int(line.split()[1]) + self.ticks // os.sysconf("SC_CLK_TCK"))
        return Missing("/proc/stat: no btime")


def pids() -> list[int]:
    """Of all processes that this namespace shows, the lowest first."""
    return sorted(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def everyone() -> Iterator[Named]:
    """All processes that this namespace shows, by their numbers."""
    for pid in pids():
        found = named(pid)
        if not isinstance(found, Missing):
            yield found


def named(pid: int) -> Union[Named, Missing]:
    """From proc_pid_stat(5)."""
    try:
        stat = (PROC / str(pid) / "stat").read_text("utf-8", "backslashreplace")
    except OSError as error:
        return Missing(f"{PROC / str(pid)}/stat: {error.strerror}")
    # The name stands in parentheses and may itself hold parentheses and spaces.
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()  # from field 3 on: 4 is the parent, 22 the start in ticks after boot
    return Named(pid, name, int(fields[1]), int(fields[19]))


def processes() -> Processes:
    """All that run now.

    Daemons hand listening sockets on to their children: the oldest holder, the one with the
    lowest pid, is the process behind it. The service manager holds those of the services that
    it starts on demand: it is the one behind them only while there is no other.
    """
    links, blocked = _links()
    roots: dict[int, tuple[int, int]] = {}
    if blocked and command.may_use_sudo():
        listed = command.run(privileged.LINKS, answers=(0, 1))  # 1: a process ended meanwhile
        told = command.run(privileged.ROOTS, answers=(0, 1))
        if isinstance(listed, str) and isinstance(told, str):
            links, blocked = list(_listed(listed)), 0
            found = (tuple(map(int, match.groups())) for match in _ROOT.finditer(told))
            roots = {pid: (device, inode) for pid, device, inode in found}
    by_socket: dict[str, int] = {}
    by_namespace: dict[int, int] = {}
    executables: dict[int, str] = {}
    for pid, what, target in sorted(links, key=lambda link: (link[0] == 1, link[0])):
        if what == "exe":
            executables[pid] = target
        elif what == "ns/net":
            match = _NAMESPACE.fullmatch(target)
            if match:
                by_namespace.setdefault(int(match[1]), pid)
        else:
            match = _SOCKET.fullmatch(target)
            if match:
                by_socket.setdefault(match[1], pid)
    return Processes(by_socket, by_namespace, executables, roots, blocked)


_Link = tuple[int, str, str]  # a pid, what of it, and where that link leads


def _links() -> tuple[list[_Link], int]:
    """What may be read of each process without help, and of how many nothing may."""
    found: list[_Link] = []
    blocked = 0
    for pid in pids():
        try:
            found += _links_of(pid)
        except PermissionError:
            blocked += 1
        except OSError:  # it has ended meanwhile
            continue
    return found, blocked


def _links_of(pid: int) -> Iterator[_Link]:
    folder = PROC / str(pid)
    with os.scandir(folder / "fd") as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
                yield pid, "fd", os.readlink(entry)  # noqa: PTH115
    for what in ("exe", "ns/net"):
        with contextlib.suppress(FileNotFoundError):  # a thread of the kernel has no program
            yield pid, what, os.readlink(folder / what)  # noqa: PTH115


def _listed(text: str) -> Iterator[_Link]:
    """The same from find -ls, which escapes white space in names."""
    for line in text.splitlines():
        match = _LISTED.search(line)
        if match:
            yield int(match[1]), match[2], match[3].replace("\\ ", " ")


def _cgroup(folder: Path) -> Union[str, Missing]:
    """cgroups(7): of version 2, else that of systemd's own hierarchy."""
    try:
        lines = (folder / "cgroup").read_text("utf-8", "backslashreplace").splitlines()
    except OSError as error:
        return Missing(f"{folder}/cgroup: {error.strerror}")
    by_hierarchy = dict(line.split(":", 2)[1:] for line in lines if line.count(":") > 1)
    for hierarchy in ("name=systemd", ""):
        path = by_hierarchy.get(hierarchy, "/")
        if path != "/":
            return path[:_MAX_CGROUP]
    return "/"


def _forwards_to(folder: Path, name: str) -> Optional[str]:
    """The container's side of docker-proxy; its other arguments, and others', are not kept."""
    if name != "docker-proxy":
        return None
    try:
        words = (folder / "cmdline").read_text("ascii", "replace").split("\0")
    except OSError:
        return None
    options = dict(zip(words, words[1:]))
    address, port = options.get("-container-ip"), options.get("-container-port")
    return f"{address}:{port}" if address and port else None
