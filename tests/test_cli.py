"""The command line: exit statuses, and errors that name the file and what to do."""

import argparse
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailwitness import cli
from mailwitness.checks import all_checks
from mailwitness.policy.profile import names
from tests.lab.audit import RECORDED


def judge(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = cli.main(["judge", *argv])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_folder_that_is_no_evidence_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = judge(capsys, str(tmp_path))
    assert status == cli.USAGE
    assert f"{tmp_path}/run.json: not there" in err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "not JSON"),
        ('{"schema": "mailwitness/run/1"', "not JSON"),
        ('{"schema": "mailwitness/run/2"}', "newer than mailwitness/run/1; upgrade"),
        ('{"schema": "mailwitness/host/1"}', "is not mailwitness/run/1"),
        ('{"schema": "mailwitness/run/1", "hosts": []}', "is not there"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_plan_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, problem: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    status, _, err = judge(capsys, str(tmp_path))
    assert status == cli.USAGE
    assert "run.json" in err
    assert problem in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"schema": "mailwitness/host/1"}', "is not there"),
        (b'{"schema": "mailwitness/host/2"}', "newer than mailwitness/host/1; upgrade"),
        (b'{"schema": "mailwitness/\x1b[31m/1"}', "not JSON"),
    ],
)
def test_a_broken_host_is_a_failed_row_and_the_others_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    shutil.copytree(RECORDED, tmp_path / "evidence")
    (tmp_path / "evidence" / "good" / "host.json").write_bytes(content)
    status, _, _ = judge(capsys, str(tmp_path / "evidence"), "--output", str(tmp_path))
    report = json.loads((tmp_path / "report.json").read_text())
    hosts = {host["name"]: host for host in report["hosts"]}
    assert status == cli.FINDINGS
    assert hosts["good"]["status"] == "failed"
    assert "good/host.json" in hosts["good"]["reason"]
    assert problem in hosts["good"]["reason"]
    assert hosts["dovecot24"]["status"] == "audited"


def test_evidence_of_another_host_is_not_taken_for_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(RECORDED, tmp_path / "evidence")
    shutil.copy(RECORDED / "good/host.json", tmp_path / "evidence/legacy/host.json")
    judge(capsys, str(tmp_path / "evidence"), "--output", str(tmp_path))
    report = json.loads((tmp_path / "report.json").read_text())
    (legacy,) = (host for host in report["hosts"] if host["name"] == "legacy")
    assert (legacy["status"], "is evidence of 'good'" in legacy["reason"]) == ("failed", True)


@pytest.mark.parametrize(
    ("fail_on", "status"),
    [("critical", cli.FINDINGS), ("low", cli.FINDINGS), ("never", cli.OK)],
)
def test_fail_on_decides_the_exit_status(
    capsys: pytest.CaptureFixture[str], fail_on: str, status: int
) -> None:
    assert judge(capsys, str(RECORDED), "--fail-on", fail_on)[0] == status


def test_report_has_an_exit_status_where_one_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(capsys, str(RECORDED), "--output", str(tmp_path))
    report = ["report", str(tmp_path / "report.json")]
    assert cli.main(report) == cli.OK
    assert cli.main([*report, "--fail-on", "high"]) == cli.FINDINGS
    assert cli.main([*report, "--fail-on", "high", "--host", "good"]) == cli.OK
    assert cli.main([*report, "--fail-on", "high", "--host", "dead"]) == cli.FINDINGS


def test_judge_prints_the_format_that_is_asked_for_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, err = judge(capsys, str(RECORDED), "--format", "json", "--output", str(tmp_path))
    assert json.loads(out) == json.loads((tmp_path / "report.json").read_text())
    assert f"report: {tmp_path}/index.html" in err


def test_a_lost_host_has_an_exit_status_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(RECORDED, tmp_path / "evidence")
    plan = tmp_path / "evidence" / "run.json"
    run = json.loads(plan.read_text())
    run["hosts"] = [host for host in run["hosts"] if host["name"] in ("good", "dead")]
    plan.write_text(json.dumps(run))
    status, _, _ = judge(capsys, str(tmp_path / "evidence"), "--fail-on", "critical")
    assert status == cli.NOT_AUDITED


