"""A mailbox connector: Python's own IMAP and SMTP clients, with the bounds of the policy."""

import contextlib
import imaplib
import smtplib
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run
from tests.lab.network import BRIDGE

_SECONDS = 5.0


@dataclass(frozen=True)
class Connector:
    """Connects as the policy mailbox-connector-2017 has it: TLS 1.1 and newer, from `source`."""

    name: str  # what it calls the server, for its certificate
    address: str
    user: str
    password: str
    root: Path  # PEM of the CA that it trusts
    source: str
    verify: bool = True

    def connects(self) -> bool:
        """Whether it can log in, to read by one of IMAP's ports and to send by submission's."""
        return any(map(self.reads_by, (993, 143))) and any(map(self.sends_by, (465, 587)))

    def reads_by(self, port: int) -> bool:
        return _succeeds(lambda: self._read(port))

    def sends_by(self, port: int) -> bool:
        return _succeeds(lambda: self._send(port))

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1, which is the point
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # without it OpenSSL has no TLS 1.1
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _dial(self, port: int) -> socket.socket:
        return socket.create_connection((self.address, port), _SECONDS, (self.source, 0))

    def _read(self, port: int) -> None:
        dial, context = self._dial, self._context()

        class Imap(imaplib.IMAP4):
            def _create_socket(self, timeout: float | None) -> socket.socket:  # noqa: ARG002
                plain = dial(port)
                if port != 993:
                    return plain
                return context.wrap_socket(plain, server_hostname=self.host)

        with Imap(self.name, port) as client:
            if port != 993:
                client.starttls(context)
            client.login(self.user, self.password)
            client.select("INBOX", readonly=True)

    def _send(self, port: int) -> None:
        dial, context, name = self._dial, self._context(), self.name

        class Smtp(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002
                plain = dial(port)
                return context.wrap_socket(plain, server_hostname=name) if port == 465 else plain

        with Smtp(name, port) as client:
            if port != 465:
                client.starttls(context=context)
            client.login(self.user, self.password)


def _succeeds(step: Callable[[], None]) -> bool:
    try:
        step()
    except (OSError, imaplib.IMAP4.error, smtplib.SMTPException):
        return False
    return True


@contextlib.contextmanager
def another_address(address: str) -> Iterator[str]:
    """An address of this machine on the lab's bridge, for as long as it is needed."""
    run("ip", "address", "add", f"{address}/32", "dev", BRIDGE)
    try:
        yield address
    finally:
        run("ip", "address", "delete", f"{address}/32", "dev", BRIDGE)
