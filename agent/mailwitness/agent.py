"""The command line of what ships: inspect this host, or probe others from here. Prints JSON."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Optional

from mailwitness import __version__
from mailwitness.evidence.codec import dumps
from mailwitness.evidence.services import DEFAULT_PORTS
from mailwitness.probe.conversations import DEPTHS, Endpoint
from mailwitness.probe.limits import DEFAULT_LIMITS
from mailwitness.probe.observe import observe

if TYPE_CHECKING:
    from mailwitness.probe.targets import Target

# The host's own listeners hold no run up: each port has this long, eight at a time.
_OWN_LIMITS = DEFAULT_LIMITS._replace(endpoint=30.0)

_DESCRIPTION = """\
Reads and changes nothing, prints JSON: `inspect` one document about this host, `probe` one
for each target. Without targets `probe` reads them from standard input, one object a line:
  {"host": "mail1", "target": "192.0.2.1", "names": ["mail.example.com"], "ports": [993, 587],
   "account": null}
An account to log in with is {"user": ..., "password": ..., "certificates": [SHA-256 of trusted
ones, whoever signed them], "trust_store": PEM or null}; its name and password are not printed.
"""
_EPILOG = """\
exit status: 0 evidence was printed (what could not be read is in it as "missing"), 2 usage
"""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the agent; the return value is the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "inspect":
        _inspect(arguments)
        return 0
    return _probe(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailwitness-agent.pyz",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{inspect,probe}")
    inspect = commands.add_parser("inspect", help="the settings and listeners of this host")
    inspect.add_argument("--host", default="", help="its inventory name, for the document")
    inspect.add_argument("--address", default="", help="the address by which clients reach it")
    inspect.add_argument(
        "--sudo", action="store_true", help="ask sudo for what needs root: docs/without-root.md"
    )
    probe = commands.add_parser("probe", help="what mail ports of other hosts answer from here")
    probe.add_argument(
        "targets", nargs="*", metavar="TARGET", help="a name or an address, :PORT behind it or not"
    )
    probe.add_argument(
        "--source-address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="connect from this address of this host; one of each family may be given",
    )
    probe.add_argument("--vantage", default="", help="this host's inventory name")
    probe.add_argument(
        "--depth",
        choices=DEPTHS,
        default="full",
        help="versions: which of them are accepted, by six to nine connections to a port; brief: "
        "chains and capabilities, too, by two or three more; full (the default): all that can be "
        "negotiated, by sixty and more",
    )
    for command in (inspect, probe):
        command.add_argument(
            "--name", action="append", default=[], metavar="NAME", help="a name that clients use"
        )
        command.add_argument(
            "--port",
            action="append",
            type=int,
            metavar="PORT",
            help=f"a port to look at (default: {' '.join(map(str, DEFAULT_PORTS))})",
        )
    return parser


def _inspect(arguments: argparse.Namespace) -> None:
    # What only one of the two commands needs is a good part of what starting takes.
    from mailwitness.host.inspect import Request, inspect  # noqa: PLC0415

    names = tuple(arguments.name)
    ports = tuple(arguments.port or DEFAULT_PORTS)
    request = Request(arguments.host, arguments.address, ports, arguments.sudo)
    evidence = inspect(
        request,
        lambda listeners: observe(
            [Endpoint(address, port, names, "brief") for address, port in listeners], _OWN_LIMITS
        ),
    )
    sys.stdout.write(dumps(evidence) + "\n")


def _probe(arguments: argparse.Namespace) -> int:
    from mailwitness.probe.run import Manner, probe  # noqa: PLC0415

    try:
        targets = list(_targets(arguments))
    except ValueError as error:  # EvidenceError of standard input is one, too
        sys.stderr.write(f"mailwitness-agent.pyz: {error}\n")
        return 2
    manner = Manner(tuple(arguments.source_address), arguments.depth)
    for evidence in probe(targets, arguments.vantage, manner=manner):
        sys.stdout.write(dumps(evidence) + "\n")
        sys.stdout.flush()
    return 0


def _targets(arguments: argparse.Namespace) -> "Iterator[Target]":
    from mailwitness.probe.targets import Target, parse, read_targets  # noqa: PLC0415

    if not arguments.targets:
        yield from read_targets(sys.stdin)
    ports: dict[str, list[int]] = {}  # one look at each host, which bears so much of it at once
    for word in arguments.targets:
        host, port = parse(word)
        ports.setdefault(host, []).extend([port] if port else arguments.port or DEFAULT_PORTS)
    for host, its in ports.items():
        yield Target(host, host, tuple(arguments.name), tuple(dict.fromkeys(its)))
