"""`reach` and `allowlist check`: who can reach what, by stored evidence."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mailwitness.cli.interface import (
    FINDINGS,
    LATEST,
    NOT_AUDITED,
    OK,
    UsageError,
    command,
    port,
)
from mailwitness.correlate import allowlist_file, fleet
from mailwitness.correlate.allowlist import ListAnswer
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import IntervalSet, parse_network
from mailwitness.firewall.verdict import Answer
from mailwitness.report import reach as reach_report
from mailwitness.report.text import printable

_ALLOWLIST_HELP = """\
LIST is a YAML file with name, cidrs and, optionally, ports, source, retrieved_at, exclusive;
or a plain one with a network a line and # for comments:

  mailwitness allowlist check vendor.yml                     by the newest evidence here
  mailwitness allowlist check vendor.txt reports/latest/evidence --port 993 --port 587

exit status:
  0  every host admits the whole list on every port
  1  a host does not admit a part of it
  2  the command or what it was given is wrong
  3  of a host it is not known
"""
_REACH_HELP = """\
Without --from: who is admitted, blocked or undecided, each with the rule that decides.
With it: what happens to a connection from there, rule by rule, in the order of the kernel.

  mailwitness reach mail1 993
  mailwitness reach mail1 993 --from 198.51.100.0/24 reports/latest/evidence

exit status:
  0  told, and with --from: admitted
  1  with --from: a part of the sources is blocked
  2  the command or what it was given is wrong
  3  it is not known: undecided, or the packet filter was not read
"""
# Where clients of mailboxes connect: RFC 8314.
_CLIENT_PORTS = (465, 587, 993)


def add(commands: Any) -> None:
    """Make them known to the command line."""
    lists = commands.add_parser("allowlist", help="hold allowlists against stored evidence")
    on_lists = lists.add_subparsers(required=True, metavar="COMMAND")
    check = command(
        on_lists, "check", "who of a list reaches which host, by stored evidence", _allowlist_check
    )
    check.epilog = _ALLOWLIST_HELP
    check.add_argument("list", type=Path, metavar="LIST")
    check.add_argument(
        "--port",
        action="append",
        type=port,
        help="may be repeated; default: the list's own, or those of the mail clients' services",
    )
    _add_evidence(check)

    reach = command(commands, "reach", "explain who can reach a port of a host", _reach)
    reach.epilog = _REACH_HELP
    reach.add_argument("host", metavar="HOST", help="as the inventory names it")
    reach.add_argument("port", type=port, metavar="PORT")
    reach.add_argument("--from", dest="source", type=_network, metavar="CIDR")
    _add_evidence(reach)


def _allowlist_check(arguments: argparse.Namespace) -> int:
    entry = {"file": str(arguments.list), **({"ports": arguments.port} if arguments.port else {})}
    wanted = allowlist_file.allowlist(entry, "LIST", Path(), _CLIENT_PORTS)
    found: list[tuple[str, ListAnswer]] = []
    for host in fleet.read(arguments.evidence, [wanted]).hosts:
        found += ((host.plan.name, answer) for answer in host.allowlists)
    sys.stdout.write(reach_report.allowlists(found))
    said = {answer.admitted for _, answer in found}
    if said & {"partial", "none"}:
        return FINDINGS
    return NOT_AUDITED if "unknown" in said or not said else OK


def _reach(arguments: argparse.Namespace) -> int:
    run = fleet.read(arguments.evidence, ports=(arguments.port,))
    plans = {plan.name: plan for plan in run.run.hosts}
    if arguments.host not in plans:
        raise UsageError(f"no host {arguments.host!r}; there are: {', '.join(plans)}")
    host = run.host(plans[arguments.host])
    (endpoint,) = (each for each in host.endpoints if each.port == arguments.port)
    if isinstance(endpoint.filtered, Missing) or isinstance(host.filters, Missing):
        missing = endpoint.filtered if isinstance(endpoint.filtered, Missing) else host.filters
        print(f"not known: {printable(str(getattr(missing, 'reason', '')))}")
        return NOT_AUDITED
    family, sources = arguments.source or (None, None)
    ways = [way for way in endpoint.filtered.ways if family in (None, way.family)]
    if not ways:
        raise UsageError(f"{arguments.host} has no IPv{family} address that clients could reach")
    print("\n".join(reach_report.way(host.filters, way, sources) for way in ways), end="")
    if sources is None:
        return OK
    said = {share.answer for way in ways for share in way.within(sources)}
    if Answer.BLOCKED in said:
        return FINDINGS
    return NOT_AUDITED if Answer.UNDECIDED in said else OK


def _add_evidence(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "evidence",
        type=Path,
        nargs="?",
        default=LATEST,
        metavar="EVIDENCE_DIR",
        help="of a run (default: %(default)s)",
    )


def _network(text: str) -> tuple[int, IntervalSet]:
    try:
        return parse_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
