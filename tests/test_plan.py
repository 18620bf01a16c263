"""What the inventory says of policies, waivers and a baseline reaches the report."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailwitness import cli
from tests.lab.audit import ROOT, playbook

WAIVER = {
    "check": "imap-available",
    "groups": ["branch"],
    "reason": "no mail there before spring",
    "owner": "ops",
    "expires": "2099-12-31",
}


def audit(folder: Path, **variables: Any) -> "subprocess.CompletedProcess[str]":
    """One host, on a port of this machine that nobody listens on, from outside alone."""
    host = {"ansible_host": "127.0.0.1", "mailwitness_ports": [1], **variables}
    groups = {"mail": {"hosts": {"m1": host}}, "branch": {"hosts": {"m1": {}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    command = playbook(folder / "hosts.yml", folder / "report", "--tags", "probe")
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_policy_and_waivers_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "company.toml").write_text(
        'extends = "rfc"\n[requires]\nimap-available = "Handbook 3"\n'
    )
    (tmp_path / "waivers.yml").write_text(yaml.safe_dump([WAIVER]).replace("'", ""))
    done = audit(
        tmp_path,
        mailwitness_policies=["company.toml", "pci-dss-4.0.1"],
        mailwitness_waivers="waivers.yml",
    )
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["policies"] == ["company", "pci-dss-4.0.1"]
    (waiver,) = report["waivers"]
    assert (waiver["groups"], waiver["owner"]) == (["branch"], "ops")
    # The evidence can be judged again, without the inventory.
    (tmp_path / "company.toml").unlink()
    (tmp_path / "waivers.yml").unlink()
    evidence = str(tmp_path / "report" / "evidence")
    again = tmp_path / "again"
    cli.main(["judge", evidence, "--output", str(again), "--fail-on", "never"])
    judged = json.loads((again / "report.json").read_text())
    assert {**judged, "generated_at": ""} == {**report, "generated_at": ""}


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        (
            {"mailwitness_policies": ["rfcc"]},
            "Inventory of m1: mailwitness_policies: no policy 'rfcc'",
        ),
        (
            {"mailwitness_policies": ["company.toml"]},
            "company.toml: tls.minimum: is not there",
        ),
        (
            {"mailwitness_waivers": "nosuch.yml"},
            "Inventory of m1: mailwitness_waivers: ",
        ),
        (
            {"mailwitness_timeout": "soon"},
            "Inventory of m1: argument 'mailwitness_timeout' is of type str",
        ),
        (
            {"mailwitness_fail_on": "hihg"},
            "Inventory of m1: value of mailwitness_fail_on must be one of: critical, high,",
        ),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_contacted(
    tmp_path: Path, variables: dict[str, Any], problem: str
) -> None:
    (tmp_path / "company.toml").write_text('extends = "rfc"\ntls = false\n')
    done = audit(tmp_path, **variables)
    assert done.returncode == 2
    said = " ".join((done.stdout + done.stderr).split())
    assert problem in said
    assert not (tmp_path / "report" / "report.json").exists()
