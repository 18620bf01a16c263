"""`probe`: hosts from outside alone."""

import argparse
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from mailwitness.cli.interface import UsageError, command, judging, pem, port
from mailwitness.cli.judge import judged
from mailwitness.evidence import folder
from mailwitness.evidence.moment import now
from mailwitness.evidence.run import CONTROLLER, Failure, Run
from mailwitness.evidence.services import DEFAULT_PORTS
from mailwitness.outside import Given, plan, read_file
from mailwitness.probe.conversations import DEPTHS
from mailwitness.probe.run import Manner, probe
from mailwitness.probe.targets import Account, Target, fingerprint
from mailwitness.progress import Progress

_PROBE_HELP = """\
Audit hosts from outside alone: no login, no inventory, and what only the host knows is said to be
missing. With --output DIR the page for whoever administers the host is DIR/index.html.

TARGET is
  mail.example.com                a name, with every address that it has
  192.0.2.1  2001:db8::1          an address; --name says which name clients use
  mail.example.com:993            one port of it
  [2001:db8::1]:993
  mx:example.com                  the mail servers of a domain, by its MX, on port 25

  mailwitness probe mail.example.com --output report
  mailwitness probe mx:example.com --port 25 --port 587
  mailwitness probe --file partners.txt --source-address 198.51.100.7
  mailwitness probe --file partners.txt --depth versions
  MAILWITNESS_LOGIN_USER=test MAILWITNESS_LOGIN_PASSWORD=... mailwitness probe HOST --login
"""
_LOGIN_USER, _LOGIN_PASSWORD = "MAILWITNESS_LOGIN_USER", "MAILWITNESS_LOGIN_PASSWORD"


def add(commands: Any) -> None:
    """Make them known to the command line."""
    look = command(commands, "probe", "audit hosts from outside alone, no login", _probe, judging())
    look.description = _PROBE_HELP
    look.add_argument("targets", nargs="*", metavar="TARGET", help="see above")
    look.add_argument(
        "--file",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="targets, one a line; # begins a comment; may be repeated",
    )
    look.add_argument(
        "--name",
        action="append",
        default=[],
        help="a name that clients use, for certificates (default: TARGET where it is a name)",
    )
    look.add_argument(
        "--port",
        action="append",
        type=port,
        help="in place of the targets' own; may be repeated "
        f"(default: {' '.join(map(str, DEFAULT_PORTS))})",
    )
    look.add_argument(
        "--source-address",
        action="append",
        default=[],
        type=_own_address,
        metavar="ADDRESS",
        help="connect from this address of this machine, as one that an allowlist names; one of "
        "each family may be given, and the other family is left out where it is not",
    )
    look.add_argument(
        "--depth",
        choices=DEPTHS,
        default="full",
        help="versions: which versions of TLS are accepted, by six to nine connections to a port; "
        "brief: certificates and logins, too, by two or three more; full (the default): all that "
        "can be negotiated, by sixty and more. What is not asked for is not assessed",
    )
    look.add_argument(
        "--trust-store",
        type=Path,
        metavar="FILE",
        help="PEM with the CAs of a company, beside those of the system",
    )
    look.add_argument(
        "--login",
        action="store_true",
        help=f"log in with the test account of {_LOGIN_USER} and {_LOGIN_PASSWORD}, by IMAP and "
        "submission, over TLS with a trusted certificate alone; for one TARGET",
    )
    look.add_argument(
        "--login-certificate",
        action="append",
        default=[],
        type=_fingerprint,
        metavar="SHA256",
        help="log in where the certificate has this fingerprint, too, though nobody vouches for it",
    )


def _probe(arguments: argparse.Namespace) -> int:
    words = [*arguments.targets, *(word for file in arguments.file for word in read_file(file))]
    if not words:
        raise UsageError("no target: name a host, or a file of them with --file")
    given = Given(tuple(arguments.name), tuple(arguments.port or ()), pem(arguments.trust_store))
    planned = plan(words, given)
    account = _account(arguments, given.trust_store) if arguments.login else None
    if account is not None and len(planned.hosts) > 1:
        raise UsageError("--login: an account is one host's; no other shall hear of it")
    with tempfile.TemporaryDirectory(prefix="mailwitness-") as temporary:
        evidence = arguments.output / "evidence" if arguments.output else Path(temporary)
        hosts = tuple(planned.hosts)
        run = Run(now(), None, inside=False, vantages=(CONTROLLER,), hosts=hosts)
        folder.write(folder.run_file(evidence), run)
        for host, reason in planned.unknown.items():
            failure = Failure(host, "failed", reason, now())
            folder.write(folder.probe_file(evidence, host, CONTROLLER), failure)
        looks = [
            Target(host.name, host.address, host.names, host.ports, account)
            for host in hosts
            if host.name not in planned.unknown
        ]
        progress = Progress(len(looks), sys.stderr)
        manner = Manner(tuple(arguments.source_address), arguments.depth)
        for seen in probe(looks, CONTROLLER, manner=manner, progress=progress.port):
            folder.write(folder.probe_file(evidence, seen.host, CONTROLLER), seen)
            progress.host()
        progress.end()
        return judged(evidence, arguments)


def _account(arguments: argparse.Namespace, trust_store: str | None) -> Account:
    """Of the environment: arguments are for every user of the machine to see."""
    found = [os.environ.get(name) for name in (_LOGIN_USER, _LOGIN_PASSWORD)]
    if not all(found):
        raise UsageError(f"--login: set {_LOGIN_USER} and {_LOGIN_PASSWORD} in the environment")
    user, password = map(str, found)
    return Account(user, password, tuple(arguments.login_certificate), trust_store)


def _fingerprint(text: str) -> str:
    try:
        return fingerprint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _own_address(text: str) -> str:
    try:
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as end:
            end.bind((text, 0))
    except (OSError, UnicodeError):
        raise argparse.ArgumentTypeError(f"{text!a} is no address of this machine") from None
    return text
