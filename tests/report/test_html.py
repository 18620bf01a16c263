"""What the pages say: the first screen, the witnesses, and a host alone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mailwitness import cli
from mailwitness.policy.outcome import Severity
from mailwitness.report import facts, plots, worklist
from mailwitness.report.html import ONE_PAGE, fleet_page, host_page, one_host
from mailwitness.report.selection import select
from tests.lab.audit import RECORDED
from tests.report.schema import validate


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("report")
    cli.main(["judge", str(RECORDED), "--output", str(output), "--fail-on", "never"])
    loaded: dict[str, Any] = json.loads((output / "report.json").read_text())
    validate(loaded)
    return loaded


def host(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (host for host in report["hosts"] if host["name"] == name)
    return dict(found)


def differing(report: dict[str, Any], name: str, endpoint: str) -> list[str]:
    (found,) = (each for each in host(report, name)["endpoints"] if each["id"] == endpoint)
    return [fact.name for fact in facts.testimony(found).facts if fact.differs]


def test_the_first_screen_says_who_needs_work_and_what_comes_first(report: dict[str, Any]) -> None:
    page = fleet_page(report)
    opening = page[page.index("headline") : page.index('id="tools"')]
    # Of the lab's hosts these are sound, or wrong in what can wait.
    waiting = {"good", "dovecot24", "screened", "noroot", "overridden", "proxied", "blocked"}
    hosts = {each["name"] for each in report["hosts"]}
    today = {each["name"] for each in report["hosts"] if worklist.Standing(each).need == "today"}
    assert today == hosts - waiting
    assert f"{len(today)} of {len(hosts)} hosts need work today" in " ".join(opening.split())
    jobs = worklist.jobs(worklist.standings(report))
    first = [opening.index(job.title) for job in jobs[:3]]
    assert first == sorted(first)
    assert jobs[0].title == "The certificate has expired"


def test_worst_first_and_needs(report: dict[str, Any]) -> None:
    ordered = [each.host["name"] for each in worklist.worst_first(worklist.standings(report))]
    assert ordered[0] == "expired"
    assert worklist.Standing(host(report, "legacy")).need is worklist.Need.TODAY
    assert worklist.Standing(host(report, "proxied")).need is worklist.Need.LATER
    assert worklist.Standing(host(report, "good")).need is worklist.Need.NOTHING


def test_what_was_not_assessed_is_not_nothing_to_do(report: dict[str, Any]) -> None:
    partial = host(report, "noroot")
    partial["findings"] = [f for f in partial["findings"] if f["outcome"] != "fail"]
    assert worklist.Standing(partial).need is worklist.Need.UNCLEAR


def test_witnesses_that_disagree_are_marked_and_others_are_not(report: dict[str, Any]) -> None:
    assert differing(report, "stale", "imaps:993") == ["certificate"]
    assert differing(report, "proxied", "imaps:993") == ["certificate"]
    for endpoint in host(report, "good")["endpoints"]:
        assert not differing(report, "good", endpoint["id"])


def test_a_host_s_page_tells_nothing_of_the_others(report: dict[str, Any]) -> None:
    page = one_host(report, host(report, "good"))
    others = [each for each in report["hosts"] if each["name"] != "good"]
    for other in others:
        assert other["address"] not in re.findall(r"[\d.]+", page)
        assert f"{other['name']}.lab.example" not in page


def test_links_lead_somewhere(report: dict[str, Any]) -> None:
    for page in (fleet_page(report), *(one_host(report, each) for each in report["hosts"])):
        ids = re.findall(r'\sid="([^"]*)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_a_large_fleet_has_an_index_that_leads_to_pages(report: dict[str, Any]) -> None:
    small = host(report, "dead")
    many = [{**small, "name": f"h{number}"} for number in range(ONE_PAGE + 1)]
    index = fleet_page({**report, "hosts": many})
    assert f'href="hosts/h{ONE_PAGE}.html"' in index
    assert host_page("h0") == "hosts/h0.html"
    assert 'class="card host"' not in index


def test_coverage_shows_what_is_missing_at_its_place() -> None:
    entry = {
        "cidrs": ["192.0.2.0/24", "2001:db8::/32"],
        "missing": ["192.0.2.128/25"],
        "unknown": ["2001:db8::/32"],
    }
    found = [(each.start, each.width, each.answer) for each in plots.coverage(entry)]
    assert found == [(0.25, 0.25, "missing"), (0.5, 0.5, "unknown")]


def test_a_selection_counts_only_itself(report: dict[str, Any]) -> None:
    outdated = select(report, ["legacy"], ["tls-legacy-version"])
    validate(outdated)
    assert outdated["summary"]["hosts"] == 1
    assert outdated["summary"]["by_severity"]["medium"] == 10
    assert outdated["summary"]["by_severity"]["high"] == 0


def test_a_selection_by_severity_leaves_out_lesser_failures(report: dict[str, Any]) -> None:
    chosen = select(report, ["legacy"], least=Severity.HIGH)
    failed = {f["severity"] for f in chosen["hosts"][0]["findings"] if f["outcome"] == "fail"}
    assert failed == {"high"}


def test_report_shows_one_host_alone(
    report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(report))
    assert cli.main(["report", str(file), "--host", "good", "--format", "html"]) == cli.OK
    assert "expired.lab.example" not in capsys.readouterr().out


def test_a_first_run_has_no_trend_and_a_later_one_its_days(report: dict[str, Any]) -> None:
    assert "over the last" not in fleet_page(report)
    earlier = {**report, "collected_at": "2026-01-01T03:00:00Z", "hosts": []}
    earlier["summary"] = {**report["summary"], "by_severity": dict.fromkeys(Severity, 0)}
    first, last = plots.trend([earlier], report)
    assert (first.day, first.total, first.parts) == ("2026-01-01", 0, ())
    assert last.total == sum(report["summary"]["by_severity"].values())
    assert [level for level, _, _ in last.parts] == ["critical", "high", "medium", "low"]
    assert sum(height for _, _, height in last.parts) == pytest.approx(1)
    assert "Failures over the last 2 runs" in fleet_page(report, [earlier])


def test_what_is_borne_is_shown_with_who_bears_it(report: dict[str, Any]) -> None:
    waiver = {
        "check": "tls-required",
        "hosts": ["plain"],
        "groups": ["branch"],
        "endpoint": None,
        "reason": "old scanners",
        "owner": "ops",
        "expires": "2027-01-31",
        "state": "active",
    }
    page = fleet_page({**report, "waivers": [waiver]})
    borne = page[page.index('id="waivers"') : page.index('id="plots"')]
    for said in ("tls-required", "plain, branch", "old scanners", "ops", "2027-01-31", "active"):
        assert said in borne
    assert 'id="waivers"' not in fleet_page(report)
