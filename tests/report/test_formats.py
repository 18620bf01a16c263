"""Each format as it is, and as the tools that read it find it."""

import csv
import io

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from pydantic import BaseModel
from sarif_pydantic import Sarif

from mailwitness.report.interface import all_formats
from mailwitness.report.text import MANY
from mailwitness.report.worklist import roots
from tests.report import golden
from tests.report.metrics import metric_families
from tests.report.schema import validate

REPORT = golden.source()
FINDINGS = [finding for host in REPORT["hosts"] for finding in host["findings"]]


def rendered(name: str) -> str:
    return all_formats()[name].render(REPORT)


@pytest.mark.parametrize("name", all_formats())
def test_a_format_is_as_it_was(name: str) -> None:
    validate(REPORT)
    with golden.file(name).open(newline="") as kept:
        assert rendered(name) == kept.read(), "if this is meant: make golden"


def count(outcome: str) -> int:
    return sum(finding["outcome"] == outcome for finding in FINDINGS)


def test_csv_has_a_row_for_each_answer() -> None:
    rows = list(csv.DictReader(io.StringIO(rendered("csv"), newline="")))
    assert len(rows) == len(FINDINGS)
    assert {row["host"] for row in rows} == set(golden.HOSTS)
    assert sum(row["outcome"] == "fail" for row in rows) == count("fail")


def test_junit_counts_as_the_report_does() -> None:
    suites = JUnitXml.fromstring(rendered("junit").encode())
    cases = [case for suite in suites for case in suite]
    assert len(cases) == len(FINDINGS)
    results = [result for case in cases for result in case.result]
    assert sum(isinstance(result, Failure) for result in results) == count("fail")
    left_out = sum(map(count, ("not-assessed", "not-applicable", "waived", "accepted")))
    assert sum(isinstance(result, Error) for result in results) == count("error") > 0
    assert sum(isinstance(result, Skipped) for result in results) == left_out
    for suite in suites:
        its = [result for case in suite for result in case.result]
        assert suite.failures == sum(isinstance(result, Failure) for result in its)


def test_sarif_has_what_failed_and_what_is_not_known() -> None:
    log = Sarif.model_validate_json(rendered("sarif"))
    # SARIF 2.1.0 §3.27.23 has them, and this library's model has not.
    assert set(unknown(log)) == {"suppressions"}
    (run,) = log.runs
    assert run.results is not None
    kinds = [result.kind for result in run.results]
    failed = sum(map(count, ("fail", "waived", "accepted")))
    unanswered = sum(map(count, ("not-assessed", "error")))
    assert (kinds.count("fail"), kinds.count("open")) == (failed, unanswered)
    suppressed = [result for result in run.results if "suppressions" in (result.model_extra or {})]
    assert len(suppressed) == count("waived") + count("accepted")
    rules = {rule.id for rule in run.tool.driver.rules or ()}
    assert {result.rule_id for result in run.results} <= rules
    scores = [
        float(rule.properties["security-severity"])
        for rule in run.tool.driver.rules or ()
        if rule.id in {result.rule_id for result in run.results if result.kind == "fail"}
        and rule.properties
    ]
    assert min(scores) > 0
    assert max(scores) == 8.0  # high
    prints = [str(result.partial_fingerprints) for result in run.results]
    assert len(set(prints)) == len(prints)


def unknown(model: BaseModel) -> "list[str]":
    """Fields that SARIF does not have."""
    found = [*(model.model_extra or {})]
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                found += unknown(each)
    return found


def test_openmetrics_has_the_numbers_of_the_report() -> None:
    families = {each.name: each for each in metric_families(rendered("openmetrics"))}
    failures = {
        (sample.labels["host"], sample.labels["severity"]): sample.value
        for sample in families["mailwitness_failures"].samples
    }
    for host in REPORT["hosts"]:
        high = [f for f in roots(host) if (f["outcome"], f["severity"]) == ("fail", "high")]
        assert failures[host["name"], "high"] == len(high)
    expiries = families["mailwitness_certificate_expiry_timestamp_seconds"].samples
    assert {sample.labels["host"] for sample in expiries} == {"stale"}


def test_a_check_that_broke_is_no_clean_host_in_the_summary() -> None:
    (host,) = (each for each in REPORT["hosts"] if each["name"] == "plain")
    broken = {**host["findings"][0], "outcome": "error", "causes": []}
    hosts = [{**host, "name": "sound", "findings": []}, {**host, "findings": [broken]}]
    shown = all_formats()["text"].render({**REPORT, "hosts": hosts}).splitlines()
    rows = [line for line in shown if line.startswith(("plain ", "sound "))]
    assert rows[0].startswith("plain ")
    assert rows[0].endswith("1 error")
    assert rows[1].endswith("none")


def test_a_fleet_of_many_is_told_by_check_in_the_summary() -> None:
    entry = {
        "name": "crm",
        "port": 993,
        "exclusive": False,
        "cidrs": ["192.0.2.0/24", "198.51.100.0/24"],
        "source": None,
        "retrieved_at": None,
        "admitted": "2/2",
        "missing": [],
        "unknown": [],
        "others": "everyone",
        "decided_by": [],
    }
    lists = {
        "stale": [entry],
        "plain": [{**entry, "missing": ["192.0.2.0/24"], "unknown": ["198.51.100.0/24"]}],
        "dead": [{**entry, "unknown": ["192.0.2.0/24", "198.51.100.0/24"]}],
    }
    hosts = [
        {**host, "name": f"{host['name']}{number}", "allowlists": lists[host["name"]]}
        for number in range(MANY // 3 + 1)
        for host in REPORT["hosts"]
    ]
    of_each = len(hosts) // 3
    shown = all_formats()["text"].render({**REPORT, "hosts": hosts})
    assert max(map(len, shown.splitlines())) <= 100
    rows = shown.splitlines()
    assert sum(line.startswith(("stale", "plain", "dead")) for line in rows) == 50
    assert f"and {len(hosts) - 50} hosts more" in shown
    told = {tuple(line.split()[:3]) for line in rows}
    assert ("error", "certificate-weak-key", str(2 * of_each)) in told
    assert ("high", "host-unreachable", str(of_each)) in told
    (row,) = (line.split() for line in rows if line.startswith("crm "))
    admit_all, not_known = of_each, of_each
    assert row[1:5] == ["993", str(len(hosts)), str(admit_all), str(not_known)]
    assert row[5:7] == ["plain0,", "plain1,"]
