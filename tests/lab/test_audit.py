"""The real playbook over real hosts: what it finds, what it leaves behind, how it ends."""

import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tests.lab.audit import ROOT, playbook
from tests.lab.description import all_hosts
from tests.lab.lab import Lab
from tests.report.schema import validate

pytestmark = pytest.mark.lab

MAIL = [name for name, host in all_hosts().items() if "mail" in host.groups]


@dataclass(frozen=True)
class Run:
    """A finished run of the playbook."""

    status: int
    text: str
    output: Path

    @property
    def report(self) -> Any:
        return json.loads((self.output / "report.json").read_text())

    def host(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.report["hosts"]
        return next(host for host in found if host["name"] == name)


def run(lab: Lab, output: Path, *options: str, **how: Any) -> Run:
    done = subprocess.run(
        playbook(lab.inventory, output, *options, name=how.pop("name", "playbooks/audit.yml")),
        cwd=how.pop("cwd", ROOT),
        env={**os.environ, "NO_COLOR": "1", **how.pop("env", {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr, output)


def failures(host: dict[str, Any]) -> set[tuple[str, str | None]]:
    return {(f["check"], f["endpoint"]) for f in host["findings"] if f["outcome"] == "fail"}


def judgement(report: dict[str, Any]) -> Any:
    """What must be the same, however and whenever the same hosts are audited."""
    return {
        host["name"]: (
            host["status"],
            host["eligibility"],
            sorted((f["check"], f["endpoint"] or "", f["outcome"]) for f in host["findings"]),
        )
        for host in report["hosts"]
    }


@pytest.fixture(scope="module")
def audited(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(lab, tmp_path_factory.mktemp("audit"))


@pytest.mark.parametrize("name", MAIL)
def test_a_host_has_exactly_the_failures_that_its_description_names(
    audited: Run, name: str
) -> None:
    assert failures(audited.host(name)) == all_hosts()[name].expected, audited.text[-3000:]


def test_no_check_breaks(audited: Run) -> None:
    outcomes = {f["outcome"] for host in audited.report["hosts"] for f in host["findings"]}
    assert "error" not in outcomes


def test_the_report_is_by_the_contract(audited: Run) -> None:
    validate(audited.report)
    assert (audited.output / "index.html").stat().st_size > 10_000


def test_a_dead_host_is_a_row_and_the_others_lose_nothing(audited: Run) -> None:
    assert audited.host("dead")["status"] == "unreachable"
    assert "No route to host" in audited.host("dead")["reason"]
    assert audited.host("good")["status"] == "audited"


def test_failed_findings_end_the_play_as_failed(audited: Run) -> None:
    assert audited.status == 2
    assert "at or above mailwitness_fail_on" in audited.text


def test_a_login_without_root_gives_the_rest_and_says_what_is_missing(audited: Run) -> None:
    host = audited.host("noroot")
    assert host["status"] == "partial"
    assert "you must be root" in host["reason"]
    assert host["eligibility"][0]["answer"] == "eligible"


def test_what_a_mailbox_connector_may_use(audited: Run) -> None:
    answers = {host["name"]: host["eligibility"][0]["answer"] for host in audited.report["hosts"]}
    assert answers == {
        "allowlisted": "eligible",  # by 143 and 465, which no list names
        "another": "not-eligible",
        "banned": "eligible",  # the next three by the vantages that get through
        "blocked": "eligible",
        "cyrus": "not-eligible",
        "dead": "unknown",
        "dovecot24": "eligible",
        "expired": "eligible-with-exception",
        "exposed": "eligible",
        "fronted": "eligible",
        "good": "eligible",
        "legacy": "eligible-with-exception",
        "misnamed": "eligible-with-exception",
        "neglected": "not-eligible",
        "noroot": "eligible",
        "overridden": "eligible",
        "plain": "not-eligible",
        "proxied": "eligible",
        "screened": "eligible",
        "sixopen": "eligible",
        "stale": "eligible",
        "unreloaded": "eligible",
    }


def test_the_agent_ran_on_every_python_of_the_lab(audited: Run) -> None:
    pythons = {
        name: json.loads((audited.output / "evidence" / name / "host.json").read_text())
        for name in ("legacy", "good", "dovecot24")
    }
    versions = [pythons[name]["agent"]["python"].rsplit(".", 1)[0] for name in pythons]
    assert versions == ["3.9", "3.11", "3.13"]


def test_no_secret_of_a_host_leaves_it(lab: Lab, audited: Run) -> None:
    key = lab.machine("good").root / "etc/ssl/mail/privkey.pem"
    secrets = [lab.password, key.read_text().splitlines()[1]]
    for file in audited.output.rglob("*"):
        if file.is_file():
            text = file.read_text(errors="replace")
            assert not any(secret in text for secret in secrets), file
    assert not any(secret in audited.text for secret in secrets)


def test_the_agent_on_the_host_is_the_file_that_was_built(lab: Lab, audited: Run) -> None:
    host = lab.hosts["good"]
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab.state / "ssh/known_hosts"))
        client.connect(
            host.ipv4,
            username=host.user,
            key_filename=str(lab.state / "ssh/id_ed25519"),
            look_for_keys=False,
            allow_agent=False,
        )
        with client.open_sftp() as files:
            there = files.open("/var/lib/mailwitness/mailwitness-agent.pyz").read()
            mode = files.stat("/var/lib/mailwitness/mailwitness-agent.pyz").st_mode
    assert there == (audited.output / "mailwitness-agent.pyz").read_bytes()
    assert stat.S_IMODE(mode or 0) == 0o700


def test_a_second_run_changes_nothing_on_the_hosts(lab: Lab, audited: Run, tmp_path: Path) -> None:
    assert audited.report
    again = run(lab, tmp_path, "--limit", "good,dovecot24", "-e", "mailwitness_fail_on=low")
    assert again.status == 0, again.text
    assert "changed: [" not in again.text.split("Probe the fleet")[0]
    assert {host["name"] for host in again.report["hosts"]} == {"good", "dovecot24"}


def test_check_mode_audits_and_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    machine = lab.machine("noroot")
    machine.run(("rm", "-rf", "/home/audit/.cache/mailwitness"))
    before = machine.run(("find", "/home/audit", "/tmp", "/var/lib/mailwitness")).stdout  # noqa: S108
    done = run(lab, tmp_path, "--check", "--limit", "noroot")
    assert done.status == 0, done.text
    assert done.host("noroot")["status"] == "partial"
    after = machine.run(("find", "/home/audit", "/tmp", "/var/lib/mailwitness")).stdout  # noqa: S108
    assert [line for line in after.splitlines() if ".ansible" not in line] == [
        line for line in before.splitlines() if ".ansible" not in line
    ]


def test_the_outside_alone_by_tags(lab: Lab, tmp_path: Path) -> None:
    done = run(lab, tmp_path, "--tags", "probe", "--limit", "good")
    host = done.host("good")
    assert done.status == 0, done.text
    assert host["status"] == "outside-only"
    assert all("missing" in endpoint["configured"] for endpoint in host["endpoints"])


def test_a_wrong_sudo_password_fails_that_host_alone(lab: Lab, tmp_path: Path) -> None:
    done = run(
        lab,
        tmp_path,
        *("--limit", "good,dovecot24"),
        *("-e", '{"ansible_become_password": "wrong", "mailwitness_fail_on": "never"}'),
    )
    assert done.host("dovecot24")["status"] in ("failed", "outside-only"), done.text
    assert "assword" in done.host("dovecot24")["reason"]
    assert done.host("good")["status"] == "audited"


def test_an_unknown_host_is_a_clear_error(lab: Lab, tmp_path: Path) -> None:
    done = run(lab, tmp_path, "--limit", "nosuch")
    assert done.status == 1
    assert "nosuch" in done.text


def test_a_bad_variable_names_its_host(lab: Lab, tmp_path: Path) -> None:
    done = run(lab, tmp_path, "--limit", "good", "-e", "mailwitness_trust_store=/nosuch.pem")
    assert done.status == 2
    assert "Inventory of good: mailwitness_trust_store: /nosuch.pem" in done.text


def test_the_installed_collection_gives_the_same_report(
    lab: Lab, audited: Run, tmp_path: Path
) -> None:
    galaxy = str(Path(playbook(lab.inventory, tmp_path)[0]).with_name("ansible-galaxy"))
    collections = tmp_path / "collections"
    for argv in (
        (galaxy, "collection", "build", "--output-path", str(tmp_path), str(ROOT)),
        (
            *(galaxy, "collection", "install", "--offline", "-p", str(collections)),
            str(tmp_path / "mailwitness-mailwitness-0.1.0.tar.gz"),
        ),
    ):
        subprocess.run(argv, check=True, capture_output=True, cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(
        lab,
        tmp_path / "report",
        name="mailwitness.mailwitness.audit",
        cwd=empty,
        env={"ANSIBLE_COLLECTIONS_PATH": str(collections)},
    )
    assert done.status == audited.status, done.text
    assert judgement(done.report) == judgement(audited.report)
    assert not list(empty.iterdir())


def test_evidence_that_is_broken_costs_its_own_host_alone(audited: Run, tmp_path: Path) -> None:
    subprocess.run(("cp", "-r", str(audited.output / "evidence"), str(tmp_path)), check=True)
    evidence = tmp_path / "evidence"
    (evidence / "legacy" / "host.json").write_text('{"schema": "mailwitness/host/1", "ho')
    (evidence / "plain" / "host.json").write_text('{"schema": "mailwitness/host/9"}')
    with (evidence / "stale" / "host.json").open("wb") as file:
        file.truncate(1_000_000_000)
    tool = Path(playbook(tmp_path, tmp_path)[0]).with_name("mailwitness")
    judge = (tool, "judge", evidence, "--output", tmp_path, "--fail-on", "never")
    done = subprocess.run(judge, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = Run(0, "", tmp_path)
    for name, problem in (
        ("legacy", "not JSON"),
        ("plain", "newer than mailwitness/host/1; upgrade"),
        ("stale", "longer than"),
    ):
        host = report.host(name)
        assert host["status"] == "failed"
        assert problem in host["reason"]
        assert f"{name}/host.json" in host["reason"]
    assert report.host("good") == audited.host("good")
