"""The engine against this machine's kernel: fresh random rulesets, real SYNs."""

import os
import secrets
from pathlib import Path

import pytest

from tests.firewall.kernel.tools import unavailable
from tests.firewall.kernel.trials import run

TRIALS = 20_000
KEPT = Path("build/kernel-trials")


@pytest.mark.lab
def test_no_definite_answer_differs_from_this_kernel() -> None:
    """To see a run again: MAILWITNESS_SEED=<its seed> pytest -m lab tests/firewall."""
    reason = unavailable()
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    seed = int(os.environ.get("MAILWITNESS_SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    tally = run(seed, TRIALS, KEPT)
    for line in tally.lines():
        print(line)
    assert tally.trials >= TRIALS
    assert not tally.wrong, f"seed {seed}; counter-examples are in {KEPT}"
    assert sum(tally.undecided.values()) < 0.05 * tally.trials
    # Trials that are all alike would prove little.
    assert 0.1 < tally.admitted / tally.trials < 0.9
    assert len(tally.not_loaded) < 0.1 * sum(tally.rulesets.values())
