"""`policies`, `checks`, `agent`: what there is, and what ships."""

import argparse
from pathlib import Path
from typing import Any

from mailwitness import zipapp
from mailwitness.checks import all_checks
from mailwitness.cli.interface import OK, UsageError, command, listing
from mailwitness.policy import profile
from mailwitness.policy.audit import load_policy
from mailwitness.report import explain


def add(commands: Any) -> None:
    """Make them known to the command line."""
    on_policies = listing(commands, "policies", "list the policies", _policies)
    policy = command(on_policies, "show", "all that a policy asks, and where it stands", _policy)
    policy.add_argument("policy", metavar="POLICY", help="a name, or a file that ends in .toml")

    on_checks = listing(commands, "checks", "list what is checked", _checks)
    check = command(on_checks, "show", "explain a check", _check)
    check.add_argument("check", metavar="ID")

    agent = command(commands, "agent", "build the agent that is shipped to hosts", _agent)
    agent.add_argument("output", type=Path, metavar="FILE", help="mailwitness-agent.pyz")


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
