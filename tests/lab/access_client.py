"""Runs on the client's network: what becomes of a client that comes from this address.

Argument: JSON, lists of [source, address, port, protocol, user]; output: a JSON list of what was
said: "in", "out", or what went wrong. It is given to the interpreter as it stands.
"""

import imaplib
import json
import smtplib
import socket
import sys

TURNED_AWAY = ("Client host rejected", "Service currently unavailable")
PASSWORD = "its-password"


def by_smtp(source: str, address: str, port: int) -> str:
    """Until a recipient is taken: smtpd speaks of its client's address no earlier."""
    try:
        with smtplib.SMTP(timeout=15, source_address=(source, 0)) as client:
            said = [client.connect(address, port)]
            if said[-1][0] == 220:
                said += (client.ehlo("client.example"), client.mail("a@client.example"))
                said.append(client.rcpt("root@cell.example"))
    except (OSError, smtplib.SMTPException) as error:
        return str(error)
    text = " ".join(line.decode("ascii", "replace") for _, line in said)
    if any(words in text for words in TURNED_AWAY):
        return "out"
    return "in" if said[-1][0] == 250 else text


class _Imap(imaplib.IMAP4):
    source = ""

    def _create_socket(self, timeout: "float | None") -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (self.source, 0))


def by_imap(source: str, address: str, port: int, user: str) -> str:
    """Until the password is taken; the mailbox behind it is not asked for."""
    _Imap.source = source
    try:
        client = _Imap(address, port, timeout=15)
        client.login(user, PASSWORD)
    except imaplib.IMAP4.error as error:
        return "out" if "AUTHENTICATIONFAILED" in str(error) else str(error)
    except OSError as error:
        return str(error)
    client.shutdown()
    return "in"


def by_proxy(source: str, address: str, port: int) -> str:
    """As a proxy that speaks for another client."""
    line = f"PROXY TCP{6 if ':' in source else 4} {source} {address} 4711 {port}\r\n"
    try:
        with socket.create_connection((address, port), 15, (source, 0)) as connection:
            connection.sendall(line.encode())
            return "in" if connection.recv(100).startswith(b"* OK") else "out"
    except ConnectionResetError:
        return "out"
    except OSError as error:
        return str(error)


def main() -> None:
    answers = []
    for source, address, port, protocol, user in json.loads(sys.argv[1]):
        if protocol == "smtp":
            answers.append(by_smtp(source, address, port))
        elif protocol == "proxy":
            answers.append(by_proxy(source, address, port))
        else:
            answers.append(by_imap(source, address, port, user))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
