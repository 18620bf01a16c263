"""Listening TCP sockets and the process behind each, from /proc alone (proc(5))."""

import ipaddress
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import ListeningSocket, NetworkNamespace
from mailwitness.evidence.missing import Missing
from mailwitness.host.processes import PROC, Processes, processes

_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h
# fib_trie(5) has no page: an address of the namespace itself stands above its "host LOCAL".
_LOCAL = re.compile(r"\|-- ([\d.]+)\n\s+/32 host LOCAL")
_MAX_NAMESPACES = 500


@dataclass(frozen=True)
class Sockets:
    """The listeners by port and address, of this network namespace and of the others."""

    own: Union[tuple[ListeningSocket, ...], Missing]
    namespaces: Union[tuple[NetworkNamespace, ...], Missing]


def sockets() -> Sockets:
    """Everything that listens, and what it is."""
    running = processes()
    return Sockets(_listening(PROC / "net", running), _namespaces(running))


def _namespaces(running: Processes) -> Union[tuple[NetworkNamespace, ...], Missing]:
    """Those with a process that may be looked into; the others are not silently left out."""
    if running.blocked:
        return Missing(f"of {running.blocked} processes: {running.how}")
    own = (PROC / "self/ns/net").stat().st_ino
    others = {inode: pid for inode, pid in running.by_namespace.items() if inode != own}
    if len(others) > _MAX_NAMESPACES:
        return Missing(f"more than {_MAX_NAMESPACES} network namespaces")
    found = []
    for inode, pid in sorted(others.items()):
        tables = PROC / str(pid) / "net"
        listening = _listening(tables, running)
        if isinstance(listening, tuple) and listening:  # else it has ended, or is of no matter
            found.append(NetworkNamespace(inode, _addresses(tables), listening))
    return tuple(found)


def _listening(tables: Path, running: Processes) -> Union[tuple[ListeningSocket, ...], Missing]:
    found: list[ListeningSocket] = []
    for name in ("tcp", "tcp6"):
        try:
            lines = (tables / name).read_text("ascii").splitlines()[1:]
        except FileNotFoundError:
            if name == "tcp6":  # a kernel without IPv6
                continue
            return Missing(f"{tables}/tcp: not there")
        except OSError as error:
            return Missing(f"{tables}/{name}: {error.strerror}")
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                holder = running.holder(fields[9])
                found.append(ListeningSocket(_address(address), int(port, 16), holder))
    return tuple(sorted(found, key=lambda one: (one.port, one.address)))


def _address(text: str) -> str:
    """/proc/net/tcp prints each 32-bit word in the byte order of the machine."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004
    return str(ipaddress.ip_address(socket.inet_ntop(family, packed)))


def _addresses(tables: Path) -> Union[tuple[str, ...], Missing]:
    """The namespace's own addresses, without loopback's."""
    try:
        texts = {*_LOCAL.findall((tables / "fib_trie").read_text("ascii")), *_ipv6(tables)}
    except OSError as error:
        return Missing(f"{tables}: {error.strerror}")
    return tuple(sorted(text for text in texts if not ipaddress.ip_address(text).is_loopback))


def _ipv6(tables: Path) -> Iterator[str]:
    """if_inet6: the address as 32 hexadecimal digits comes first on each line."""
    try:
        lines = (tables / "if_inet6").read_text("ascii").splitlines()
    except FileNotFoundError:  # a kernel without IPv6
        return
    for line in lines:
        yield str(ipaddress.ip_address(bytes.fromhex(line.split()[0])))
