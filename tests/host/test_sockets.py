import datetime
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mailwitness.evidence.codec import dumps
from mailwitness.evidence.host import ListeningSocket, Process
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.run import Failure
from mailwitness.host import command, privileged, processes, sockets
from mailwitness.host.local import local_address, own_addresses


def listening_sockets() -> "tuple[ListeningSocket, ...] | Missing":
    return sockets.sockets().own


LOOPBACK = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]


@contextmanager
def listener(address: str, family: socket.AddressFamily) -> Iterator[int]:
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.bind((address, 0))
        opened.listen()
        yield opened.getsockname()[1]


def at(port: int) -> list[ListeningSocket]:
    found = listening_sockets()
    assert isinstance(found, tuple)
    return [one for one in found if one.port == port]


@pytest.mark.parametrize(("address", "family"), LOOPBACK)
def test_a_listener_is_found_with_its_process(address: str, family: socket.AddressFamily) -> None:
    with listener(address, family) as port:
        (found,) = at(port)
    assert found.address == address
    assert isinstance(found.process, Process)
    assert found.process.pid == os.getpid()
    assert found.process.executable == str(Path("/proc/self/exe").readlink())
    assert found.process.name == Path("/proc/self/comm").read_text("utf-8").rstrip("\n")


def test_the_start_of_a_process_is_a_time_before_now() -> None:
    with listener(*LOOPBACK[0]) as port:
        (found,) = at(port)
    assert isinstance(found.process, Process)
    assert isinstance(found.process.started_at, str)
    started = datetime.datetime.strptime(found.process.started_at, "%Y-%m-%dT%H:%M:%S%z")
    age = datetime.datetime.now(datetime.UTC) - started
    assert datetime.timedelta(seconds=-2) < age < datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("address", "family"), [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)]
)
def test_a_listener_on_all_addresses_has_the_unspecified_one(
    address: str, family: socket.AddressFamily
) -> None:
    with listener(address, family) as port:
        assert [found.address for found in at(port)] == [address]


def test_a_socket_that_does_not_listen_is_left_out() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert at(bound.getsockname()[1]) == []


def test_a_connection_is_no_listener() -> None:
    with listener(*LOOPBACK[0]) as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert at(client.getsockname()[1]) == []
        assert len(at(port)) == 1


def test_listeners_come_by_port_and_address() -> None:
    found = listening_sockets()
    assert isinstance(found, tuple)
    assert list(found) == sorted(found, key=lambda one: (one.port, one.address))


def test_an_odd_name_of_a_process_is_read_whole(tmp_path: Path) -> None:
    """The listener is handed on to a process whose file name would confuse a parser."""
    odd = os.fsencode(tmp_path) + b"/a) R (b \xff"
    shutil.copy(b"/bin/sleep", odd)
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        port = opened.getsockname()[1]
        with subprocess.Popen([odd, b"60"], pass_fds=[opened.fileno()]) as child:
            try:
                opened.close()
                (found,) = at(port)
            finally:
                child.kill()
    assert isinstance(found.process, Process)
    assert found.process.pid == child.pid
    assert found.process.name == r"a) R (b \xff"
    assert isinstance(found.process.executable, str)
    assert found.process.executable.startswith(str(tmp_path))
    said = dumps(Failure("mail1", "failed", found.process.executable, ""))
    assert r"a) R (b \\udcff" in said


