"""The lab by hand: ``python -m tests.lab up``."""

import argparse
import os
import sys
from pathlib import Path

from tests.lab import suites
from tests.lab.audit import demo, record
from tests.lab.errors import LabError
from tests.lab.lab import STATE, Lab


def main() -> int:
    state = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    state.add_argument("--state", type=Path, help="where the hosts are kept (default: .lab)")
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab", description=__doc__, parents=[state]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser(
        "up", parents=[state], help="boot these hosts (default: all) and write the inventory"
    )
    up.add_argument("hosts", nargs="*")
    commands.add_parser("down", parents=[state], help="end all hosts")
    commands.add_parser("status", parents=[state], help="which hosts there are, and which are up")
    commands.add_parser("bases", help="make the base file systems")
    commands.add_parser("demo", help="boot the lab, audit it by the playbook, end it")
    commands.add_parser("record", help="keep the evidence of such an audit in the checkout")
    shell = commands.add_parser("shell", help="a shell, or a command, in a host")
    shell.add_argument("host")
    shell.add_argument("argv", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    lab = Lab(getattr(arguments, "state", STATE))
    try:
        if arguments.command == "up":
            lab.up(arguments.hosts)
            print(f"inventory: {lab.inventory}")
        elif arguments.command == "down":
            lab.down()
        elif arguments.command == "status":
            for host, is_up in lab.status():
                print(f"{host.name:10} {'up' if is_up else '-':3} {host.ipv4:13} {host.purpose}")
        elif arguments.command == "bases":
            for suite in suites.SUITES:
                suites.base(suite)
        elif arguments.command == "demo":
            return demo(lab)
        elif arguments.command == "record":
            record(lab)
        else:
            argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
            command = lab.machine(arguments.host).command(argv or ["/bin/bash", "-l"])
            os.execvp(command[0], command)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
