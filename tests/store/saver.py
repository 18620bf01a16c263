"""A process that saves run after run and says so after each; tests kill it."""

import json
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

from mailwitness.store.database import Database
from mailwitness.store.history import History

# A process of its own each time, and the imports once.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


class Saver:
    """Saves the run in `source` as number `first` and on, so many times."""

    def __init__(self, location: str, source: Path, first: int, count: int) -> None:
        self._hears, says = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(
            target=_save, args=(location, source, first, count, says)
        )
        self._process.start()
        says.close()

    def said(self) -> int:
        """The next number that it says to have saved; raises EOFError at the end of its life."""
        number: int = self._hears.recv()
        return number

    def kill(self) -> set[int]:
        """By SIGKILL; what it had said meanwhile."""
        self._process.kill()
        return self.rest()

    def rest(self) -> set[int]:
        """What else it says until it ends."""
        numbers = set()
        try:
            while True:
                numbers.add(self.said())
        except EOFError:
            self._process.join()
        return numbers


def _save(location: str, folder: Path, first: int, count: int, says: Connection) -> None:
    report = json.loads((folder / "report.json").read_text())
    plan = json.loads((folder / "run.json").read_text())
    history = History(Database(location, create=True))
    for number in range(first, first + count):
        plan["note"] = report["note"] = f"number {number}"
        unfinished = folder / "unfinished"
        unfinished.write_text(json.dumps(plan))
        unfinished.replace(folder / "run.json")
        history.save(folder, report)
        says.send(number)