def test_an_unknown_policy_is_named_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, err = judge(capsys, str(RECORDED), "--policy", "nosuch")
    assert status == cli.USAGE
    assert "no policy 'nosuch'; there are: bsi-tr-02102-2, " in err


def test_report_shows_one_host_and_refuses_what_is_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(capsys, str(RECORDED), "--output", str(tmp_path))
    path = str(tmp_path / "report.json")
    assert cli.main(["report", path, "--host", "good"]) == cli.OK
    assert "legacy" not in capsys.readouterr().out
    assert cli.main(["report", path, "--host", "nosuch"]) == cli.USAGE
    assert "there are: allowlisted, another" in capsys.readouterr().err
    (tmp_path / "report.json").write_text("{}")
    assert cli.main(["report", path]) == cli.USAGE
    assert "not a report of schema mailwitness/report/1" in capsys.readouterr().err


def test_checks_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["checks"]) == cli.OK
    assert len(capsys.readouterr().out.splitlines()) == len(all_checks())
    assert cli.main(["checks", "show", "tls-legacy-version"]) == cli.OK
    out = capsys.readouterr().out
    assert "ssl_min_protocol = TLSv1.2" in out
    assert "RFC 8996" in out
    assert cli.main(["checks", "show", "nosuch"]) == cli.USAGE


def test_policies_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policies"]) == cli.OK
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(names())
    assert cli.main(["policies", "show", "bsi-tr-02102-2"]) == cli.OK
    out = capsys.readouterr().out
    assert "keys.rsa_bits = 3000\n    RSA keys of 3000 bits or more [secondary]" in out
    assert "port 25: " in out
    assert cli.main(["policies", "show", "nosuch"]) == cli.USAGE


def test_evidence_is_judged_by_a_file_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "company.toml"
    policy.write_text('extends = "rfc"\ntitle = "Ours"\n')
    options = ("--policy", str(policy), "--output", str(tmp_path), "--fail-on", "never")
    assert cli.main(["judge", str(RECORDED), *options]) == cli.OK
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["policies"] == ["company"]
    assert report["summary"]["by_severity"]["medium"] > 0
    policy.write_text('extends = "rfc"\n[requires]\ntls-legacy-versoin = "ours"\n')
    assert cli.main(["judge", str(RECORDED), *options]) == cli.USAGE
    assert "did you mean tls-legacy-version?" in capsys.readouterr().err


def test_help_shows_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["judge", "--help"])
    assert ended.value.code == 0
    assert "3  a host could not be audited" in capsys.readouterr().out


def test_report_in_any_format_into_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(capsys, str(RECORDED), "--output", str(tmp_path))
    report, file = str(tmp_path / "report.json"), tmp_path / "new" / "mailwitness.prom"
    options = ("--format", "openmetrics", "--host", "good", "--output", str(file))
    assert cli.main(["report", report, *options]) == cli.OK
    assert file.read_text().endswith("# EOF\n")
    assert capsys.readouterr().out == ""


def test_colour_is_for_terminals_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(capsys, str(RECORDED), "--output", str(tmp_path))
    report = str(tmp_path / "report.json")

    def shown(*options: str) -> str:
        assert cli.main(["report", report, "--host", "plain", *options]) == cli.OK
        return capsys.readouterr().out

    plain = shown()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31mhigh\x1b[0m " in shown()
    assert "\x1b" not in shown("--format", "csv")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown() == plain


@pytest.mark.parametrize("part", cli._PARTS)
def test_the_commands_of_a_file_are_those_it_is_asked_for(part: str) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"mailwitness.cli.{part}").add(commands)
    assert tuple(commands.choices) == cli._PARTS[part]


def test_judging_waits_for_no_database_and_no_connection() -> None:
    heavy = "{'ansible', 'dns', 'paramiko', 'sqlalchemy'}"
    script = f"import sys, mailwitness.cli.judge; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout == "[]\n"
