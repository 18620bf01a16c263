"""Stores of earlier schemas, dumped as they were then, open with every run readable."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailwitness.correlate import fleet
from mailwitness.store.database import Database
from mailwitness.store.history import History

_DUMPS = sorted(Path(__file__).parent.glob("schema-*.sql"))


@pytest.mark.parametrize("dump", _DUMPS, ids=lambda path: path.stem)
def test_an_old_store_opens_with_every_run(dump: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        connection.executescript(dump.read_text())
    history = History(Database(str(tmp_path / "store"), create=False))
    (run,) = history.runs()
    assert [host["name"] for host in history.report(run)["hosts"]] == ["dead"]
    history.restore(run, tmp_path / "evidence")
    assert [host.status for host in fleet.read(tmp_path / "evidence").hosts] == ["unreachable"]
    assert [each.status for each in history.of_host("dead")] == ["unreachable"]


def test_every_schema_has_its_dump() -> None:
    steps = Path(__file__).parents[2] / "agent/mailwitness/store/migrations/versions"
    numbers = {step.name[:4] for step in steps.glob("[0-9]*.py")}
    assert {dump.stem.removeprefix("schema-") for dump in _DUMPS} == numbers
