"""A year of nightly runs of 1,000 hosts in one SQLite file: its size, and what `trend` takes.

    python -m benchmarks.store_year [--hosts 1000] [--nights 365]

The hosts are copies of the lab's recorded ones; each night one in fifty has changed.
"""

import argparse
import datetime
import json
import tempfile
import time
from pathlib import Path

from mailwitness.checks import all_checks
from mailwitness.correlate import fleet
from mailwitness.policy.audit import judge_fleet
from mailwitness.report.model import build
from mailwitness.store import text
from mailwitness.store.database import Database
from mailwitness.store.history import History

RECORDED = Path(__file__).parents[1] / "tests" / "lab" / "recorded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=365)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        _measure(Path(temporary), arguments.hosts, arguments.nights)


def _measure(folder: Path, hosts: int, nights: int) -> None:
    plan = json.loads((RECORDED / "run.json").read_text())
    recorded = plan["hosts"]
    report = build(judge_fleet(fleet.read(RECORDED), (), all_checks()), "2026-01-01T00:00:00Z")
    judged = {host["name"]: host for host in report["hosts"]}
    plan["hosts"], report["hosts"] = [], []
    for number in range(hosts):
        like, name = recorded[number % len(recorded)], f"host{number}"
        plan["hosts"].append({**like, "name": name})
        report["hosts"].append({**judged[like["name"]], "name": name})
        (folder / "run" / name).mkdir(parents=True)
        for file in (RECORDED / like["name"]).iterdir():
            content = file.read_text().replace(f'"host":"{like["name"]}"', f'"host":"{name}"')
            (folder / "run" / name / file.name).write_text(content)
    file = folder / "history.sqlite"
    history = History(Database(str(file), create=True))
    begun, first = time.perf_counter(), 0
    for night in range(nights):
        for host in range(night % 50, hosts, 50):
            name = f"host{host}"
            with (folder / "run" / name / "probe@controller.json").open("a") as document:
                document.write(f"{night}\n")
            report["hosts"][host]["reason"] = f"changed in night {night}"
        day = datetime.date(2026, 1, 1) + datetime.timedelta(days=night)
        plan["started_at"] = report["collected_at"] = f"{day}T03:00:00Z"
        (folder / "run" / "run.json").write_text(json.dumps(plan, separators=(",", ":")))
        history.save(folder / "run", report)
        first = first or file.stat().st_size
    saving = time.perf_counter() - begun
    size = file.stat().st_size
    print(f"{nights} nights of {hosts} hosts: {size / 1e6:.0f} MB, the first {first / 1e6:.0f} MB")
    print(f"saving: {saving / nights:.2f} s a night")
    begun = time.perf_counter()
    text.trend(History(Database(str(file), create=False)).runs())
    print(f"trend: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
