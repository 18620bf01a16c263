"""One cause is one finding, on the lab's recorded faults."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mailwitness import cli
from tests.lab.audit import RECORDED

Place = tuple[str, str | None]


def judged(evidence: Path, output: Path, *options: str) -> dict[str, Any]:
    argv = ["judge", str(evidence), "--output", str(output), "--fail-on", "never", *options]
    assert cli.main(argv) == cli.OK
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    return report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return judged(RECORDED, tmp_path_factory.mktemp("folded"))


def folded(report: dict[str, Any], host: str, outcome: str = "fail") -> dict[Place, set[Place]]:
    (its,) = (each for each in report["hosts"] if each["name"] == host)
    return {
        (f["check"], f["endpoint"]): {(c["check"], c["endpoint"]) for c in f["causes"]}
        for f in its["findings"]
        if f["outcome"] == outcome and f["causes"]
    }


def failing(report: dict[str, Any], host: str, check: str) -> set[str | None]:
    (its,) = (each for each in report["hosts"] if each["name"] == host)
    return {f["endpoint"] for f in its["findings"] if (f["check"], f["outcome"]) == (check, "fail")}


def test_a_port_that_nobody_listens_on_is_why_there_is_no_imap(report: dict[str, Any]) -> None:
    assert folded(report, "neglected")["imap-available", None] == {
        ("listener-down", "imap:143"),
        ("listener-down", "imaps:993"),
    }


def test_a_daemon_without_tls_is_why_passwords_cross_without_it(report: dict[str, Any]) -> None:
    assert folded(report, "plain") == {
        ("imap-available", None): {("tls-required", "imap:143")},
        ("smtp-submission-available", None): {("tls-required", "submission:587")},
        ("auth-cleartext", "imap:143"): {("tls-required", "imap:143")},
        ("auth-cleartext", "submission:587"): {("tls-required", "submission:587")},
    }


def test_logins_before_tls_are_why_it_is_optional(report: dict[str, Any]) -> None:
    assert folded(report, "legacy")["tls-required", "imap:143"] == {("auth-cleartext", "imap:143")}


def test_an_intermediate_that_is_not_served_is_why_nobody_trusts(report: dict[str, Any]) -> None:
    untrusted = "certificate-untrusted", "submissions:465"
    missing = "certificate-chain-incomplete", "submissions:465"
    assert folded(report, "neglected")[untrusted] == {missing}


def test_of_a_host_that_is_down_nothing_else_is_told(report: dict[str, Any]) -> None:
    (dead,) = (host for host in report["hosts"] if host["name"] == "dead")
    roots = [f["check"] for f in dead["findings"] if f["outcome"] != "pass" and not f["causes"]]
    applicable = [f for f in dead["findings"] if f["outcome"] in ("fail", "not-assessed")]
    assert [f["check"] for f in applicable if not f["causes"]] == ["host-unreachable"]
    assert "host-unreachable" in roots
    assert len(applicable) > 1


def test_rights_that_are_missing_are_why_something_is_not_assessed(report: dict[str, Any]) -> None:
    found = folded(report, "noroot", "not-assessed")
    assert found
    assert set.union(*found.values()) == {("evidence-partial", None)}


def _later(folder: Path) -> Path:
    """The recording as if it were made after the old certificate of `stale` had expired."""
    shutil.copytree(RECORDED, folder)
    for file in folder.rglob("*.json"):
        text = file.read_text()
        file.write_text(
            re.sub(r'("(?:observed|started)_at":\s?")2026-11-2\d', r"\g<1>2026-12-30", text)
        )
    return folder


def test_what_a_reload_would_clear_is_folded_under_the_stale_daemon(tmp_path: Path) -> None:
    later = judged(_later(tmp_path / "later"), tmp_path)
    expired = "certificate-expired", "imaps:993"
    assert folded(later, "stale")[expired] == {("certificate-not-reloaded", "imaps:993")}
    # It is as bad as the worst that follows from it, and there is but one finding of the port.
    (stale,) = (host for host in later["hosts"] if host["name"] == "stale")
    shown = {
        (f["check"], f["severity"])
        for f in stale["findings"]
        if (f["outcome"], f["endpoint"]) == ("fail", "imaps:993") and not f["causes"]
    }
    assert shown == {("certificate-not-reloaded", "critical")}


def test_what_a_reload_would_not_clear_stands_alone(tmp_path: Path) -> None:
    evidence = _later(tmp_path / "later")
    run = json.loads((evidence / "run.json").read_text())
    for host in run["hosts"]:
        host["names"] = ["other.lab.example"] if host["name"] == "stale" else host["names"]
    (evidence / "run.json").write_text(json.dumps(run))
    for file in (evidence / "stale").glob("*.json"):
        file.write_text(file.read_text().replace('"stale.lab.example"', '"other.lab.example"'))
    later = judged(evidence, tmp_path)
    (stale,) = (host for host in later["hosts"] if host["name"] == "stale")
    alone = {f["check"] for f in stale["findings"] if f["outcome"] == "fail" and not f["causes"]}
    assert "certificate-name-mismatch" in alone


def test_what_is_waived_explains_nothing(tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.yml"
    waivers.write_text(
        "- {check: listener-down, hosts: [neglected], endpoint: 'imap:143', reason: planned,"
        " owner: ops, expires: 2030-01-01}\n"
    )
    report = judged(RECORDED, tmp_path, "--waivers", str(waivers))
    assert ("imap-available", None) not in folded(report, "neglected")


def test_the_summary_counts_roots(report: dict[str, Any]) -> None:
    roots = [
        f
        for host in report["hosts"]
        for f in host["findings"]
        if f["outcome"] == "fail" and not f["causes"]
    ]
    assert sum(report["summary"]["by_severity"].values()) == len(roots)
    assert report["summary"]["by_outcome"]["fail"] > len(roots)


def test_a_gap_of_the_allowlist_and_a_filter_upstream_are_why_there_is_no_imap(
    tmp_path: Path,
) -> None:
    evidence = tmp_path / "evidence"
    shutil.copytree(RECORDED, evidence)
    for file in (evidence / "allowlisted").glob("probe@*.json"):
        document = json.loads(file.read_text())
        for seen in document["observations"]:
            if seen["port"] in (143, 993):
                seen["reach"] |= {"state": "filtered", "detail": "no answer within 5 s"}
                seen["session"] = {"missing": "no connection"}
            if seen["port"] == 993:
                seen["reach"]["source_address"] = "1.1.1.1"  # whom the host keeps out
        file.write_text(json.dumps(document))
    found = folded(judged(evidence, tmp_path), "allowlisted")
    assert found["imap-available", None] == {
        ("upstream-blocked", "imap:143"),
        ("allowlist-missing", "imaps:993"),
    }


def _with(evidence: Path, host: str, accepted: dict[str, bool], *, itself: bool = True) -> None:
    """Let every port of the host accept or refuse these versions, for itself and others."""
    for file in (evidence / host).glob("*.json" if itself else "probe@*.json"):
        document = json.loads(file.read_text())
        looks = document.get("observations", document.get("running"))
        sessions = [look["session"] for look in looks if "versions" in look["session"]]
        for answer in (answer for session in sessions for answer in session["versions"]):
            answer["accepted"] = accepted.get(answer["version"], answer["accepted"])
        file.write_text(json.dumps(document))


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    shutil.copytree(RECORDED, tmp_path / "evidence")
    return tmp_path / "evidence"


LEGACY, MODERN = "tls-legacy-version", "tls-modern-version"


def test_versions_that_a_reload_takes_away_are_folded_under_the_stale_daemon(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "unreloaded", {"TLSv1": True})
    found = folded(judged(evidence, tmp_path), "unreloaded")
    for endpoint in ("imap:143", "submissions:465"):
        assert found[LEGACY, endpoint] == {("config-not-reloaded", endpoint)}


def test_versions_that_something_before_the_daemon_adds_stand_alone(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "unreloaded", {"TLSv1": True}, itself=False)
    report = judged(evidence, tmp_path)
    assert failing(report, "unreloaded", LEGACY)
    assert not [one for one in folded(report, "unreloaded") if one[0] == LEGACY]


def test_a_version_that_a_reload_brings_is_folded_under_the_stale_daemon(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "unreloaded", {"TLSv1": True, "TLSv1.2": False, "TLSv1.3": False})
    found = folded(judged(evidence, tmp_path), "unreloaded")
    assert found[MODERN, "imaps:993"] == {("config-not-reloaded", "imaps:993")}


def test_a_version_that_something_before_the_daemon_keeps_back_stands_alone(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "unreloaded", {"TLSv1.2": False, "TLSv1.3": False}, itself=False)
    report = judged(evidence, tmp_path)
    assert failing(report, "unreloaded", MODERN)
    assert not [one for one in folded(report, "unreloaded") if one[0] == MODERN]


def test_versions_that_the_main_setting_refuses_are_folded_under_the_override(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "overridden", {"TLSv1": True, "TLSv1.1": True})
    report = judged(evidence, tmp_path)
    override = "override-weakens", "submission:587"
    assert folded(report, "overridden")[LEGACY, "submission:587"] == {override}
    # The other ports have no setting of their own.
    assert len(failing(report, "overridden", LEGACY)) > 1
    assert [one for one in folded(report, "overridden") if one[0] == LEGACY] == [
        (LEGACY, "submission:587")
    ]


def test_a_version_that_no_setting_admits_is_none_of_the_override_s(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "overridden", {"SSLv3": True})
    assert (LEGACY, "submission:587") not in folded(judged(evidence, tmp_path), "overridden")


@pytest.mark.parametrize(("main", "roots"), [("yes", {"override-weakens"}), ("no", set())])
def test_passwords_in_the_clear_are_folded_under_the_override_that_lets_them(
    evidence: Path, tmp_path: Path, main: str, roots: set[str]
) -> None:
    file = evidence / "legacy" / "host.json"
    document = json.loads(file.read_text())
    dovecot = document["dovecot"]
    dovecot["main"]["disable_plaintext_auth"] = main
    assert {its["disable_plaintext_auth"] for its in dovecot["settings"].values()} == {"no"}
    file.write_text(json.dumps(document))
    found = folded(judged(evidence, tmp_path), "legacy")
    own = {check for check, _ in found.get(("auth-cleartext", "imap:143"), set())}
    assert own == roots
    assert {check for check, _ in found["tls-required", "imap:143"]} == (
        roots or {"auth-cleartext"}
    )


def test_versions_that_the_system_bars_are_folded_under_its_policy(
    evidence: Path, tmp_path: Path
) -> None:
    _with(evidence, "overridden", {"TLSv1": True, "TLSv1.2": False, "TLSv1.3": False})
    unbarred = judged(evidence, tmp_path)
    assert failing(unbarred, "overridden", MODERN)
    assert (MODERN, "imaps:993") not in folded(unbarred, "overridden")
    file = evidence / "overridden" / "host.json"
    document = json.loads(file.read_text())
    document["dovecot_library"]["defaults"]["maximum"] = "TLSv1.1"
    file.write_text(json.dumps(document))
    found = folded(judged(evidence, tmp_path), "overridden")
    assert found[MODERN, "imaps:993"] == {("system-policy-overrides", "imaps:993")}
