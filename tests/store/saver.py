"""A process that saves run after run and says so after each; tests kill it."""

import json
import sys
from pathlib import Path

from mailwitness.store.database import Database
from mailwitness.store.history import History


def main(location: str, source: str, first: int, count: int) -> None:
    folder = Path(source)
    report = json.loads((folder / "report.json").read_text())
    plan = json.loads((folder / "run.json").read_text())
    history = History(Database(location, create=True))
    for number in range(first, first + count):
        plan["note"] = report["note"] = f"number {number}"
        unfinished = folder / "unfinished"
        unfinished.write_text(json.dumps(plan))
        unfinished.replace(folder / "run.json")
        history.save(folder, report)
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
