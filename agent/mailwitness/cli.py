"""The command line on the control node; it alone writes to the terminal and decides exit status."""

import argparse
import json
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwitness import __version__, zipapp
from mailwitness.checks import all_checks
from mailwitness.correlate import allowlist_file, fleet, trust
from mailwitness.correlate.allowlist import ListAnswer
from mailwitness.evidence import folder
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now, stamp
from mailwitness.evidence.run import CONTROLLER, DEFAULT_PORTS, Failure, Run
from mailwitness.firewall.addresses import IntervalSet, parse_network
from mailwitness.firewall.verdict import Answer
from mailwitness.inventory.check import problems
from mailwitness.inventory.plan import (
    InventoryError,
    account,
    keep,
    output_folder,
    planned_host,
)
from mailwitness.notify.contact import mail_address
from mailwitness.notify.due import due
from mailwitness.notify.message import LetterError, Writer
from mailwitness.notify.postbox import MailError, Server, connected
from mailwitness.outside import Given, TargetError, plan, read_file
from mailwitness.policy import baseline, profile, waiver
from mailwitness.policy.audit import Borne, judge_fleet, load_policy
from mailwitness.policy.outcome import Outcome, Severity
from mailwitness.probe.login import Account, fingerprint
from mailwitness.probe.run import Manner, probe
from mailwitness.probe.targets import Target, parse
from mailwitness.progress import Progress
from mailwitness.report import explain, remedy
from mailwitness.report import reach as reach_report
from mailwitness.report.html import pages
from mailwitness.report.interface import Format, all_formats
from mailwitness.report.model import SCHEMA, build
from mailwitness.report.selection import select
from mailwitness.report.text import coloured, printable
from mailwitness.store import text as store_text
from mailwitness.store.compare import compare
from mailwitness.store.database import Database
from mailwitness.store.errors import StoreError
from mailwitness.store.history import History
from mailwitness.store.notices import Notices
from mailwitness.transport.collect import Errands, collect, stop

if TYPE_CHECKING:
    from mailwitness.inventory.ansible import Inventory

OK, FINDINGS, USAGE, NOT_AUDITED = 0, 1, 2, 3
_EXIT_STATUS = """\
exit status:
  0  done, and nothing failed at or above --fail-on
  1  findings failed at or above --fail-on
  2  the command or what it was given is wrong
  3  a host could not be audited (unreachable, or without usable evidence)
"""
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
  MAILWITNESS_LOGIN_USER=test MAILWITNESS_LOGIN_PASSWORD=... mailwitness probe HOST --login
