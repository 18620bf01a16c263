"""A host in network namespaces, and real SYNs to it: the kernel's own answer.

Three namespaces: the host with eth0, eth1 and a bridge docker0, a container behind the bridge, and
the outside, which holds the other ends of eth0 and eth1 and sends frames with any source address.
A SYN-ACK that comes back means admitted. Needs root.
"""

import contextlib
import ctypes
import itertools
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mailwitness.firewall.network import Listener, Network
from tests.firewall.kernel.scene import ADDRESSES, CONTAINER, GATEWAYS, OUTER, PORTS, Scene
from tests.firewall.kernel.tools import ToolError, run

BATCH = 64
SYN, SYN_ACK = 0x02, 0x12
# Loopback cables deliver within the call that sends; the wait is for a busy machine.
QUIET_SECONDS = 0.03
LONGEST_SECONDS = 2.0
LOWEST_PORT, HIGHEST_PORT = 1024, 60999
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)

Flow = tuple[bytes, int, bytes, int]  # the host's address and port, the client's


@dataclass(frozen=True)
class Probe:
    """One SYN."""

    source: str
    address: str
    port: int
    interface: str


class Host:
    """Enters the host's namespace and stays there: the filter's tools run from here."""

    _count = itertools.count()

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        name = f"mwfw{os.getpid()}-{next(self._count)}"
        self._names = {each: f"{name}{each}" for each in ("host", "out", "box")}
        self._spaces: dict[str, int] = {}
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._listeners: list[socket.socket] = []
        self._wires: dict[str, socket.socket] = {}
        self._hardware: dict[str, tuple[bytes, bytes]] = {}
        self._ports = itertools.cycle(range(LOWEST_PORT, HIGHEST_PORT + 1))
        self._asked: set[Flow] = set()
        self.late = 0  # answers that came when nobody waited for them any more

    def __enter__(self) -> Self:
        try:
            for each, name in self._names.items():
                run("ip", "netns", "add", name)
                self._spaces[each] = os.open(f"/run/netns/{name}", os.O_RDONLY)
            self._wire_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _enter(self._home)
        for each in (*self._listeners, *self._wires.values()):
            each.close()
        for name in self._names.values():
            with contextlib.suppress(ToolError):
                run("ip", "netns", "del", name)
        for descriptor in (self._home, *self._spaces.values()):
            os.close(descriptor)

    # Making

    def _batch(self, space: str, *lines: str) -> None:
        run("ip", "-n", self._names[space], "-batch", "-", stdin="\n".join(lines) + "\n")

    def _wire_up(self) -> None:
        out, box = self._names["out"], self._names["box"]
        self._batch(
            "host",
            *(f"link add {device} type veth peer {device}p netns {out}" for device in OUTER),
            "link add docker0 type bridge",
            f"link add vethc type veth peer eth0 netns {box}",
            "link set vethc master docker0",
            # The other end is a raw socket and answers no neighbour discovery.
            *(f"link set {device} arp off" for device in OUTER),
        )
        self._settings()
        self._batch(
            "host",
            *(
                f"addr add {address} dev {device}{' nodad' if ':' in address else ''}"
                for device, addresses in ADDRESSES.items()
                if device != "lo"
                for address in addresses
            ),
            *(f"link set {device} up" for device in (*ADDRESSES, "vethc")),
        )
        self._batch("out", *(f"link set {device}p up" for device in OUTER))
        self._batch("box", "link set lo up", "link set eth0 up")
        self._join_container()
        self._batch("host", *self._routes())
        self._open_wires()
        self._listen("box", (Listener(0, address, port) for address in CONTAINER for port in PORTS))
        self._listen("host", self._scene.listeners)

    def _join_container(self) -> None:
        # A ruleset may drop neighbour discovery; that is not what is asked.
        _enter(self._spaces["box"])
        boxed = _colons(_hardware_address("eth0"))
        _enter(self._spaces["host"])
        bridge = _colons(_hardware_address("docker0"))
        lines = []
        for address, own in zip(CONTAINER, ADDRESSES["docker0"], strict=True):
            gateway, _, length = own.partition("/")
            lines += [
                f"addr add {address}/{length} dev eth0{' nodad' if ':' in address else ''}",
                f"neigh add {gateway} lladdr {bridge} dev eth0",
                f"route add default via {gateway}",
            ]
            self._batch("host", f"neigh add {address} lladdr {boxed} dev docker0")
        self._batch("box", *lines)

    def _routes(self) -> Iterator[str]:
        for route in self._scene.routes:
            if route.type != "unicast":
                yield f"route add {route.type} {route.destination}"
                continue
            six = route.family == 6
            everywhere = "::/0" if six else "0.0.0.0/0"
            where = everywhere if route.destination == "default" else route.destination
            hops = " ".join(
                f"nexthop via {GATEWAYS[device][six]} dev {device}" for device in route.devices
            )
            yield f"route add {where} {hops}"

    def _settings(self) -> None:
        scene = self._scene
        everywhere = {
            "ipv4/tcp_syncookies": 2,  # an answer to each SYN, and no memory of it
            "ipv4/conf/all/rp_filter": 0,
            "ipv4/conf/default/rp_filter": 0,
            "ipv6/conf/all/accept_dad": 0,
            "ipv6/conf/default/accept_dad": 0,
            "ipv4/icmp_ratelimit": 0,
            "netfilter/nf_conntrack_tcp_timeout_syn_sent": 10,
            "netfilter/nf_conntrack_tcp_timeout_syn_recv": 10,
        }
        own = {
            "ipv4/ip_forward": int(scene.forwards),
            "ipv6/conf/all/forwarding": int(scene.forwards),
            "bridge/bridge-nf-call-iptables": int(scene.filters_bridge),
            "bridge/bridge-nf-call-ip6tables": int(scene.filters_bridge),
            **{
                f"ipv4/conf/{device}/rp_filter": scene.reverse_path.get(device, 0)
                for device in (*OUTER, "docker0", "vethc")
            },
        }
        for space, descriptor in self._spaces.items():
            _enter(descriptor)
            for name, value in (everywhere | (own if space == "host" else {})).items():
                path = Path("/proc/sys/net") / name
                if path.exists():
                    path.write_text(str(value), "ascii")

    def _listen(self, space: str, listeners: Iterator[Listener] | frozenset[Listener]) -> None:
        _enter(self._spaces[space])
        for each in listeners:
            address = each.address or ("0.0.0.0" if each.family == 4 else "::")
            six = ":" in address
            listener = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
            if six:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, each.port))
            listener.listen(4096)
            self._listeners.append(listener)

    def _open_wires(self) -> None:
        for device in OUTER:
            _enter(self._spaces["host"])
            inside = _hardware_address(device)
            _enter(self._spaces["out"])
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            wire.bind((f"{device}p", 0))
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 20)
            wire.setblocking(False)  # noqa: FBT003
            self._wires[device] = wire
            self._hardware[device] = (_hardware_address(f"{device}p"), inside)
        _enter(self._spaces["host"])

    # Asking

    def network(self) -> Network:
        """What the engine is told of the host."""
        _enter(self._spaces["host"])
        own: dict[str, tuple[str, ...]] = {}
        for device in json.loads(run("ip", "-n", self._names["host"], "-json", "addr")):
            addresses: Mapping[str, object]
            for addresses in device["addr_info"]:
                text = f"{addresses['local']}/{addresses['prefixlen']}"
                own[device["ifname"]] = (*own.get(device["ifname"], ()), text)
        # Some tools that write rules set these as well.
        settings = Path("/proc/sys/net/ipv4/conf")
        highest = {
            device: max(
                int((settings / each / "rp_filter").read_text()) for each in (device, "all")
            )
            for device in OUTER
        }
        return self._scene.network(own, highest)

    def probe(self, probes: Sequence[Probe]) -> list[bool]:
        """Sends all the SYNs, and says which were answered by a SYN-ACK."""
        _enter(self._spaces["host"])
        self._drain()
        waiting: dict[Flow, int] = {}
        answered = [False] * len(probes)
        for start in range(0, len(probes), BATCH):
            for index in range(start, min(start + BATCH, len(probes))):
                probe = probes[index]
                flow, frame = self._frame(probe, next(self._ports))
                waiting[flow] = index
                self._wires[probe.interface].send(frame)
            self._collect(waiting, answered, 0.0)
        quiet = time.monotonic()
        end = quiet + LONGEST_SECONDS
        while waiting and time.monotonic() < min(end, quiet + QUIET_SECONDS):
            if self._collect(waiting, answered, QUIET_SECONDS / 3):
                quiet = time.monotonic()
        self._asked = set(waiting)
        return answered

    def _drain(self) -> None:
        for wire in self._wires.values():
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.late += _answer(wire.recv(2048)) in self._asked

    def _collect(self, waiting: dict[Flow, int], answered: list[bool], seconds: float) -> bool:
        ready, _, _ = select.select(list(self._wires.values()), [], [], seconds)
        any_came = False
        for wire in ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    flow = _answer(wire.recv(2048))
                    if flow in waiting:
                        answered[waiting.pop(flow)] = True
                        any_came = True
        return any_came

    def _frame(self, probe: Probe, port: int) -> tuple[Flow, bytes]:
        version = socket.AF_INET6 if ":" in probe.source else socket.AF_INET
        source = socket.inet_pton(version, probe.source)
        address = socket.inet_pton(version, probe.address)
        options = b"\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02\x00\x00"
        head = struct.pack("!HHIIBBHHH", port, probe.port, 1, 0, 8 << 4, SYN, 64240, 0, 0)
        segment = head + options
        pseudo = source + address + struct.pack("!II", len(segment), socket.IPPROTO_TCP)
        checksum = _checksum(pseudo + segment)
        segment = segment[:16] + struct.pack("!H", checksum) + segment[18:]
        outside, inside = self._hardware[probe.interface]
        if version == socket.AF_INET:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), port, 0x4000, 64, 6, 0)
            ip = ip[:10] + struct.pack("!H", _checksum(ip + source + address))
            packet = inside + outside + b"\x08\x00" + ip + source + address + segment
        else:
            ip = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64)
            packet = inside + outside + b"\x86\xdd" + ip + source + address + segment
        return (address, probe.port, source, port), packet


def _enter(space: int) -> None:
    # os.setns() is of Python 3.12.
    if LIBC.setns(space, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _hardware_address(device: str) -> bytes:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as each:
        each.bind((device, 0))
        found = each.getsockname()[4]
    assert isinstance(found, bytes)
    return found


def _colons(hardware: bytes) -> str:
    return hardware.hex(":")


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _answer(frame: bytes) -> Flow | None:
    """Of a SYN-ACK: from which address and port to which."""
    if frame[12:14] == b"\x08\x00" and len(frame) >= 54 and frame[23] == socket.IPPROTO_TCP:
        tcp = 14 + (frame[14] & 15) * 4
        source, destination = frame[26:30], frame[30:34]
    elif frame[12:14] == b"\x86\xdd" and len(frame) >= 74 and frame[20] == socket.IPPROTO_TCP:
        tcp = 54
        source, destination = frame[22:38], frame[38:54]
    else:
        return None
    source_port, port = struct.unpack_from("!HH", frame, tcp)
    if frame[tcp + 13] & SYN_ACK != SYN_ACK:
        return None
    return source, source_port, destination, port
