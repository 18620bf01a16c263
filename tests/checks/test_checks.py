"""Every check on its cases, and what must hold of all checks."""

from pathlib import Path

import pytest

from mailwitness import checks
from mailwitness.checks import all_checks
from mailwitness.policy.engine import judge, judge_waivers, questions
from mailwitness.policy.profile import load, names
from tests.checks.cases import CASES, HERE, Case

CHECKS = {check.id: check for check in all_checks()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}/{case.path.name}")
def test_case(case: Case, tmp_path: Path) -> None:
    policy, endpoint = case.content.get("policy"), case.content.get("endpoint")
    profiles = [load(policy)] if policy else []
    host, check = case.host(tmp_path), CHECKS[case.check]
    findings = judge(host, questions(profiles, [check])) or judge_waivers(case.waivers, [check])
    (finding,) = (found for found in findings if (found.endpoint and found.endpoint.id) == endpoint)
    assert finding.outcome == case.outcome, finding.verdict
    assert finding.verdict.detail
    if case.outcome == "fail":
        assert finding.verdict.witnesses


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_a_check_is_whole(check) -> None:  # type: ignore[no-untyped-def]
    assert check.references
    assert check.rationale.endswith(".")
    assert not check.title.endswith(".")
    outcomes = {case.outcome for case in CASES if case.check == check.id}
    assert outcomes >= {"pass", "fail"}


def test_a_check_lies_in_the_file_of_its_name() -> None:
    folder = Path(checks.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == {check.replace("-", "_") for check in CHECKS}


def test_what_is_to_be_phased_out_fails_lightly(tmp_path: Path) -> None:
    case = Case(HERE / "certificate-weak-key" / "rsa-2048-phased-out.fail.json")
    check = CHECKS["certificate-weak-key"]
    asked = questions([load("ncsc-nl-2025-05"), load("bsi-tr-02102-2")], [check])
    findings = judge(case.host(tmp_path), asked)
    severities = {f.policies: f.severity for f in findings if f.endpoint and f.endpoint.port == 993}
    assert severities == {("ncsc-nl-2025-05",): "low", ("bsi-tr-02102-2",): "high"}


def test_a_check_explains_checks_that_there_are() -> None:
    explained = {name for check in CHECKS.values() for one in check.explains for name in one.checks}
    assert explained
    assert explained <= set(CHECKS)


def test_every_case_is_of_a_check() -> None:
    assert {path.name for path in HERE.iterdir() if path.is_dir() and "__" not in path.name} <= set(
        CHECKS
    )


@pytest.mark.parametrize("name", names())
def test_a_policy_asks_for_checks_that_exist(name: str) -> None:
    profile = load(name)
    assert profile.asked() <= set(CHECKS)


def test_every_check_is_asked_by_a_policy_or_always() -> None:
    asked = {check for name in names() for check in load(name).requires}
    # What is asked always may bear on a policy's eligibility besides.
    assert {check.id for check in CHECKS.values() if not check.always} <= asked