def test_files_that_come_and_go_do_not_hide_a_listener() -> None:
    """A descriptor that is closed between its listing and its reading is passed over."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            files = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
            for file in files:
                os.close(file)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        with listener(*LOOPBACK[0]) as port:
            for _ in range(20):
                (found,) = at(port)
                assert isinstance(found.process, Process)
    finally:
        stop.set()
        thread.join()


def test_a_missing_table_is_missing_not_empty(tmp_path: Path) -> None:
    found = sockets._listening(tmp_path / "net", processes.processes())
    assert found == Missing(f"{tmp_path}/net/tcp: not there")


def test_a_kernel_without_ipv6_has_the_other_listeners(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0"
        "        0 4242 1 0000000000000000 100 0 0 10 0\n",
        "ascii",
    )
    unheld = Missing("no process of this host holds it")
    nobody = processes.Processes({}, {}, {}, {}, 0)
    found = sockets._listening(tmp_path / "net", nobody)
    assert found == (ListeningSocket("127.0.0.1", 25, unheld),)


class TestLocalAddress:
    def test_a_listener_on_one_address_has_no_other(self) -> None:
        assert local_address("192.0.2.7", ("127.0.0.1",)) == "192.0.2.7"

    @pytest.mark.parametrize(("bound", "loopback"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
    @pytest.mark.parametrize("public", ["", "192.0.2.1", "2001:db8::1", "x" * 64 + ".invalid"])
    def test_without_an_address_of_its_own_it_is_loopback(
        self, bound: str, loopback: str, public: str
    ) -> None:
        assert local_address(bound, own_addresses(public)) == loopback

    def test_the_address_of_clients_is_taken_where_it_is_the_hosts_own(self) -> None:
        assert local_address("0.0.0.0", own_addresses("127.0.0.2")) == "127.0.0.2"
        assert local_address("::", own_addresses("127.0.0.2")) == "127.0.0.2"
        assert local_address("::", own_addresses("::1")) == "::1"


def test_a_chroot_is_no_root_of_the_host(tmp_path: Path) -> None:
    """The same program file by another way: what it is set to is not what was read."""
    if os.geteuid() != 0:
        pytest.skip("chroot(2) needs root")
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        port = opened.getsockname()[1]
        inside = os.fork()
        if inside == 0:
            os.chroot(tmp_path)
            while True:
                time.sleep(60)
        try:
            opened.close()
            deadline = time.monotonic() + 5
            root = Path(f"/proc/{inside}/root")
            while root.readlink() != tmp_path and time.monotonic() < deadline:
                time.sleep(0.01)
            (found,) = at(port)
        finally:
            os.kill(inside, 9)
            os.waitpid(inside, 0)
    assert isinstance(found.process, Process)
    assert found.process.own_root is False


def test_this_process_has_the_root_of_the_host() -> None:
    with listener(*LOOPBACK[0]) as port:
        (found,) = at(port)
    assert isinstance(found.process, Process)
    assert found.process.own_root is True
    assert isinstance(found.process.cgroup, str)


@pytest.mark.lab
def test_a_listener_of_another_network_namespace_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In some containers not even root may look into the first process.
    looked = processes.processes()
    monkeypatch.setattr(sockets, "processes", lambda: replace(processes.processes(), blocked=0))
    assert looked.by_namespace
    script = (
        "import socket, subprocess; subprocess.run(('ip', 'link', 'set', 'lo', 'up'));"
        "subprocess.run(('ip', 'address', 'add', '192.0.2.9/32', 'dev', 'lo'));"
        "s = socket.create_server(('192.0.2.9', 993)); print('up', flush=True); s.accept()"
    )
    argv = ("unshare", "--net", sys.executable, "-c", script)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "up\n"
            found = sockets.sockets().namespaces
        finally:
            child.kill()
    assert isinstance(found, tuple)
    (there,) = (one for one in found if one.addresses == ("192.0.2.9",))
    (held,) = there.sockets
    assert (held.address, held.port) == ("192.0.2.9", 993)
    assert isinstance(held.process, Process)
    assert held.process.pid == child.pid


def test_find_tells_of_processes_what_proc_tells() -> None:
    """What sudo would be asked is answered to this very user, too."""
    with listener(*LOOPBACK[0]) as port:
        listed = command.run(privileged.LINKS, answers=(0, 1))
        (mine,) = at(port)
    assert isinstance(listed, str)
    links = list(processes._listed(listed))
    program = str(Path("/proc/self/exe").readlink())
    assert (os.getpid(), "exe", program) in links
    assert isinstance(mine.process, Process)
    held = {target for pid, _, target in links if pid == os.getpid()}
    assert any(target.startswith("socket:[") for target in held)
    assert f"net:[{Path('/proc/self/ns/net').stat().st_ino}]" in held
