"""Every combination of the witnesses has one stated outcome, and none is silent."""

import pytest

from mailwitness.policy.outcome import Outcome
from tests.policy.truth_table import TABLE, WITNESSES, Row, line, rows, said

STATED = TABLE.read_text().splitlines()[4:]
SOUND = ("yes", "listens", "admits", "connects")


@pytest.mark.parametrize(("row", "stated"), list(zip(rows(), STATED, strict=True)))
def test_the_outcome_is_the_stated_one(row: Row, stated: str) -> None:
    assert line(row) == stated


def test_the_table_has_every_combination_once() -> None:
    assert len(set(STATED)) == len(STATED) == 3 * 3 * 3 * 4
    assert set(WITNESSES) == {"configured", "running", "filtered", "outside"}


@pytest.mark.parametrize("row", rows(), ids="-".join)
def test_no_combination_is_silent(row: Row) -> None:
    """All witnesses agree that the service is there, or something is said."""
    spoken = {finding.outcome for finding in said(row)} & {Outcome.FAIL, Outcome.NOT_ASSESSED}
    assert bool(spoken) != (row == SOUND)
    assert Outcome.ERROR not in {finding.outcome for finding in said(row)}


@pytest.mark.parametrize("row", rows(), ids="-".join)
def test_what_is_folded_has_its_root_in_the_same_row(row: Row) -> None:
    findings = said(row)
    roots = {
        (finding.check.id, finding.endpoint.id if finding.endpoint else None)
        for finding in findings
        if finding.outcome is Outcome.FAIL and not finding.causes
    }
    assert all(set(finding.causes) <= roots for finding in findings)
