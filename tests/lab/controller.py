"""A lab host as control node: mailwitness on it, the lab's key, an inventory of another host."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.lab.audit import ROOT
from tests.lab.lab import Lab
from tests.lab.machine import Machine

CONTROL, AUDITED = "stranger", "good"
INVENTORY = "/etc/mailwitness/hosts.yml"
_PROGRAM = """\
#!/bin/sh
PYTHONPATH=/opt/mailwitness exec python3 -m mailwitness.cli "$@"
"""
# What Debian 12's own Python, on any machine that tests, has to be given.
_TARGET = (
    *("--python-version", "3.11", "--implementation", "cp", "--only-binary=:all:"),
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
    *("--platform", "manylinux_2_34_x86_64"),
)
_FAULT = "submission/inet/smtpd_tls_auth_only"


@contextmanager
def controller(lab: Lab, wheels: Path) -> Iterator[Machine]:
    """CONTROL, able to audit AUDITED; `wheels` is an empty folder."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, "wheel", "--no-deps", "-w", wheels, ROOT), check=True)
    machine = lab.machine(CONTROL)
    package = machine.root / "opt" / "mailwitness"
    (wheel,) = wheels.iterdir()
    constraints = ("-c", ROOT / "constraints.txt")
    subprocess.run((*pip, "install", *constraints, *_TARGET, "-t", package, wheel), check=True)
    program = machine.root / "usr/local/bin/mailwitness"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    home = machine.root / "root" / ".ssh"
    for name in ("id_ed25519", "known_hosts"):
        shutil.copy(lab.state / "ssh" / name, home / name)
    host: dict[str, Any] = {"ansible_host": lab.hosts[AUDITED].ipv4, "ansible_user": "root"}
    trust = {"mailwitness_trust_store": "/etc/mailwitness/ca.pem"}
    folder = machine.root / "etc" / "mailwitness"
    folder.mkdir()
    shutil.copy(lab.authority.root, folder / "ca.pem")
    names = {"mailwitness_names": list(lab.hosts[AUDITED].names)}
    inventory = {"mail": {"hosts": {AUDITED: host | names | trust}}}
    (machine.root / INVENTORY.lstrip("/")).write_text(yaml.safe_dump(inventory))
    try:
        yield machine
    finally:
        for each in (package, folder, machine.root / "var/lib/mailwitness"):
            shutil.rmtree(each, ignore_errors=True)
        for name in ("id_ed25519", "known_hosts"):
            (home / name).unlink()
        program.unlink()


def rows(listing: str) -> int:
    """How many runs a table of the store's commands has."""
    return len(re.findall(r"^ *\d+ ", listing, re.MULTILINE))


@contextmanager
def passwords_in_the_clear(lab: Lab) -> Iterator[None]:
    """A fault of AUDITED while the block runs."""
    audited = lab.machine(AUDITED)
    try:
        audited.run(("postconf", "-P", f"{_FAULT}=no"))
        audited.run(("postconf", "-P", "submission/inet/smtpd_tls_security_level=may"))
        audited.run(("postfix", "reload"))
        yield
    finally:
        audited.run(("postconf", "-PX", _FAULT))
        audited.run(("postconf", "-P", "submission/inet/smtpd_tls_security_level=encrypt"))
        audited.run(("postfix", "reload"))
