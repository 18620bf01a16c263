"""A real account on real daemons: what logs in, who never hears of it, and where it can be read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.audit import ROOT, playbook
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

LOGINS = ("imap:143", "submissions:465", "submission:587", "imaps:993")


def outcomes(output: Path, host: str) -> dict[str, tuple[str, str]]:
    """Of the check of logins by endpoint, with its detail."""
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    (its,) = (each for each in report["hosts"] if each["name"] == host)
    return {
        finding["endpoint"]: (finding["outcome"], finding["detail"])
        for finding in its["findings"]
        if finding["check"] == "auth-login-refused"
    }


@pytest.fixture(scope="module")
def audited(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The playbook with the account in Ansible Vault, as talkative as it can be."""
    folder = tmp_path_factory.mktemp("login")
    (folder / "vault").write_text("of this test")
    account = {"user": "tester", "password": lab.password}
    (folder / "login.yml").write_text(yaml.safe_dump({"mailwitness_login": account}))
    vault = Path(sys.executable).with_name("ansible-vault")
    secret = f"--vault-password-file={folder / 'vault'}"
    subprocess.run((vault, "encrypt", secret, folder / "login.yml"), check=True)
    options = ("--limit", "good,dovecot24,expired,plain,outpost", "-e", f"@{folder}/login.yml")
    done = subprocess.run(
        playbook(lab.inventory, folder / "report", *options, secret, "-vvvv"),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "ANSIBLE_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return folder / "report", done.stdout + done.stderr


@pytest.mark.parametrize("host", ["good", "dovecot24"])
def test_the_account_logs_in_on_every_port(audited: tuple[Path, str], host: str) -> None:
    found = outcomes(audited[0], host)
    assert {endpoint: found[endpoint][0] for endpoint in LOGINS} == dict.fromkeys(LOGINS, "pass")
    assert found["smtp:25"][0] == "not-applicable"


def test_who_is_not_trusted_hears_nothing(lab: Lab, audited: tuple[Path, str]) -> None:
    for endpoint, (outcome, detail) in outcomes(audited[0], "expired").items():
        if endpoint in LOGINS:
            assert outcome == "not-assessed"
            assert "certificate has expired" in detail
    for outcome, _ in outcomes(audited[0], "plain").values():
        assert outcome in ("not-assessed", "not-applicable")
    planned = json.loads((audited[0] / "evidence" / "run.json").read_text())["started_at"]
    since = ("--since", planned.replace("T", " ").replace("Z", " UTC"))
    for host in ("expired", "plain"):
        log = lab.machine(host).run(("journalctl", "--no-pager", *since)).stdout
        assert "connect from" in log
        assert "user=<tester>" not in log


def test_the_account_is_nowhere_to_be_read(lab: Lab, audited: tuple[Path, str]) -> None:
    output, said = audited
    assert lab.password not in said
    for file in output.rglob("*"):
        if file.is_file():
            assert lab.password.encode() not in file.read_bytes(), file


def test_vantages_do_not_hear_of_it(audited: tuple[Path, str]) -> None:
    seen = json.loads((audited[0] / "evidence" / "good" / "probe@outpost.json").read_text())
    assert {look["login"] for look in seen["observations"]} == {None}


def probe(lab: Lab, output: Path, host: str, password: str, *options: str) -> str:
    described = lab.hosts[host]
    done = subprocess.run(
        (
            *(str(Path(sys.executable).with_name("mailwitness")), "probe", described.ipv4),
            *("--name", described.names[0], "--trust-store", str(lab.authority.root), "--login"),
            *("--output", str(output), "--fail-on", "never", *options),
        ),
        env={
            **os.environ,
            "MAILWITNESS_LOGIN_USER": "tester",
            "MAILWITNESS_LOGIN_PASSWORD": password,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert password not in done.stdout + done.stderr
    return described.ipv4


def test_an_exception_names_the_certificate(lab: Lab, tmp_path: Path) -> None:
    pem = "/etc/ssl/mail/fullchain.pem"
    openssl = ("openssl", "x509", "-in", pem, "-noout", "-fingerprint", "-sha256")
    fingerprint = lab.machine("expired").run(openssl).stdout.partition("=")[2].strip()
    name = probe(lab, tmp_path, "expired", lab.password, "--login-certificate", fingerprint)
    found = outcomes(tmp_path, name)
    assert {endpoint: found[endpoint][0] for endpoint in LOGINS} == dict.fromkeys(LOGINS, "pass")


def test_a_wrong_password_is_tried_once_by_each_protocol(lab: Lab, tmp_path: Path) -> None:
    name = probe(lab, tmp_path, "good", "not the password")
    found = outcomes(tmp_path, name)
    assert sorted(found[endpoint][0] for endpoint in LOGINS) == [
        *("fail", "fail", "not-assessed", "not-assessed")
    ]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["hosts"][0]["eligibility"][0]["answer"] != "eligible"
