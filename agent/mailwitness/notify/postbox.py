"""The way to a mail server: TLS that is verified, or none at all."""

import contextlib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage

_IMPLICIT = 465  # TLS from the first byte there, STARTTLS elsewhere: RFC 8314 §3.3
_SECONDS = 60.0  # for one answer; RFC 5321 §4.5.3.2 grants minutes to what comes after the data


class MailError(Exception):
    """The server did not take the mail; the message says at which step."""


@dataclass(frozen=True)
class Server:
    """Where mail is handed in, and as whom."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    trust_store: str | None = None  # PEM of CAs beside the system's

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@contextlib.contextmanager
def connected(server: Server) -> Iterator[Callable[[EmailMessage], None]]:
    """What sends a message over one connection; no password and no report goes in clear.

    Raises:
        MailError: there is no connection, or no verified TLS on it, or the login is refused; and
            by each call: the message is refused.
    """
    with _told(server):
        context = ssl.create_default_context()
        if server.trust_store:
            context.load_verify_locations(cadata=server.trust_store)
        if server.port == _IMPLICIT:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=_SECONDS, context=context
            )
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
    with client:
        with _told(server):
            if server.port != _IMPLICIT:
                client.starttls(context=context)
            if server.user:
                client.login(server.user, server.password or "")

        def send(message: EmailMessage) -> None:
            with _told(server):
                client.send_message(message)

        yield send


@contextlib.contextmanager
def _told(server: Server) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise MailError(f"{server} refuses the login of {server.user}: {_said(error)}") from None
    except smtplib.SMTPRecipientsRefused as error:
        refused = ", ".join(f"{to}: {_text(said)}" for to, (_, said) in error.recipients.items())
        raise MailError(f"{server} refuses {refused}") from None
    except smtplib.SMTPNotSupportedError as error:
        raise MailError(f"{server} does not offer what is needed: {error}") from None
    except smtplib.SMTPResponseException as error:
        raise MailError(f"{server} answers {error.smtp_code} {_said(error)}") from None
    except ssl.SSLCertVerificationError as error:
        raise MailError(f"{server} does not prove that it is it: {error.verify_message}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"{server}: {error}") from None


def _said(error: smtplib.SMTPResponseException) -> str:
    return _text(error.smtp_error)


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:300]
