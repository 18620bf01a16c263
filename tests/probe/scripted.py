"""Real servers on loopback ports of the system's choice, scripted for one test each."""

import contextlib
import datetime
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_DAY = datetime.timedelta(days=1)
_TICK = 0.02
_GIVEN_UP = 20.0

GREETING = {"imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n", "smtp": b"220 mail ESMTP\r\n"}
_LINE = 65536


@dataclass(frozen=True)
class Identity:
    """A certificate with its key and its issuers."""

    name: str
    leaf: str
    issuers: tuple[str, ...]
    key: str

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.pem"
        path.write_text(self.key + self.leaf + "".join(self.issuers), "ascii")
        return path


@lru_cache(maxsize=8)
def identity(name: str, *, rsa_key: bool = False) -> Identity:
    """A leaf for `name`, an intermediate and a root, all fresh; only the leaf's key may be RSA."""
    chain: list[x509.Certificate] = []
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP256R1())
    issuer, issuer_key = None, key
    now = datetime.datetime.now(datetime.UTC)
    for level in ("root", "intermediate", name):
        key = (
            rsa.generate_private_key(65537, 2048)
            if rsa_key and level == name
            else ec.generate_private_key(ec.SECP256R1())
        )
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, level)])
        signer = issuer_key if issuer else key
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=level != name, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(level)]), critical=False)
            .add_extension(by, critical=False)
            .add_extension(own, critical=False)
            .sign(signer, hashes.SHA256())
        )
        chain.insert(0, certificate)
        issuer, issuer_key = subject, key
    leaf, *issuers = [one.public_bytes(serialization.Encoding.PEM).decode() for one in chain]
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return Identity(name, leaf, tuple(issuers), private)


def context(
    folder: Path,
    who: str = "mail.example.com",
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    *,
    rsa_key: bool = False,
) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = identity(who, rsa_key=True) if rsa_key else identity(who)  # each is made once
    made.load_cert_chain(own.write(folder))
    made.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version, made.maximum_version = lowest, highest
    return made


class Peer:
    """One connection of a client, as the script of a server sees it."""

    def __init__(self, connection: socket.socket, stopped: threading.Event) -> None:
        self.connection = connection
        self.stopped = stopped
        self._reader = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def line(self) -> bytes:
        return self._reader.readline(_LINE).rstrip(b"\r\n")

    def hello(self) -> bytes:
        """The client's first record of TLS."""
        head = self._reader.read(5)
        return head + self._reader.read(int.from_bytes(head[3:], "big"))

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self.stopped.wait(_GIVEN_UP)

    def pause(self) -> bool:
        """Wait a moment; whether the test goes on."""
        return not self.stopped.wait(_TICK)

    def start_tls(self, tls: ssl.SSLContext) -> "Peer":
        wrapped = tls.wrap_socket(self.connection, server_side=True)
        return Peer(wrapped, self.stopped)

    def close(self) -> None:
        self._reader.close()
        self.connection.close()


Script = Callable[[Peer], None]


@dataclass
class Server:
    """A port with a script behind it, and the number of connections that came."""

    port: int
    connections: int = 0


@contextlib.contextmanager
def serving(script: Script, address: str = "127.0.0.1") -> Iterator[Server]:
    """Each connection is a thread of `script`; all have ended when this has."""
    stopped = threading.Event()
    threads: list[threading.Thread] = []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, backlog=128) as listener:
        server = Server(listener.getsockname()[1])
        listener.settimeout(0.05)

        def one(connection: socket.socket) -> None:
            connection.settimeout(_GIVEN_UP)
            peer = Peer(connection, stopped)
            # What the client breaks off is not what the test is about.
            with contextlib.suppress(OSError, ValueError):
                script(peer)
            peer.close()

        def accept() -> None:
            while not stopped.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                server.connections += 1
                thread = threading.Thread(target=one, args=(connection,))
                threads.append(thread)
                thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server
        finally:
            stopped.set()
            acceptor.join()
            for thread in threads:
                thread.join(_GIVEN_UP)


def converse(peer: Peer, protocol: str, *, tls: "ssl.SSLContext | None" = None) -> None:
    """What an honest server says after its greeting; `tls`: it offers STARTTLS."""
    starttls = tls is not None
    while line := peer.line():
        word = line.upper()
        if b"CAPABILITY" in word:
            more = b" STARTTLS LOGINDISABLED" if starttls else b" AUTH=PLAIN AUTH=LOGIN"
            peer.send(b"* CAPABILITY IMAP4rev1" + more + b"\r\na1 OK done\r\n")
        elif word == b"CAPA":
            more = b"STLS\r\n" if starttls else b"SASL PLAIN LOGIN\r\n"
            peer.send(b"+OK\r\nUIDL\r\n" + more + b".\r\n")
        elif word.startswith(b"EHLO"):
            more = b"250 STARTTLS\r\n" if starttls else b"250 AUTH PLAIN LOGIN\r\n"
            peer.send(b"250-mail\r\n250-PIPELINING\r\n" + more)
        elif tls is not None and (b"STARTTLS" in word or word == b"STLS"):
            ready = {"imap": b"a2 OK begin\r\n", "pop3": b"+OK begin\r\n", "smtp": b"220 go\r\n"}
            peer.send(ready[protocol])
            inner = peer.start_tls(tls)
            try:
                converse(inner, protocol)
            finally:
                inner.close()
            return
        else:
            return


def with_starttls(protocol: str, tls: "ssl.SSLContext | None") -> Script:
    def script(peer: Peer) -> None:
        peer.send(GREETING[protocol])
        converse(peer, protocol, tls=tls)

    return script


def with_tls(protocol: str, tls: ssl.SSLContext) -> Script:
    def script(peer: Peer) -> None:
        inner = peer.start_tls(tls)
        try:
            inner.send(GREETING[protocol])
            converse(inner, protocol)
        finally:
            inner.close()

    return script
