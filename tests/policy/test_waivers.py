"""Waivers and baselines, from their files to the report and the exit status."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailwitness import cli
from mailwitness.checks import all_checks
from mailwitness.evidence.codec import loads
from mailwitness.policy.baseline import Baseline
from mailwitness.policy.waiver import WaiverError, read
from tests.lab.audit import RECORDED
from tests.report.schema import validate

CHECKS = [check.id for check in all_checks()]
ENTRY = {
    "check": "tls-legacy-version",
    "hosts": ["legacy"],
    "reason": "scanners that speak nothing newer",
    "owner": "ops@example.com",
    "expires": "2030-01-31",
}


def judged(output: Path, *options: str) -> tuple[int, dict[str, Any]]:
    status = cli.main(["judge", str(RECORDED), "--output", str(output), *options])
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    validate(report)
    return status, report


def waivers(folder: Path, *changes: dict[str, Any]) -> str:
    lines = []
    for change in changes:
        entry = {**ENTRY, **change}
        body = "\n  ".join(
            f"{key}: {value if key == 'expires' else json.dumps(value)}"
            for key, value in entry.items()
            if value is not None
        )
        lines.append(f"- {body}\n")
    file = folder / "waivers.yml"
    file.write_text("".join(lines))
    return str(file)


def found(report: dict[str, Any], host: str, outcome: str) -> set[tuple[str, str | None]]:
    (its,) = (each for each in report["hosts"] if each["name"] == host)
    return {(f["check"], f["endpoint"]) for f in its["findings"] if f["outcome"] == outcome}


def test_a_waiver_covers_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    _, before = judged(tmp_path)
    file = waivers(tmp_path, {"endpoint": "imaps:993"})
    _, after = judged(tmp_path, "--waivers", file)
    assert found(after, "legacy", "waived") == {("tls-legacy-version", "imaps:993")}
    waived = found(after, "legacy", "waived")
    assert found(after, "legacy", "fail") == found(before, "legacy", "fail") - waived
    assert [waiver["state"] for waiver in after["waivers"]] == ["in force"]
    assert after["summary"]["by_outcome"]["waived"] == 2  # both policies forbid it, each its way
    assert found(after, "good", "fail") == found(before, "good", "fail")


def test_a_group_is_all_its_hosts(tmp_path: Path) -> None:
    file = waivers(tmp_path, {"check": "tls-required", "hosts": [], "groups": ["mail"]})
    _, report = judged(tmp_path, "--waivers", file)
    assert found(report, "plain", "waived")
    assert found(report, "legacy", "waived")


def test_what_is_waived_does_not_fail_the_run_but_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = judged(tmp_path)
    checks = {
        f["check"] for host in report["hosts"] for f in host["findings"] if f["outcome"] == "fail"
    }
    every = [{"check": check, "hosts": [], "groups": ["mail"]} for check in sorted(checks)]
    capsys.readouterr()
    status, report = judged(tmp_path, "--waivers", waivers(tmp_path, *every))
    assert status == cli.NOT_AUDITED  # the dead host stays one that was not audited
    assert "fail" not in report["summary"]["by_outcome"]
    out = capsys.readouterr().out
    assert "ops@example.com" in out
    assert " waived" in out
    assert "Waived until 2030-01-31 by ops@example.com" in (tmp_path / "index.html").read_text()


def test_a_waiver_does_not_make_a_host_eligible(tmp_path: Path) -> None:
    _, before = judged(tmp_path)
    file = waivers(tmp_path, {"check": "imap-available", "hosts": ["plain"]})
    _, after = judged(tmp_path, "--waivers", file)
    answers = [
        [host["eligibility"] for host in report["hosts"] if host["name"] == "plain"]
        for report in (before, after)
    ]
    assert answers[0] == answers[1]
    assert found(after, "plain", "waived") == {("imap-available", None)}


def test_an_expired_waiver_ends_by_itself_and_is_a_finding(tmp_path: Path) -> None:
    _, before = judged(tmp_path)
    status, after = judged(tmp_path, "--waivers", waivers(tmp_path, {"expires": "2026-11-22"}))
    assert status == cli.FINDINGS
    expired = {("waiver-expired", None)}
    assert found(after, "legacy", "fail") == found(before, "legacy", "fail") | expired
    assert not found(after, "legacy", "waived")


def test_the_last_day_still_counts(tmp_path: Path) -> None:
    day = json.loads((RECORDED / "run.json").read_text())["started_at"][:10]
    _, report = judged(tmp_path, "--waivers", waivers(tmp_path, {"expires": day}))
    assert found(report, "legacy", "waived")


def test_a_waiver_that_matches_nothing_is_a_finding(tmp_path: Path) -> None:
    file = waivers(tmp_path, {"hosts": ["good"]}, {"hosts": ["nosuch"]})
    _, report = judged(tmp_path, "--waivers", file)
    assert ("waiver-unmatched", None) in found(report, "good", "fail")
    states = [waiver["state"] for waiver in report["waivers"]]
    assert states == ["matches nothing", "of no host here"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"expires": None}, "entry 1: expires: a date is expected"),
        ({"expires": "soon"}, "entry 1: expires: a date is expected"),
        ({"owner": None}, "entry 1: owner: a text is expected"),
        ({"reason": " "}, "entry 1: reason: a text is expected"),
        ({"hosts": None}, "entry 1: hosts or groups"),
        ({"hosts": "legacy"}, "entry 1: hosts: a list"),
        ({"check": "tls-legacy"}, "no check 'tls-legacy'; did you mean tls-legacy-version?"),
        ({"until": "2030-01-01"}, "entry 1: 'until': no such key"),
    ],
)
def test_what_is_wrong_names_the_entry_and_the_key(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(WaiverError) as raised:
        read(Path(waivers(tmp_path, change)), CHECKS)
    assert problem in str(raised.value)


def test_a_file_that_is_no_list(tmp_path: Path) -> None:
    file = tmp_path / "waivers.yml"
    file.write_text("check: tls-legacy-version")
    with pytest.raises(WaiverError, match="a list of waivers is expected"):
        read(file, CHECKS)
    file.write_text("{")
    with pytest.raises(WaiverError, match="not YAML"):
        read(file, CHECKS)


def test_a_baseline_accepts_what_is_there_and_fails_what_is_new(tmp_path: Path) -> None:
    _, before = judged(tmp_path)
    file = tmp_path / "baseline.json"
    assert cli.main(["baseline", str(tmp_path / "report.json"), str(file)]) == cli.OK
    status, report = judged(tmp_path, "--baseline", str(file))
    assert status == cli.NOT_AUDITED
    assert "fail" not in report["summary"]["by_outcome"]
    assert report["summary"]["by_outcome"]["accepted"] == before["summary"]["by_outcome"]["fail"]
    assert report["baseline"] == report["collected_at"]
    content = json.loads(file.read_text())
    gone = next(each for each in content["accepts"] if each["host"] == "stale")
    content["accepts"].remove(gone)
    file.write_text(json.dumps(content))
    status, report = judged(tmp_path, "--baseline", str(file))
    assert status == cli.FINDINGS
    assert found(report, "stale", "fail") == {(gone["check"], gone["endpoint"])}


def test_a_baseline_of_a_run_with_a_baseline_keeps_what_it_accepted(tmp_path: Path) -> None:
    judged(tmp_path)
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    cli.main(["baseline", str(tmp_path / "report.json"), str(first)])
    judged(tmp_path, "--baseline", str(first))
    cli.main(["baseline", str(tmp_path / "report.json"), str(second)])
    assert loads(first.read_text(), Baseline) == loads(second.read_text(), Baseline)


def test_a_failure_that_has_become_another_is_new(tmp_path: Path) -> None:
    judged(tmp_path)
    file = tmp_path / "baseline.json"
    cli.main(["baseline", str(tmp_path / "report.json"), str(file)])
    content = json.loads(file.read_text())
    for each in content["accepts"]:
        if each["check"] == "tls-legacy-version":
            each["detail"] = "TLSv1.1 accepted"
    file.write_text(json.dumps(content))
    _, report = judged(tmp_path, "--baseline", str(file))
    assert {check for check, _ in found(report, "legacy", "fail")} == {"tls-legacy-version"}


def test_a_file_that_is_no_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "baseline.json"
    file.write_text('{"schema": "mailwitness/host/1"}')
    assert cli.main(["judge", str(RECORDED), "--baseline", str(file)]) == cli.USAGE
    assert "is not mailwitness/baseline/1" in capsys.readouterr().err
