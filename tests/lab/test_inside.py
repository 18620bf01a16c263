"""The agent on hosts where something is in its way: no root, a hung program, more of Postfix."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.audit import ROOT
from tests.lab.lab import Lab
from tests.lab.test_audit import run

pytestmark = pytest.mark.lab

NOT_JUDGED = ("-e", "mailwitness_fail_on=never")


def evidence(output: Path, host: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "evidence" / host / "host.json").read_text())
    return found


def test_the_documented_sudoers_give_an_ordinary_login_everything(lab: Lab, tmp_path: Path) -> None:
    file = lab.machine("noroot").root / "etc/sudoers.d/mailwitness"
    shutil.copy(ROOT / "docs" / "sudoers", file)
    file.chmod(0o440)
    try:
        done = run(lab, tmp_path, "--limit", "noroot", "-e", "mailwitness_sudo=true", *NOT_JUDGED)
    finally:
        file.unlink()
    assert evidence(tmp_path, "noroot")["agent"]["uid"] != 0
    host = done.host("noroot")
    assert (host["status"], host["reason"]) == ("audited", None)
    outcomes = {finding["outcome"] for finding in host["findings"]}
    assert outcomes == {"pass", "not-applicable"}


def test_sudo_itself_ends_a_program_that_hangs(lab: Lab, tmp_path: Path) -> None:
    """The agent's login may not: the program is root's."""
    machine = lab.machine("noroot")
    file = machine.root / "etc/sudoers.d/mailwitness"
    shutil.copy(ROOT / "docs" / "sudoers", file)
    file.chmod(0o440)
    nft = "/usr/sbin/nft"
    hanging = "#!/bin/sh\nexec sleep 86399\n"
    machine.run(("sh", "-c", f"mv {nft} {nft}.kept; printf '{hanging}' >{nft}; chmod +x {nft}"))
    try:
        run(lab, tmp_path, "--limit", "noroot", "-e", "mailwitness_sudo=true", *NOT_JUDGED)
        deadline = time.monotonic() + 30
        while machine.run(("pgrep", "-f", "sleep 86399")).stdout and time.monotonic() < deadline:
            time.sleep(0.5)
        left = machine.run(("pgrep", "-af", "sleep 86399")).stdout
    finally:
        machine.run(("sh", "-c", f"pkill -f 'sleep 86399'; mv {nft}.kept {nft}"))
        file.unlink()
    assert "no end within" in evidence(tmp_path, "noroot")["packet_filter"]["nft"]["missing"]
    assert not left


def test_a_hung_doveconf_is_waited_for_once_and_costs_nothing_else(
    lab: Lab, tmp_path: Path
) -> None:
    machine = lab.machine("plain")
    included = "/etc/dovecot/host.conf"
    machine.run(("sh", "-c", f"mv {included} {included}.kept; mkfifo {included}"))
    try:
        run(lab, tmp_path, "--limit", "plain", "--tags", "inspect", *NOT_JUDGED)
    finally:
        machine.run(("mv", f"{included}.kept", included))
    found = evidence(tmp_path, "plain")
    assert "no end within 10 s" in found["dovecot"]["missing"]
    assert "not run" in found["access_control"]["dovecot_access_sockets"]["missing"]
    assert found["agent"]["timings"][0]["collector"] == "dovecot"
    assert found["postfix"]["services"]
    assert all("pid" in socket["process"] for socket in found["sockets"])
    assert {look["port"] for look in found["running"]} >= {25, 143}


def test_another_instance_of_postfix_is_inspected(lab: Lab, tmp_path: Path) -> None:
    machine = lab.machine("legacy")
    made = "postmulti -e init; postmulti -I postfix-out -e create; postmulti -i postfix-out -e "
    listens = (
        "postconf -c /etc/postfix-out -e master_service_disable=smtp/inet; "
        "postconf -c /etc/postfix-out -M '2525/inet=2525 inet n - y - - smtpd'"
    )
    machine.run(("sh", "-c", f"{made} enable; {listens}"))
    try:
        run(lab, tmp_path, "--limit", "legacy", "--tags", "inspect", *NOT_JUDGED)
    finally:
        ended = "postmulti -i postfix-out -e disable; postmulti -i postfix-out -e destroy"
        machine.run(("sh", "-c", ended))
    (instance,) = evidence(tmp_path, "legacy")["postfix_instances"]
    assert (instance["name"], instance["enabled"]) == ("postfix-out", True)
    assert 2525 in [service["port"] for service in instance["postfix"]["services"]]
