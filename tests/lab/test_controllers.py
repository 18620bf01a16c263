"""Two controllers, two hosts and two transports apart, write into one PostgreSQL."""

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import network
from tests.lab.audit import ROOT, playbook
from tests.lab.controller import AUDITED, INVENTORY, passwords_in_the_clear, rows
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.store import postgres

pytestmark = pytest.mark.lab

EAST = ("plain", "dead")  # what this machine audits, by the playbook


@pytest.fixture
def store() -> Iterator[str]:
    """A database that every host of the lab reaches."""
    programs = postgres.binaries()
    assert programs is not None, "apt-get install postgresql"
    with postgres.cluster(programs, network.ADDRESSES[0]) as url:
        yield url


def test_each_saves_its_hosts_and_neither_misses_those_of_the_other(
    lab: Lab, control: Machine, store: str, tmp_path: Path
) -> None:
    tool = Path(playbook(lab.inventory, tmp_path)[0]).with_name("mailwitness")

    def east() -> int:
        more = ("--limit", ",".join(EAST), "-e", f"mailwitness_store={store}")
        command = playbook(lab.inventory, tmp_path / "east", *more)
        named = {**os.environ, "MAILWITNESS_CONTROLLER": "east"}
        done = subprocess.run(command, cwd=ROOT, env=named, capture_output=True, check=False)
        return done.returncode

    def west() -> str:
        options = ("--save", "--store", store, "--controller", "west", "--fail-on", "never")
        done = control.run(("mailwitness", "collect", "-i", INVENTORY, *options))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(*question: str) -> str:
        done = subprocess.run(
            (tool, *question, "--store", store), capture_output=True, text=True, check=False
        )
        assert not done.stderr
        return done.stdout

    with ThreadPoolExecutor() as both:
        first, second = both.submit(east), both.submit(west)
        first.result(), second.result()
    listed = ask("runs")
    assert len(re.findall(r"^ *\d+ .*\b(?:east|west)\b", listed, re.MULTILINE)) == 2, listed
    with passwords_in_the_clear(lab):
        west()
    changes = ask("diff")
    assert re.search(rf"^new +{AUDITED} submission:587: auth-cleartext", changes, re.MULTILINE)
    assert not any(name in changes for name in EAST), changes
    assert rows(ask("runs", "--controller", "west")) == 2
    assert rows(ask("history", AUDITED)) == 2
    assert rows(ask("history", EAST[0])) == 1
