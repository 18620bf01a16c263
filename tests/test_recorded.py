"""The recorded lab, judged: what `make demo` shows where no lab can run."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailwitness import cli
from tests.lab.audit import RECORDED
from tests.lab.description import all_hosts
from tests.report.schema import validate


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("recorded")
    assert cli.main(["judge", str(RECORDED), "--output", str(output)]) == cli.FINDINGS
    found: dict[str, Any] = json.loads((output / "report.json").read_text())
    return found


def test_the_recording_has_the_failures_that_the_lab_describes(report: dict[str, Any]) -> None:
    described = all_hosts()
    assert {host["name"] for host in report["hosts"]} == {
        name for name, host in described.items() if "mail" in host.groups
    }, "record the lab anew: make record"
    for host in report["hosts"]:
        failed = {(f["check"], f["endpoint"]) for f in host["findings"] if f["outcome"] == "fail"}
        assert failed == described[host["name"]].expected, host["name"]


def test_the_recording_says_that_it_is_one(
    report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    validate(report)
    assert report["note"].startswith("Recorded on lab hosts on ")
    assert cli.main(["judge", str(RECORDED), "--fail-on", "never"]) == cli.OK
    assert capsys.readouterr().out.startswith("NOTE: Recorded on lab hosts on ")


def test_the_summary_fits_100_columns(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["judge", str(RECORDED)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_pass_outcomes_are_in_the_report_too(report: dict[str, Any]) -> None:
    (good,) = (host for host in report["hosts"] if host["name"] == "good")
    outcomes = {finding["outcome"] for finding in good["findings"]}
    assert outcomes == {"pass", "not-applicable"}


def test_remedies_are_those_of_the_installed_versions(report: dict[str, Any]) -> None:
    (legacy,) = (host for host in report["hosts"] if host["name"] == "legacy")
    (finding,) = (
        finding
        for finding in legacy["findings"]
        if (finding["check"], finding["endpoint"], finding["policies"])
        == ("tls-legacy-version", "imaps:993", ["rfc"])
    )
    versions = {(remedy["product"], remedy["versions"]) for remedy in finding["remedies"]}
    assert versions == {("dovecot", ">=2.3")}


def test_a_remedy_of_no_product_is_told_to_every_host(report: dict[str, Any]) -> None:
    (legacy,) = (host for host in report["hosts"] if host["name"] == "legacy")
    (old,) = (f for f in legacy["findings"] if f["check"] == "software-end-of-life")
    assert [remedy["text"][:24] for remedy in old["remedies"]] == ["Upgrade the distribution"]


def test_judging_again_gives_the_same(report: dict[str, Any], tmp_path: Path) -> None:
    cli.main(["judge", str(RECORDED), "--output", str(tmp_path)])
    again = json.loads((tmp_path / "report.json").read_text())
    assert {**again, "generated_at": ""} == {**report, "generated_at": ""}


def test_an_allowlist_is_told_by_port_with_what_decides(report: dict[str, Any]) -> None:
    (host,) = (host for host in report["hosts"] if host["name"] == "allowlisted")
    by_port = {entry["port"]: entry for entry in host["allowlists"]}
    assert (by_port[587]["admitted"], by_port[587]["others"]) == ("full", "none")
    assert (by_port[993]["admitted"], by_port[993]["others"]) == ("partial", "some")
    assert by_port[993]["missing"] == ["198.51.100.0/24"]
    assert by_port[993]["unknown"] == []
    assert by_port[993]["decided_by"][0] == "nft inet filter input: policy drop"
    (missing,) = (
        finding
        for finding in host["findings"]
        if (finding["check"], finding["outcome"]) == ("allowlist-missing", "fail")
    )
    assert "198.51.100.0/24" in missing["remedies"][0]["text"]
    assert missing["remedies"][0]["product"] == "nft"
