"""Every check on its cases, and what must hold of all checks."""

from pathlib import Path

import pytest

from mailwitness.checks import all_checks
from mailwitness.policy.engine import judge
from mailwitness.policy.profile import load, names
from tests.checks.cases import CASES, HERE, Case

CHECKS = {check.id: check for check in all_checks()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}/{case.path.name}")
def test_case(case: Case, tmp_path: Path) -> None:
    policy, endpoint = case.content.get("policy"), case.content.get("endpoint")
    profiles = [load(policy)] if policy else []
    findings = judge(case.host(tmp_path), profiles, [CHECKS[case.check]])
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
    folder = Path(load.__wrapped__.__code__.co_filename).parents[1] / "checks"
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == {check.replace("-", "_") for check in CHECKS}


def test_every_case_is_of_a_check() -> None:
    assert {path.name for path in HERE.iterdir() if path.is_dir() and "__" not in path.name} <= set(
        CHECKS
    )


@pytest.mark.parametrize("name", names())
def test_a_policy_asks_for_checks_that_exist(name: str) -> None:
    profile = load(name)
    asked = {*profile.requires, *profile.relay_requires}
    if profile.eligibility:
        asked |= {*profile.eligibility.needs, *profile.eligibility.exceptions}
    assert asked <= set(CHECKS)
    assert all(profile.requires.values())


def test_every_check_is_asked_by_a_policy_or_always() -> None:
    asked = {check for name in names() for check in load(name).requires}
    # What is asked always may bear on a policy's eligibility besides.
    assert {check.id for check in CHECKS.values() if not check.always} <= asked
