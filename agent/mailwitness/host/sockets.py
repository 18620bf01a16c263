"""Listening TCP sockets and the process behind each, from /proc alone (proc(5))."""

import contextlib
import datetime
import ipaddress
import os
import socket
import struct
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import ListeningSocket, Process
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import stamp

_PROC = Path("/proc")
_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h


def listening_sockets() -> Union[tuple[ListeningSocket, ...], Missing]:
    """The listeners of this network namespace, by port and address."""
    inodes: list[tuple[str, int, str]] = []
    for name in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / name).read_text("ascii").splitlines()[1:]
        except FileNotFoundError:
            if name == "tcp6":  # a kernel without IPv6
                continue
            return Missing("/proc/net/tcp: not there")
        except OSError as error:
            return Missing(f"/proc/net/{name}: {error.strerror}")
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                inodes.append((_address(address), int(port, 16), fields[9]))
    owners, blocked = _processes_by_socket()
    unknown = Missing(
        f"the files of {blocked} processes may not be read: needs root"
        if blocked
        else "no process of this namespace holds it"
    )
    sockets = (
        ListeningSocket(address, port, owners.get(inode, unknown))
        for address, port, inode in inodes
    )
    return tuple(sorted(sockets, key=lambda found: (found.port, found.address)))


def _address(text: str) -> str:
    """/proc/net/tcp prints each 32-bit word in the byte order of the machine."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004
    return str(ipaddress.ip_address(socket.inet_ntop(family, packed)))


def _processes_by_socket() -> tuple[dict[str, Process], int]:
    """Socket inode to process, and the number of processes whose files may not be read.

    Daemons hand listening sockets on to their children: the oldest holder, the one with
    the lowest pid, is the process behind it.
    """
    owners: dict[str, Process] = {}
    blocked = 0
    for pid in sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()):
        try:
            links = _open_files(pid)
        except PermissionError:
            blocked += 1
            continue
        except OSError:  # it has ended meanwhile
            continue
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")} - owners.keys()
        if inodes:
            owners.update(dict.fromkeys(inodes, process(pid)))
    return owners, blocked


def _open_files(pid: int) -> list[str]:
    links = []
    with os.scandir(_PROC / str(pid) / "fd") as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
                links.append(os.readlink(entry))  # noqa: PTH115
    return links


def process(pid: int) -> Process:
    """The process of that number; one that is gone has no name."""
    folder = _PROC / str(pid)
    try:
        stat = (folder / "stat").read_text("utf-8", "backslashreplace")
    except OSError as error:
        gone = Missing(f"{folder}/stat: {error.strerror}")
        return Process(pid, "", gone, gone)
    # The name stands in parentheses and may itself hold parentheses and spaces.
    name, _, rest = stat.partition("(")[2].rpartition(")")
    try:
        executable: Union[str, Missing] = str((folder / "exe").readlink())
    except OSError as error:
        executable = Missing(f"{folder}/exe: {error.strerror}")
    ticks = int(rest.split()[19])  # field 22 of proc_pid_stat(5): start, ticks after boot
    return Process(pid, name, executable, _time_of(ticks))


def _time_of(ticks: int) -> Union[str, Missing]:
    for line in (_PROC / "stat").read_text("ascii").splitlines():
        if line.startswith("btime "):
            seconds = int(line.split()[1]) + ticks // os.sysconf("SC_CLK_TCK")
            moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
            return stamp(moment)
    return Missing("/proc/stat: no btime")
