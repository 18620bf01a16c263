"""The real playbook over the lab, and the recording that stands for it where no lab can run."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from mailwitness import cli
from tests.lab.errors import LabError
from tests.lab.lab import Lab, unavailable

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded"


def playbook(
    inventory: Path, output: Path, *options: str, name: str = "playbooks/audit.yml"
) -> list[str]:
    """The command that audits the hosts of `inventory` into `output`."""
    tool = Path(sys.executable).with_name("ansible-playbook")
    return [str(tool), "-i", str(inventory), name, "-e", f"mailwitness_output={output}", *options]


def demo(lab: Lab) -> int:
    """Audit the lab and show the report; where there can be no lab, the recorded evidence."""
    output = ROOT / "reports" / "lab"
    reason = unavailable()
    if reason:
        print(f"No lab on this machine: {reason}.\nThe report is made from recorded evidence.\n")
        return cli.main(["judge", str(RECORDED), "--output", str(output), "--fail-on", "never"])
    try:
        lab.up()
        status = audit(lab, output).returncode
    finally:
        lab.down()
    if status == 0:
        print(f"report: {output / 'index.html'}\nto audit hosts of your own: README.md")
    return status


def audit(lab: Lab, output: Path, *options: str) -> "subprocess.CompletedProcess[bytes]":
    """The playbook from the checkout over whatever of the lab is up, its output shown."""
    shutil.rmtree(output, ignore_errors=True)
    command = playbook(lab.inventory, output, "-e", "mailwitness_fail_on=never", *options)
    return subprocess.run(command, cwd=ROOT, check=False, env={**os.environ, "NO_COLOR": "1"})


def record(lab: Lab) -> None:
    """Audit the lab and keep its evidence beside this file."""
    output = lab.state / "recording"
    today = datetime.now(UTC).date()
    note = f"Recorded on lab hosts on {today}; nothing on this machine was audited."
    lab.down()  # one that is left of a start that failed may lack what comes after its boot
    try:
        lab.up()
        done = audit(lab, output, "-e", json.dumps({"mailwitness_note": note}))
    finally:
        lab.down()
    if done.returncode != 0:
        raise LabError("the audit failed; nothing is recorded")
    shutil.rmtree(RECORDED, ignore_errors=True)
    shutil.copytree(output / "evidence", RECORDED)
    for file in RECORDED.glob("*/host.json"):
        document = json.loads(file.read_text())
        if "system" in document:
            # The kernel is the recording machine's, not the host's.
            document["system"]["kernel"] = "recorded"
            file.write_text(json.dumps(document, separators=(",", ":")) + "\n")
