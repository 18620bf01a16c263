"""Small servers on loopback that say what a test wants them to say."""

import contextlib
import datetime
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailwitness.evidence.probe import Observation, Protocol, TlsMode
from mailwitness.probe import observe as observing
from mailwitness.probe.limits import Limits

QUICK = Limits(connect=2, greeting=1, read=1, endpoint=6)
Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(script: Script) -> Iterator[int]:
    """A server that runs `script` for each connection, on a port of the system's choice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        ended = threading.Event()
        workers: list[threading.Thread] = []

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    worker = threading.Thread(target=_serve, args=(script, connection))
                    worker.start()
                    workers.append(worker)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            acceptor.join()
            for worker in workers:
                worker.join(10)


def _serve(script: Script, connection: socket.socket) -> None:
    connection.settimeout(5)
    with connection, contextlib.suppress(OSError):
        script(connection)


def look(
    port: int,
    protocol: Protocol = "imap",
    tls: TlsMode = "implicit",
    *,
    names: tuple[str, ...] = (),
    limits: Limits = QUICK,
) -> Observation:
    """One observation, with the port taken for a usual one of that protocol."""
    before = dict(observing._USUAL)
    observing._USUAL[port] = (protocol, tls)
    try:
        (seen,) = observing.observe([observing.Endpoint("127.0.0.1", port, names)], limits)
    finally:
        observing._USUAL.clear()
        observing._USUAL.update(before)
    return seen


def context(
    name: str,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """A server's context with a new self-signed certificate of that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version, made.maximum_version = minimum, maximum
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "both.pem")
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        made.load_cert_chain(file)
    return made


def imaps(tls: ssl.SSLContext) -> Script:
    """IMAP over implicit TLS, as far as the probe goes."""

    def script(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as inside:
            inside.sendall(b"* OK ready\r\n")
            converse(inside, {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%s OK\r\n"})

    return script


def smtp(tls: ssl.SSLContext | None, answer: bytes = b"220 go\r\n", after: bytes = b"") -> Script:
    """Submission with STARTTLS; `after` follows its answer, before any TLS."""

    def script(connection: socket.socket) -> None:
        connection.sendall(b"220-wait\r\n")
        connection.sendall(b"220 mail.example ESMTP\r\n")
        offer = b"250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"
        with connection.makefile("rb") as lines:
            for line in lines:
                word = line.split()[0].upper()
                if word == b"EHLO":
                    connection.sendall(offer)
                elif word == b"STARTTLS":
                    connection.sendall(answer + after)
                    break
                else:
                    return
        if answer.startswith(b"220") and tls is not None:
            with tls.wrap_socket(connection, server_side=True) as inside:
                converse(inside, {b"EHLO": b"250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n"})

    return script


def converse(inside: ssl.SSLSocket, answers: dict[bytes, bytes]) -> None:
    """Answer the known commands until the client leaves; %s stands for an IMAP tag."""
    buffer = b""
    while chunk := inside.recv(4096):
        buffer += chunk
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            words = line.split()
            for word, answer in answers.items():
                if word in (part.upper() for part in words):
                    inside.sendall(answer.replace(b"%s", words[0]))
