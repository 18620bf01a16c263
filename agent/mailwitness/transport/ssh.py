"""One SSH connection to a host; its key is checked, whatever anybody says."""

import contextlib
import hashlib
import secrets
import select
import shlex
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from mailwitness.evidence.codec import MAX_DOCUMENT_BYTES
from mailwitness.inventory.way import Way
from mailwitness.transport import known_hosts
from mailwitness.transport.errand import Answer

_CHUNK = 64 * 1024
_MOST_SAID = 64 * 1024  # bytes of standard error
_CONNECT = 15.0  # seconds, for each of: TCP, the server's banner, the login


class UnreachableError(Exception):
    """No connection to the host, or it broke off; the message says what to do."""


class LateError(Exception):
    """The host did not answer in time."""


class _Strict(paramiko.MissingHostKeyPolicy):
    """Nobody's key is believed that is not known."""

    def __init__(self, its: Way) -> None:
        self._port = its.port
        self._file = known_hosts.file_of_new(its.known_hosts)

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        del client
        print_ = b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
        host = hostname.strip("[]").partition("]")[0]
        raise UnreachableError(
            f"its host key is not known ({key.get_name()} SHA256:{print_}); if that is right: "
            f"ssh-keyscan -p {self._port} {host} >>{self._file}"
        )


class Connection:
    """A login on a host; every command on it has the same deadline."""

    def __init__(self, client: paramiko.SSHClient, its: Way, deadline: float) -> None:
        self._client = client
        self._way = its
        self._deadline = deadline

    def shell(self, script: str, data: bytes) -> Answer:
        """Run a script as the user who may read the configuration.

        Raises:
            UnreachableError: the connection broke.
            LateError: there is no end of it by the deadline.
        """
        command = f"/bin/sh -c {shlex.quote(script)}"
        if self._way.sudo:
            command, data = self._by_sudo(script, data)
        try:
            transport = self._client.get_transport()
            assert transport is not None
            channel = transport.open_session(timeout=self._left())
            with contextlib.closing(channel):
                channel.exec_command(command)
                return self._talk(channel, data)
        except TimeoutError:
            raise LateError("it gave no answer in time") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise UnreachableError(f"the connection broke: {error}") from None

    def _by_sudo(self, script: str, data: bytes) -> tuple[str, bytes]:
        """Where sudo asks for no password it leaves ours unread, so the script skips to a mark."""
        if self._way.sudo_password is None:
            return f"sudo -n /bin/sh -c {shlex.quote(script)}", data
        mark = secrets.token_hex(16)
        skip = f'x=; until [ "$x" = {mark} ]; do IFS= read -r x || exit 97; done; x=\n'
        command = f"sudo -S -p '' /bin/sh -c {shlex.quote(skip + script)}"
        return command, f"{self._way.sudo_password}\n{mark}\n".encode() + data

    def _talk(self, channel: paramiko.Channel, data: bytes) -> Answer:
        stdout, stderr = bytearray(), bytearray()
        rest = memoryview(data)
        sent_all = False
        while not (channel.exit_status_ready() and channel.eof_received):
            moved, left = False, self._left()  # whoever talks without end is late, too
            if channel.recv_ready():
                stdout += channel.recv(_CHUNK)
                moved = True
                if len(stdout) > MAX_DOCUMENT_BYTES:
                    raise UnreachableError(f"it sent more than {MAX_DOCUMENT_BYTES} bytes")
            if channel.recv_stderr_ready():
                stderr += channel.recv_stderr(_CHUNK)[: max(0, _MOST_SAID - len(stderr))]
                moved = True
            if rest and channel.send_ready():
                with contextlib.suppress(OSError):  # it may have ended without reading all
                    rest = rest[channel.send(bytes(rest[:_CHUNK])) :]
                    moved = True
            elif not rest and not sent_all:
                channel.shutdown_write()
                sent_all = True
            if not moved:
                if channel.closed:
                    break
                _wait(channel, left, sending=bool(rest))
        while chunk := channel.recv(_CHUNK) if channel.recv_ready() else b"":
            stdout += chunk
        while chunk := channel.recv_stderr(_CHUNK) if channel.recv_stderr_ready() else b"":
            stderr += chunk[: max(0, _MOST_SAID - len(stderr))]
        return Answer(
            channel.recv_exit_status(),
            stdout.decode("utf-8", "replace"),
            stderr.decode("utf-8", "replace"),
        )

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _wait(channel: paramiko.Channel, seconds: float, *, sending: bool) -> None:
    """Until the host has said something, or may take more of what is sent to it."""
    seconds = min(seconds, 0.02 if sending else 1.0)
    if sending:  # nothing tells when there is room again
        time.sleep(seconds)
    elif channel.eof_received:
        channel.status_event.wait(seconds)
    else:
        said = select.poll()  # select() knows no file beyond the 1,024th
        said.register(channel.fileno(), select.POLLIN)
        said.poll(1000 * seconds)


@contextlib.contextmanager
def connected(its: Way, seconds: float) -> Iterator[Connection]:
    """A connection that is closed at the end; all that is done on it ends within `seconds`.

    Raises:
        UnreachableError: there is none.
    """
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as opened:
        client = _client(its, deadline, opened)
        yield Connection(client, its, deadline)


def _client(its: Way, deadline: float, opened: contextlib.ExitStack) -> paramiko.SSHClient:
    through = None
    if its.jump:
        try:
            transport = _client(its.jump, deadline, opened).get_transport()
        except UnreachableError as error:
            raise UnreachableError(f"jump host {its.jump.host}: {error}") from None
        assert transport is not None
        try:
            through = transport.open_channel(
                "direct-tcpip", (its.host, its.port), ("127.0.0.1", 0), timeout=_CONNECT
            )
        except paramiko.SSHException as error:
            raise UnreachableError(f"not from jump host {its.jump.host}: {error}") from None
    client = paramiko.SSHClient()
    opened.callback(client.close)
    believed = client.get_host_keys()
    for name, key in known_hosts.keys(its.host, its.port, its.known_hosts):
        if key.get_name() not in believed.get(name, ()):  # the first of a kind counts
            believed.add(name, key.get_name(), key)
    client.set_missing_host_key_policy(_Strict(its))
    keys = [key for key in its.keys if Path(key).exists()]
    patience = min(_CONNECT, max(0.1, deadline - time.monotonic()))
    try:
        client.connect(
            its.host,
            its.port,
            its.user,
            its.password,
            key_filename=keys or None,  # type: ignore[arg-type] # a list will do
            timeout=patience,
            banner_timeout=patience,
            auth_timeout=patience,
            channel_timeout=patience,
            sock=through,
        )
    except paramiko.BadHostKeyException as error:
        raise UnreachableError(
            f"its host key is another than the one that is known ({error.key.get_name()}): it was "
            "made anew, or something is in between"
        ) from None
    except paramiko.AuthenticationException as error:
        raise UnreachableError(f"no login as {its.user}: {error}") from None
    except NoValidConnectionsError as error:
        why = dict.fromkeys(
            str(each.strerror if isinstance(each, OSError) else each)
            for each in error.errors.values()
        )
        raise UnreachableError(f"port {its.port}: {', '.join(why)}") from None
    except TimeoutError:
        raise UnreachableError(f"port {its.port}: nothing came back") from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise UnreachableError(str(error) or type(error).__name__) from None
    return client
