"""The playbook of remedies, as it is written; that it cures is shown in the lab."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailwitness import cli
from mailwitness.checks import all_checks
from mailwitness.report.remedy import playbook
from tests.lab.audit import RECORDED


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("report")
    cli.main(["judge", str(RECORDED), "--output", str(output)])
    return output / "report.json"


@pytest.fixture
def report(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("#"))


def test_each_host_has_a_play_of_its_own(report: dict[str, Any]) -> None:
    plays = yaml.safe_load(playbook(report, ["legacy", "stale", "good"]))
    assert [play["hosts"] for play in plays] == ["legacy", "stale"]


def test_each_daemon_is_asked_before_it_is_reloaded(report: dict[str, Any]) -> None:
    (play,) = yaml.safe_load(playbook(report, ["legacy"]))
    argvs = [handler["ansible.builtin.command"]["argv"] for handler in play["handlers"]]
    assert argvs == [
        ["doveconf", "-n"],
        ["doveadm", "reload"],
        ["postfix", "check"],
        ["postfix", "reload"],
    ]


def test_what_changes_a_host_keeps_the_old_file_and_obeys_check_mode(
    report: dict[str, Any],
) -> None:
    (play,) = yaml.safe_load(playbook(report, ["legacy"]))
    steps = [step for task in play["tasks"] for step in task.get("block", [])]
    changing = [step for step in steps if step.get("notify")]
    assert len(changing) == 8
    for step in changing:
        (module,) = (value for key, value in step.items() if key.startswith("ansible.builtin."))
        assert module["backup"]
        assert "check_mode" not in step


def test_what_no_playbook_does_is_left_to_a_hand(report: dict[str, Any]) -> None:
    text = playbook(report, ["legacy"])
    assert "software-end-of-life" in comments(text)
    assert "software-end-of-life" not in text.replace(comments(text), "")


def test_a_security_level_waits_for_the_key_that_it_would_refuse(report: dict[str, Any]) -> None:
    text = playbook(report, ["neglected"])
    assert "tls-weak-key-exchange submission:587" in comments(text)
    assert "@SECLEVEL=2" not in text.replace(comments(text), "")
    (neglected,) = (host for host in report["hosts"] if host["name"] == "neglected")
    for finding in neglected["findings"]:
        if finding["check"] == "certificate-weak-key":
            finding["outcome"] = "pass"
    text = playbook(report, ["neglected"])
    assert "submission/inet/tls_medium_cipherlist" in text.replace(comments(text), "")


def test_a_service_of_a_strange_name_is_left_to_a_hand(report: dict[str, Any]) -> None:
    (neglected,) = (host for host in report["hosts"] if host["name"] == "neglected")
    strange = "{{ lookup('pipe', 'id') }}"
    for endpoint in neglected["endpoints"]:
        source = endpoint["configured"].get("source")
        if source:
            endpoint["configured"]["source"] = source.replace("submission/inet", f"{strange}/inet")
    for finding in neglected["findings"]:
        for remedy in finding["remedies"]:
            remedy["text"] = remedy["text"].replace("submission/inet", "SERVICE/inet")
    text = playbook(report, ["neglected"])
    assert "auth-password-available submission:587" in comments(text)
    assert "SERVICE" not in text.replace(comments(text), "")
    assert "lookup" not in text


def test_files_that_only_the_reader_can_name_are_asked_for(report: dict[str, Any]) -> None:
    text = playbook(report, ["legacy"])
    (play,) = yaml.safe_load(text)
    assert play["vars"] == {"certificate": "", "certificate_key": ""}
    steps = [step for task in play["tasks"] for step in (task, *task.get("block", []))]
    asked = [step for step in steps if "{{ certificate" in str(step)]
    assert {step["when"] for step in asked if "block" not in step} == {"certificate | length > 0"}
    assert "/path/" not in str(asked)


def test_what_is_folded_or_borne_is_no_task(report: dict[str, Any]) -> None:
    text = playbook(report, ["legacy"])
    assert "tls-required" not in text  # goes with auth-cleartext
    for host in report["hosts"]:
        for finding in host["findings"]:
            finding["outcome"] = {"fail": "waived"}.get(finding["outcome"], finding["outcome"])
    assert yaml.safe_load(playbook(report, ["legacy"])) == []


def test_a_version_that_is_not_known_is_left_to_a_hand(report: dict[str, Any]) -> None:
    (legacy,) = (host for host in report["hosts"] if host["name"] == "legacy")
    (check,) = (check for check in all_checks() if check.id == "auth-cleartext")
    for finding in legacy["findings"]:
        if finding["check"] == check.id:
            finding["remedies"] = [
                {"product": each.product, "versions": each.versions, "text": each.text}
                for each in check.remedies
            ]
    text = playbook(report, ["legacy"])
    assert "auth-cleartext imap:143" in comments(text)
    assert "disable_plaintext_auth" not in text.replace(comments(text), "")


def test_hostile_text_stays_a_comment(report: dict[str, Any]) -> None:
    hostile = copy.deepcopy(report)
    attack = "x\n- hosts: all\r- hosts: all\u2028- hosts: all"
    for host in hostile["hosts"]:
        for finding in host["findings"]:
            finding["detail"] = attack
    names = [host["name"] for host in report["hosts"]]
    assert yaml.safe_load(playbook(hostile, names)) == yaml.safe_load(playbook(report, names))
    for host in hostile["hosts"]:
        for finding in host["findings"]:
            for remedy in finding["remedies"]:
                remedy["text"] = attack
    assert yaml.safe_load(playbook(hostile, names)) == []  # none is what a check says


def test_a_host_that_is_not_in_the_report(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["remedy", str(path), "--host", "nosuch"]) == cli.USAGE
    assert "no host 'nosuch'; there are: allowlisted" in capsys.readouterr().err


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.id)
def test_a_proven_remedy_is_one_that_a_playbook_can_hold(check: Any) -> None:
    for remedy in check.remedies:
        assert not remedy.proven or remedy.by_playbook
        assert not remedy.settings or remedy.product in ("dovecot", "postfix")


def test_ansible_lint_has_nothing_against_it(report: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "remedies.yml"
    file.write_text(playbook(report, [host["name"] for host in report["hosts"]]))
    tool = Path(sys.executable).with_name("ansible-lint")
    done = subprocess.run(
        (tool, "--offline", "--nocolor", "--profile", "production", file),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
