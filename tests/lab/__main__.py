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
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE, help="where the hosts are kept")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="boot these hosts (default: all) and write the inventory")
    up.add_argument("hosts", nargs="*")
    commands.add_parser("down", help="end all hosts")
    commands.add_parser("status", help="which hosts there are, and which are up")
    commands.add_parser("bases", help="make the base file systems")
    commands.add_parser("demo", help="boot the lab, audit it by the playbook, end it")
    commands.add_parser("record", help="keep the evidence of such an audit in the checkout")
    shell = commands.add_parser("shell", help="a shell, or a command, in a host")
    shell.add_argument("host")
    shell.add_argument("argv", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    lab = Lab(arguments.state)
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
            argv = [word for word in arguments.argv if word != "--"] or ["/bin/bash", "-l"]
            command = lab.machine(arguments.host).command(argv)
            os.execvp(command[0], command)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
