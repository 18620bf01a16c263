"""`collect` and `inventory check`: a run by SSH, and whether it could begin."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwitness import zipapp
from mailwitness.cli.interface import (
    EXIT_STATUS,
    OK,
    USAGE,
    command,
    count,
    judging,
    opened,
    storing,
)
from mailwitness.cli.judge import judged
from mailwitness.evidence import folder
from mailwitness.evidence.moment import stamp
from mailwitness.evidence.run import CONTROLLER, Run
from mailwitness.inventory.check import problems
from mailwitness.inventory.plan import account, keep, output_folder, planned_host
from mailwitness.progress import Progress
from mailwitness.report.text import printable
from mailwitness.transport.collect import Errands, collect, stop

if TYPE_CHECKING:
    from mailwitness.inventory.ansible import Inventory

_COLLECT_HELP = """\
What the playbook does, over SSH connections of its own: the same inventory, the same agent, the
same evidence and report, with less work for the controller. Ansible's variables say how to log
in: ansible_host, port, _user, _password, _ssh_private_key_file, _become with its password (sudo to
root), a jump host in ansible_ssh_common_args or ~/.ssh/config. Host keys must be known: there is no
option to the contrary.

  mailwitness collect -i inventory
  mailwitness collect -i inventory --limit 'mail:&branch' --fail-on critical
  mailwitness collect -i inventory --vault-password-file vault --save

A host has --timeout seconds, --jobs hosts are visited at a time: however many of them hang, the
visits end within hosts / jobs * timeout.
"""
_INVENTORY_HELP = """\
Reads the inventory as an audit would, and tells all that is wrong with it: names, ports, policies,
waivers, allowlists, contacts, test accounts, how to log in. Nothing is contacted.

exit status:
  0  an audit could begin
  2  something is wrong; a line for each
"""


def add(commands: Any) -> None:
    """Make them known to the command line."""
    gather = command(
        commands,
        "collect",
        "audit the hosts of an inventory by SSH",
        _collect,
        judging(),
        storing(),
    )
    gather.epilog = _COLLECT_HELP + "\n" + EXIT_STATUS
    _add_inventory(gather)
    gather.add_argument(
        "--jobs",
        type=count,
        default=20,
        metavar="N",
        help="hosts at a time (default: %(default)s)",
    )
    gather.add_argument(
        "--timeout",
        type=count,
        default=300,
        metavar="SECONDS",
        help="for one host (default: %(default)s)",
    )
    gather.add_argument("--note", help="a sentence that the report shows at its top")
    gather.add_argument("--save", action="store_true", help="keep the run in the store")
    listing = commands.add_parser("inventory", help="see whether an inventory is in order")
    check = command(
        listing.add_subparsers(required=True, metavar="COMMAND"),
        "check",
        "tell what is wrong with an inventory",
        _check_inventory,
    )
    check.epilog = _INVENTORY_HELP
    _add_inventory(check)


def _collect(arguments: argparse.Namespace) -> int:
    inventory = _read_inventory(arguments)
    if _tell_problems(inventory):
        return USAGE
    mail, started = inventory.mail, datetime.now(UTC)
    run = Run(
        started_at=stamp(started),
        note=arguments.note,
        inside=True,
        vantages=(CONTROLLER, *inventory.vantages),
        hosts=tuple(planned_host(name, its) for name, its in mail.items()),
    )
    output = output_folder(arguments.output, inventory.folder, started)
    evidence = output / "evidence"
    folder.write(folder.run_file(evidence), run)
    keep(mail, evidence)
    stops = {name: stop(name, its) for name, its in (inventory.vantages | mail).items()}
    accounts = {name: account(name, its) for name, its in mail.items()}
    errands = Errands(evidence, zipapp.build(), arguments.timeout, arguments.jobs)
    shown = Progress(len(run.hosts) + len(run.vantages), sys.stderr)
    collect(run, stops, accounts, errands, shown.host)
    shown.end()
    arguments.output = output
    history = opened(arguments, create=True) if arguments.save else None
    return judged(evidence, arguments, history)


def _check_inventory(arguments: argparse.Namespace) -> int:
    inventory = _read_inventory(arguments)
    if _tell_problems(inventory):
        return USAGE
    print(f"{len(inventory.mail)} hosts to audit, {len(inventory.vantages)} vantages: in order")
    return OK


def _read_inventory(arguments: argparse.Namespace) -> "Inventory":
    # Ansible takes half a second to be imported, which no other command needs to wait for.
    from mailwitness.inventory.ansible import read  # noqa: PLC0415

    return read(arguments.inventory, arguments.limit, arguments.vault_password_file)


def _tell_problems(inventory: "Inventory") -> bool:
    wrong = list(problems(inventory.mail, inventory.vantages))
    for problem in wrong:
        print(f"mailwitness: {printable(problem)}", file=sys.stderr)
    return bool(wrong)


def _add_inventory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-i",
        "--inventory",
        action="append",
        type=Path,
        required=True,
        metavar="PATH",
        help="as ansible-playbook has it; may be repeated",
    )
    parser.add_argument("--limit", metavar="PATTERN", help="as ansible-playbook has it")
    parser.add_argument(
        "--vault-password-file",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="as ansible-playbook has it; may be repeated",
    )
