"""Daemons that the lab does not have: what is foretold of their recordings, and what was served.

Recorded by `recorded.py` on real daemons, built from their sources or given Red Hat's settings; not
on hosts of the lab.
"""

import pytest

from mailwitness.correlate.configured import configured
from mailwitness.correlate.endpoint import Configured
from mailwitness.evidence.codec import loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.probe import ProbeEvidence
from tests.resolver.recorded import HERE
from tests.resolver.trials import Tally, compare_all


def inside(name: str) -> HostEvidence:
    return loads((HERE / name / "host.json").read_text(), HostEvidence)


@pytest.mark.parametrize(("name", "answers"), [("older", 180), ("crypto-policies", 170)])
def test_nothing_that_is_foretold_of_them_is_wrong(name: str, answers: int) -> None:
    tally = Tally()
    looks = [loads(file.read_text(), ProbeEvidence) for file in (HERE / name).glob("probe-*.json")]
    assert len(looks) == 2
    compare_all(name, inside(name), looks, tally)
    assert not tally.wrong
    assert tally.answers["right"] >= answers


def test_what_a_system_wide_policy_imposes_is_said_to_be_the_systems() -> None:
    found = configured(inside("crypto-policies"), 993)
    assert isinstance(found, Configured)
    assert isinstance(found.offer.versions, tuple)
    layers = {each.version: (each.offered, each.layer) for each in found.offer.versions}
    assert layers["TLSv1.1"] == (False, "system")
    assert layers["TLSv1.2"] == (True, "setting")
