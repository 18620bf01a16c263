"""Hosts that are looked at from outside alone, and not found."""

import json
from pathlib import Path

import pytest

from mailwitness import cli


@pytest.mark.parametrize(
    ("target", "reason"), [("a..b", "does not resolve"), ("127.0.0.1", "no access to the host")]
)
def test_a_host_without_an_answer_is_a_row(tmp_path: Path, target: str, reason: str) -> None:
    argv = ["probe", target, "--port", "1", "--output", str(tmp_path), "--fail-on", "never"]
    assert cli.main(argv) == cli.OK
    (host,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    assert reason in host["reason"]
    failed = {f["check"] for f in host["findings"] if f["outcome"] == "fail"}
    assert (
        ("host-unreachable" in failed)
        == (host["status"] == "unreachable")
        == (target != "127.0.0.1")
    )


def test_a_file_of_targets_and_a_domain_that_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "targets").write_text("127.0.0.1:1  # nobody listens\nmx:a..b\n")
    argv = ["probe", "--file", str(tmp_path / "targets"), "--output", str(tmp_path)]
    assert cli.main([*argv, "--fail-on", "critical"]) == cli.NOT_AUDITED
    hosts = json.loads((tmp_path / "report.json").read_text())["hosts"]
    assert [(host["name"], host["status"]) for host in hosts] == [
        ("127.0.0.1", "outside-only"),
        ("a..b", "unreachable"),
    ]
    assert "cannot be looked up" in hosts[1]["reason"]
    assert [endpoint["port"] for endpoint in hosts[0]["endpoints"]] == [1]
    assert "a..b" in capsys.readouterr().out


def test_the_source_address_is_in_the_report(tmp_path: Path) -> None:
    argv = ["probe", "127.0.0.1:1", "--source-address", "127.0.0.5", "--output", str(tmp_path)]
    cli.main(argv)
    (host,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    (endpoint,) = host["endpoints"]
    assert [seen["source_address"] for seen in endpoint["outside"]] == ["127.0.0.5"]


def test_a_family_without_a_source_address_is_not_looked_at(tmp_path: Path) -> None:
    cli.main(["probe", "[::1]:1", "--source-address", "127.0.0.5", "--output", str(tmp_path)])
    (host,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    (seen,) = host["endpoints"][0]["outside"]
    assert (seen["reach"], seen["detail"]) == (
        "error",
        "not tried: no IPv6 address to connect from is given",
    )


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        ([], "no target"),
        (["mail.example.com:imaps"], "not a port number"),
        (["--file", "/nosuch"], "/nosuch: No such file"),
        (["m", "--trust-store", "/nosuch"], "/nosuch: No such file"),
        (["m", "--trust-store", __file__], "no list of PEM certificates"),
    ],
)
def test_what_cannot_be_done_is_said(
    argv: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["probe", *argv]) == cli.USAGE
    assert problem in capsys.readouterr().err


def test_a_source_address_must_be_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["probe", "m", "--source-address", "192.0.2.77"])
    assert ended.value.code == cli.USAGE
    assert "'192.0.2.77' is no address of this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "targets", "problem"),
    [
        ({}, ["m"], "set MAILWITNESS_LOGIN_USER and MAILWITNESS_LOGIN_PASSWORD"),
        ({"USER": "tester"}, ["m"], "set MAILWITNESS_LOGIN_USER and"),
        ({"USER": "tester", "PASSWORD": "s3cret"}, ["m", "n"], "no other shall hear of it"),
    ],
)
def test_an_account_is_one_hosts_and_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    targets: list[str],
    problem: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"MAILWITNESS_LOGIN_{name}", value)
    assert cli.main(["probe", *targets, "--login"]) == cli.USAGE
    said = capsys.readouterr().err
    assert problem in said
    assert "s3cret" not in said