"""
_COLLECT_HELP = """\
What the playbook does, over SSH connections of its own: the same inventory, the same agent, the
same evidence and report, with less work for the controller. Ansible's variables say how to log
in: ansible_host, _port, _user, _password, _ssh_private_key_file, _become with its password (sudo to
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
_STORE_HELP = """\
A store is a file (SQLite), or a database of PostgreSQL: postgresql://USER@HOST/NAME. Give it by
--store or MAILWITNESS_STORE. A run is saved by `mailwitness judge --save` and by the playbook,
where mailwitness_store is set. RUN is a number, `latest`, or `latest~1`, the one before.

  mailwitness runs --store history.sqlite
  mailwitness history mail1                          one host through all runs
  mailwitness diff                                   what the last run changed
  mailwitness diff 3 latest
  mailwitness trend
  mailwitness judge --run 3 --policy rfc             today's policy over old evidence
  mailwitness prune --keep 400

"""
_DIFF_EXIT = """\
exit status:
  0  nothing is new, worse or gone dark
  1  something is
  2  the command or what it was given is wrong
"""
_STORE_EXIT = """\
exit status:
  0  done
  2  the command or what it was given is wrong, or the store cannot be used
"""
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
# Where clients of mailboxes connect: RFC 8314.
_CLIENT_PORTS = (465, 587, 993)
_LOGIN_USER, _LOGIN_PASSWORD = "MAILWITNESS_LOGIN_USER", "MAILWITNESS_LOGIN_PASSWORD"
_SMTP_LOGIN = "MAILWITNESS_SMTP_PASSWORD"
_SUBMISSION = 587
_LATEST = Path("reports/latest/evidence")
_STORE = "reports/history.sqlite"
NEVER = "never"


class UsageError(Exception):
    """What was asked for cannot be done; the message says what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the return value is the exit status of the table above."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if (
        len(rest) == 1
        and not rest[0].startswith("-")
        and vars(arguments).get("evidence") == _LATEST
    ):
        # argparse finds no optional operand that stands behind an option (CPython issue 15112).
        arguments.evidence = Path(rest[0])
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (
        UsageError,
        allowlist_file.AllowlistError,
        fleet.FleetError,
        profile.ProfileError,
        waiver.WaiverError,
        baseline.BaselineError,
        LetterError,
        MailError,
        InventoryError,
        StoreError,
        TargetError,
    ) as error:
        print(f"mailwitness: {printable(str(error))}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # The reader has what it wanted (`| head`); the interpreter must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailwitness",
        description="Audit mail hosts: what they say, what they do, and what clients get.",
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mailwitness {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    judging, storing = _judging(), _storing()

    judge = _command(commands, "judge", "judge stored evidence again", _judge, judging, storing)
    judge.add_argument("evidence", type=Path, nargs="?", metavar="EVIDENCE_DIR")
    judge.add_argument(
        "--run", dest="run_name", metavar="RUN", help="of the store, in place of EVIDENCE_DIR"
    )
    judge.add_argument("--save", action="store_true", help="keep the run in the store")
    _add_history(commands, storing)

    _add_probe(commands, judging)
    _add_questions(commands)

    gather = _command(
        commands, "collect", "audit the hosts of an inventory by SSH", _collect, judging, storing
    )
    gather.epilog = _COLLECT_HELP + "\n" + _EXIT_STATUS
    _add_inventory(gather)
    gather.add_argument(
        "--jobs",
        type=_count,
        default=20,
        metavar="N",
        help="hosts at a time (default: %(default)s)",
    )
    gather.add_argument(
        "--timeout",
        type=_count,
        default=300,
        metavar="SECONDS",
        help="for one host (default: %(default)s)",
    )
    gather.add_argument("--note", help="a sentence that the report shows at its top")
    gather.add_argument("--save", action="store_true", help="keep the run in the store")
    listing = commands.add_parser("inventory", help="see whether an inventory is in order")
    check = _command(
        listing.add_subparsers(required=True, metavar="COMMAND"),
        "check",
        "tell what is wrong with an inventory",
        _check_inventory,
    )
    check.epilog = _INVENTORY_HELP
    _add_inventory(check)

    accept = _command(
        commands, "baseline", "accept what a report fails, so that new failures show", _baseline
    )
    accept.add_argument("report", type=Path, metavar="REPORT_JSON")
    accept.add_argument("output", type=Path, metavar="FILE")

    report = _command(commands, "report", "show a report.json in another format", _report)
    report.add_argument("report", type=Path, metavar="REPORT_JSON")
    report.add_argument(
        "--format",
        choices=list(all_formats()),
        default="text",
        help="; ".join(f"{form.name}: {form.title}" for form in all_formats().values()),
    )
    report.add_argument(
        "--output", type=Path, metavar="FILE", help="write it there, whole or not at all"
    )
    report.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="only this; may be repeated"
    )
    report.add_argument(
        "--check",
        action="append",
        default=[],
        choices=[check.id for check in all_checks()],
        metavar="ID",
        help="only what this check says; may be repeated",
    )
    report.add_argument(
        "--severity",
        choices=[level.value for level in Severity],
        default=Severity.INFO.value,
        help="leave out failures less severe (default: %(default)s)",
    )

    on_policies = _listing(commands, "policies", "list the policies", _policies)
    policy = _command(on_policies, "show", "all that a policy asks, and where it stands", _policy)
    policy.add_argument("policy", metavar="POLICY", help="a name, or a file that ends in .toml")

    on_checks = _listing(commands, "checks", "list what is checked", _checks)
    check = _command(on_checks, "show", "explain a check", _check)
    check.add_argument("check", metavar="ID")

    cure = _command(
        commands, "remedy", "write the remedies of a report as a playbook; nothing is run", _remedy
    )
    cure.add_argument("report", type=Path, metavar="REPORT_JSON")
    cure.add_argument(
        "--host",
        action="append",
        metavar="NAME",
        help="may be repeated; default: every host of the report",
    )

    agent = _command(commands, "agent", "build the agent that is shipped to hosts", _agent)
    agent.add_argument("output", type=Path, metavar="FILE", help="mailwitness-agent.pyz")
    return parser


def _add_probe(commands: Any, *parents: argparse.ArgumentParser) -> None:
    look = _command(commands, "probe", "audit hosts from outside alone, no login", _probe, *parents)
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
        type=_port,
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


def _judging() -> argparse.ArgumentParser:
    """What all commands that judge have in common."""
    judging = argparse.ArgumentParser(add_help=False)
    judging.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="POLICY",
        help="judge by this policy, or the one in this file, whatever the inventory says; "
        "may be repeated (`mailwitness policies` lists them)",
    )
    judging.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.json, index.html and hosts/ there"
    )
    judging.add_argument(
        "--fail-on",
        choices=[*(level.value for level in Severity), NEVER],
        default=Severity.HIGH.value,
        help="the least severity of a failed finding that makes the exit status 1 "
        "(default: %(default)s; never: the exit status is 0 whatever is found)",
    )
    judging.add_argument(
        "--waivers", type=Path, metavar="FILE", help="in place of those of the inventory"
    )
    judging.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="accept what it has (made by `mailwitness baseline`), fail what is new",
    )
    return judging


def _storing() -> argparse.ArgumentParser:
    """What all commands that use the store have in common."""
    storing = argparse.ArgumentParser(add_help=False)
    storing.add_argument(
        "--store",
        default=os.environ.get("MAILWITNESS_STORE") or _STORE,
        metavar="FILE|URL",
        help=f"the history of runs (default: MAILWITNESS_STORE, or {_STORE})",
    )
    return storing


def _add_questions(commands: Any) -> None:
    """Those that ask stored evidence who can reach what."""
    lists = commands.add_parser("allowlist", help="hold allowlists against stored evidence")
    on_lists = lists.add_subparsers(required=True, metavar="COMMAND")
    check = _command(
        on_lists, "check", "who of a list reaches which host, by stored evidence", _allowlist_check
    )
    check.epilog = _ALLOWLIST_HELP
    check.add_argument("list", type=Path, metavar="LIST")
    check.add_argument(
        "--port",
        action="append",
        type=_port,
        help="may be repeated; default: the list's own, or those of the mail clients' services",
    )
    _add_evidence(check)

    reach = _command(commands, "reach", "explain who can reach a port of a host", _reach)
    reach.epilog = _REACH_HELP
    reach.add_argument("host", metavar="HOST", help="as the inventory names it")
    reach.add_argument("port", type=_port, metavar="PORT")
    reach.add_argument("--from", dest="source", type=_network, metavar="CIDR")
    _add_evidence(reach)


def _listing(commands: Any, name: str, title: str, run: Any) -> Any:
    """A command that lists, and has commands of its own beneath it."""
    return _command(commands, name, title, run).add_subparsers(metavar="COMMAND")


def _command(
    commands: Any, name: str, title: str, run: Any, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=title,
        description=title[0].upper() + title[1:] + ".",
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=list(parents),
    )
    parser.set_defaults(run=run)
    return parser


def _add_history(commands: Any, storing: argparse.ArgumentParser) -> None:
    listed = _command(commands, "runs", "list the runs of the store", _runs, storing)
    one = _command(commands, "history", "follow a host through the runs", _history, storing)
    one.add_argument("host", metavar="HOST", help="as the inventory names it")
    diff = _command(commands, "diff", "tell what changed between two runs", _diff, storing)
    diff.add_argument("before", nargs="?", default="latest~1", metavar="A", help="a run")
    diff.add_argument("after", nargs="?", default="latest", metavar="B", help="a later one")
    trend = _command(commands, "trend", "count the failures of each run", _trend, storing)
    prune = _command(commands, "prune", "remove old runs from the store", _prune, storing)
    prune.add_argument(
        "--keep", type=_count, required=True, metavar="N", help="how many of the last runs stay"
    )
    for parser in (listed, one, trend, prune):
        parser.epilog = _STORE_HELP + _STORE_EXIT
    diff.epilog = _STORE_HELP + _DIFF_EXIT

    tell = _command(commands, "notify", "mail what changed to the contacts", _notify, storing)
    tell.epilog = _NOTIFY_HELP
    tell.add_argument("run_name", nargs="?", default="latest", metavar="RUN", help="tell up to it")
    tell.add_argument("--server", type=_server, metavar="HOST[:PORT]", help="port 587 by default")
    tell.add_argument("--from", dest="sender", type=_sender, metavar="ADDRESS")
    tell.add_argument("--user", help="to log in as at the server")
    tell.add_argument("--trust-store", type=Path, metavar="PEM", help="CAs beside the system's")
    tell.add_argument("--template", type=Path, metavar="DIR")
    tell.add_argument("--dry-run", action="store_true", help="show what would be sent to whom")


def _add_evidence(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "evidence",
        type=Path,
        nargs="?",
        default=_LATEST,
        metavar="EVIDENCE_DIR",
        help="of a run (default: %(default)s)",
    )


def _judge(arguments: argparse.Namespace) -> int:
    if (arguments.evidence is None) == (arguments.run_name is None):
        raise UsageError("give either EVIDENCE_DIR or --run RUN")
    if arguments.run_name is None:
        history = History(Database(arguments.store, create=True)) if arguments.save else None
        return _judged(arguments.evidence, arguments, history)
    if arguments.save:
        raise UsageError("--save is for new evidence; the run is in the store already")
    history = _open(arguments)
    with tempfile.TemporaryDirectory(prefix="mailwitness-") as temporary:
        history.restore(history.find(arguments.run_name), Path(temporary))
        return _judged(Path(temporary), arguments)


def _open(arguments: argparse.Namespace) -> History:
    return History(Database(arguments.store, create=False))


def _runs(arguments: argparse.Namespace) -> int:
    sys.stdout.write(store_text.runs(_open(arguments).runs()))
    return OK


def _history(arguments: argparse.Namespace) -> int:
    found = _open(arguments).of_host(arguments.host)
    if not found:
        raise UsageError(f"no run of the store has a host {arguments.host!r}")
    sys.stdout.write(store_text.history(found))
    return OK


def _diff(arguments: argparse.Namespace) -> int:
    history = _open(arguments)
    before, after = history.find(arguments.before), history.find(arguments.after)
    changes = compare(history.report(before), history.report(after))
    sys.stdout.write(store_text.diff(before, after, changes))
    return FINDINGS if any(each.kind in ("new", "worse", "gone dark") for each in changes) else OK


def _trend(arguments: argparse.Namespace) -> int:
    sys.stdout.write(store_text.trend(_open(arguments).runs()))
    return OK


def _prune(arguments: argparse.Namespace) -> int:
    print(f"{_open(arguments).prune(arguments.keep)} runs removed")
    return OK


def _notify(arguments: argparse.Namespace) -> int:
    database = Database(arguments.store, create=False)
    history, notices = History(database), Notices(database)
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
                notices.tell(letter.to, run.id)
                print(f"told {letter.to}: {letter.subject}")
    return status


def _mail_server(arguments: argparse.Namespace) -> Server:
    password = os.environ.get(_SMTP_LOGIN)
    if arguments.user and not password:
        raise UsageError(f"--user: set {_SMTP_LOGIN} in the environment")
    host, port = arguments.server
    return Server(host, port, arguments.user, password, _pem(arguments.trust_store))


def _judged(evidence: Path, arguments: argparse.Namespace, history: History | None = None) -> int:
    checks = all_checks()
    given = arguments.waivers
    files = [given] if given else sorted(folder.waivers(evidence).glob("*/*"))
    ids = [check.id for check in checks]
    borne = Borne(
        tuple(each for file in files for each in waiver.read(file, ids)),
        baseline.read(arguments.baseline) if arguments.baseline else None,
    )
    audit = judge_fleet(fleet.read(evidence), arguments.policy, checks, borne)
    report = build(audit, now())
    _show(all_formats()["text"], report)
    if arguments.output:
        runs = history.runs() if history else []
        before = [run.report for run in runs if run.started_at < report["collected_at"]]
        page = _write(report, arguments.output, before)
        print(f"\nreport: {page}")
    if history:
        print(f"saved as run {history.save(evidence, report)}")
    return _status(report, arguments.fail_on)


def _show(form: Format, report: dict[str, Any]) -> None:
    """The summary in colour on a terminal, unless NO_COLOR is set (no-color.org)."""
    text = form.render(report)
    colour = form.name == "text" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    sys.stdout.write(coloured(text) if colour else text)


def _write(report: dict[str, Any], output: Path, before: Sequence[dict[str, Any]] = ()) -> Path:
    """report.json, index.html and a page for each host; each appears whole."""
    _write_file(output / "report.json", all_formats()["json"].render(report))
    for name, page in pages(report, before):
        _write_file(output / name, page)
    return output / "index.html"


def _write_file(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(content, "utf-8")
    unfinished.replace(path)


def _status(report: dict[str, Any], fail_on: str) -> int:
    if fail_on == NEVER:
        return OK
    threshold = Severity(fail_on).rank
    for host in report["hosts"]:
        for finding in host["findings"]:
            failed = finding["outcome"] == Outcome.FAIL
            if failed and Severity(finding["severity"]).rank <= threshold:
                return FINDINGS
    lost = any(host["status"] in ("unreachable", "failed") for host in report["hosts"])
    return NOT_AUDITED if lost else OK


def _baseline(arguments: argparse.Namespace) -> int:
    found = baseline.of_report(_load_report(arguments.report))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    folder.write(arguments.output, found)
    print(f"{arguments.output}: accepts {len(found.accepts)} failures of {found.collected_at}")
    return OK


def _probe(arguments: argparse.Namespace) -> int:
    words = [*arguments.targets, *(word for file in arguments.file for word in read_file(file))]
    if not words:
        raise UsageError("no target: name a host, or a file of them with --file")
    given = Given(tuple(arguments.name), tuple(arguments.port or ()), _pem(arguments.trust_store))
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
        manner = Manner(tuple(arguments.source_address))
        for seen in probe(looks, CONTROLLER, manner=manner, progress=progress.port):
            folder.write(folder.probe_file(evidence, seen.host, CONTROLLER), seen)
            progress.host()
        progress.end()
        return _judged(evidence, arguments)


def _account(arguments: argparse.Namespace, trust_store: str | None) -> Account:
    """Of the environment: arguments are for every user of the machine to see."""
    found = [os.environ.get(name) for name in (_LOGIN_USER, _LOGIN_PASSWORD)]
    if not all(found):
        raise UsageError(f"--login: set {_LOGIN_USER} and {_LOGIN_PASSWORD} in the environment")
    user, password = map(str, found)
    return Account(user, password, tuple(arguments.login_certificate), trust_store)


def _pem(path: Path | None) -> str | None:
    """The content of a trust store, which must be one."""
    if path is None:
        return None
    try:
        pem = path.read_text("ascii")
    except OSError as error:
        raise UsageError(f"--trust-store {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--trust-store {path}: not PEM") from None
    if isinstance(trust.given_store(pem), Missing):
        raise UsageError(f"--trust-store {path}: no list of PEM certificates")
    return pem


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
    hosts = {host.plan.name: host for host in run.hosts}
    if arguments.host not in hosts:
        raise UsageError(f"no host {arguments.host!r}; there are: {', '.join(hosts)}")
    host = hosts[arguments.host]
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


def _read_inventory(arguments: argparse.Namespace) -> "Inventory":
    # Ansible takes half a second to be imported, which no other command needs to wait for.
    from mailwitness.inventory.ansible import read  # noqa: PLC0415

    return read(arguments.inventory, arguments.limit, arguments.vault_password_file)


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
    history = History(Database(arguments.store, create=True)) if arguments.save else None
    return _judged(evidence, arguments, history)


def _tell_problems(inventory: "Inventory") -> bool:
    wrong = list(problems(inventory.mail, inventory.vantages))
    for problem in wrong:
        print(f"mailwitness: {printable(problem)}", file=sys.stderr)
    return bool(wrong)


def _check_inventory(arguments: argparse.Namespace) -> int:
    inventory = _read_inventory(arguments)
    if _tell_problems(inventory):
        return USAGE
    print(f"{len(inventory.mail)} hosts to audit, {len(inventory.vantages)} vantages: in order")
    return OK


def _report(arguments: argparse.Namespace) -> int:
    report = _load_report(arguments.report)
    names = [host["name"] for host in report["hosts"]]
    for name in arguments.host:
        if name not in names:
            there = ", ".join(names)
            raise UsageError(f"{arguments.report}: no host {name!r}; there are: {there}")
    chosen = select(report, arguments.host, arguments.check, Severity(arguments.severity))
    form = all_formats()[arguments.format]
    if arguments.output:
        _write_file(arguments.output, form.render(chosen))
    else:
        _show(form, chosen)
    return OK


def _remedy(arguments: argparse.Namespace) -> int:
    report = _load_report(arguments.report)
    there = [host["name"] for host in report["hosts"]]
    for name in arguments.host or ():
        if name not in there:
            raise UsageError(f"{arguments.report}: no host {name!r}; there are: {', '.join(there)}")
    sys.stdout.write(remedy.playbook(report, arguments.host or there))
    return OK


def _load_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise UsageError(f"{path}: not a report of schema {SCHEMA}")
    return report


def _policies(_: argparse.Namespace) -> int:
    for name in profile.names():
        policy = profile.load(name)
        print(f"{name:23} {policy.date:11} {policy.title}")
    return OK


def _policy(arguments: argparse.Namespace) -> int:
    print(explain.policy(load_policy(arguments.policy, all_checks())), end="")
    return OK


def _checks(_: argparse.Namespace) -> int:
    for check in all_checks():
        print(f"{check.severity:9} {check.id:27} {check.title}")
    return OK


def _check(arguments: argparse.Namespace) -> int:
    checks = {check.id: check for check in all_checks()}
    if arguments.check not in checks:
        raise UsageError(f"no check {arguments.check!r}; `mailwitness checks` lists them")
    print(explain.check(checks[arguments.check]), end="")
    return OK


def _agent(arguments: argparse.Namespace) -> int:
    built = zipapp.write(arguments.output)
    print(f"{arguments.output}: {len(built.content)} bytes, SHA-256 {built.sha256}")
    return OK


def _fingerprint(text: str) -> str:
    try:
        return fingerprint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


def _own_address(text: str) -> str:
    try:
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as end:
            end.bind((text, 0))
    except (OSError, UnicodeError):
        raise argparse.ArgumentTypeError(f"{text!a} is no address of this machine") from None
    return text


def _network(text: str) -> tuple[int, IntervalSet]:
    try:
        return parse_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of runs")


def _port(text: str) -> int:
    if text.isdigit() and 0 < int(text) < 65536:  # noqa: PLR2004
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port")


if __name__ == "__main__":
    sys.exit(main())
