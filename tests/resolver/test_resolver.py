"""A fresh sample of configurations on real daemons: nothing that is foretold may be wrong."""

import os
import secrets
import sys

import pytest

from tests.lab import suites
from tests.resolver.trials import run

# Of each release; `make resolver-trials` makes more.
CONFIGURATIONS = 5


@pytest.mark.lab
@pytest.mark.parametrize("suite", suites.SUITES)
@pytest.mark.usefixtures("bootable")
def test_nothing_that_is_foretold_is_wrong(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.environ.get("MAILWITNESS_SEED") or secrets.token_hex(4)
    tally = run(suite, seed, CONFIGURATIONS)
    with capsys.disabled():
        sys.stdout.write(f"\n{suite}, MAILWITNESS_SEED={seed}\n")
        sys.stdout.write("".join(f"{line}\n" for line in tally.lines()))
    assert not tally.wrong
    assert tally.answers["right"] > CONFIGURATIONS
