"""`notify`: what changed, by mail."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mailwitness.cli.interface import NOT_AUDITED, OK, UsageError, command, pem, storing
from mailwitness.notify.contact import mail_address
from mailwitness.notify.due import due
from mailwitness.notify.message import Writer
from mailwitness.notify.postbox import MailError, Server, connected
from mailwitness.probe.targets import parse
from mailwitness.store.database import Database
from mailwitness.store.history import History
from mailwitness.store.notices import Notices

_NOTIFY_HELP = """\
Tells the contacts of the inventory (mailwitness_contacts of a host or group) what has changed on
their hosts since they were last told: once for each change, and nothing where nothing changed.
Each mail holds the pages of the hosts it is about. Mail is handed in over verified TLS alone:
implicit on port 465, STARTTLS on any other. The password of --user is read from
MAILWITNESS_SMTP_PASSWORD.

  mailwitness notify --dry-run
  mailwitness notify --server smtp.example.com --from mailwitness@example.com --user mailwitness

--template DIR may hold letter.txt.j2 and letter.html.j2 in place of those that ship.

exit status:
  0  everybody is told, or there is nothing to tell
  2  the command or what it was given is wrong, or the store or the server cannot be used
  3  somebody could not be told; the next run tries again
"""
_SMTP_LOGIN = "MAILWITNESS_SMTP_PASSWORD"
_SUBMISSION = 587


def add(commands: Any) -> None:
    """Make them known to the command line."""
    tell = command(commands, "notify", "mail what changed to the contacts", _notify, storing())
    tell.epilog = _NOTIFY_HELP
    tell.add_argument("run_name", nargs="?", default="latest", metavar="RUN", help="tell up to it")
    tell.add_argument("--server", type=_server, metavar="HOST[:PORT]", help="port 587 by default")
    tell.add_argument("--from", dest="sender", type=_sender, metavar="ADDRESS")
    tell.add_argument("--user", help="to log in as at the server")
    tell.add_argument("--trust-store", type=Path, metavar="PEM", help="CAs beside the system's")
    tell.add_argument("--template", type=Path, metavar="DIR")
    tell.add_argument("--dry-run", action="store_true", help="show what would be sent to whom")


def _notify(arguments: argparse.Namespace) -> int:
    database = Database(arguments.store, create=False)
    history, notices = History(database, arguments.controller), Notices(database)
    run = history.find(arguments.run_name)
    waiting = list(due(history, notices, run))
    if arguments.dry_run:
        writer = Writer(arguments.sender or "nobody@example.com", arguments.template)
        for letter in waiting:
            plain = writer.write(letter).get_body(("plain",))
            print(f"To: {letter.to}\n\n{plain.get_content() if plain else ''}")
        return OK
    if not arguments.server or not arguments.sender:
        raise UsageError("name the mail server by --server, and who sends by --from")
    if not waiting:
        return OK
    writer = Writer(arguments.sender, arguments.template)
    mails = [(letter, writer.write(letter)) for letter in waiting]
    status = OK
    with connected(_mail_server(arguments)) as send:
        for letter, mail in mails:
            try:
                send(mail)
            except MailError as error:
                print(f"mailwitness: {letter.to} is not told: {error}", file=sys.stderr)
                status = NOT_AUDITED
            else:
                notices.tell(letter.to, run)
                print(f"told {letter.to}: {letter.subject}")
    return status


def _mail_server(arguments: argparse.Namespace) -> Server:
    password = os.environ.get(_SMTP_LOGIN)
    if arguments.user and not password:
        raise UsageError(f"--user: set {_SMTP_LOGIN} in the environment")
    host, port = arguments.server
    return Server(host, port, arguments.user, password, pem(arguments.trust_store))


def _server(text: str) -> tuple[str, int]:
    try:
        host, port = parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return host, port or _SUBMISSION


def _sender(text: str) -> str:
    try:
        return mail_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
