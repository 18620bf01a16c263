"""Judging and reporting recorded evidence of many hosts: seconds, memory, and growth.

    python -m benchmarks.judge_scale [--hosts 1000 10000]

Each size runs in a process of its own; the hosts are copies of the lab's recorded ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "tests" / "lab" / "recorded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 10_000])
    base = None
    for hosts in parser.parse_args().hosts:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            _lay_out(folder, hosts)
            seconds, megabytes = _judge(folder)
        each = 1000 * seconds / hosts
        base = base or each
        print(
            f"{hosts:6} hosts: {seconds:6.1f} s CPU, {each:.2f} ms a host "
            f"({each / base:.2f} x the first), {megabytes:.0f} MB at the peak",
            flush=True,
        )


def _lay_out(folder: Path, hosts: int) -> None:
    plan = json.loads((RECORDED / "run.json").read_text())
    recorded = plan["hosts"]
    plan["hosts"] = []
    for number in range(hosts):
        like, name = recorded[number % len(recorded)], f"host{number}"
        plan["hosts"].append({**like, "name": name})
        (folder / name).mkdir()
        for file in (RECORDED / like["name"]).iterdir():
            content = file.read_text().replace(f'"host":"{like["name"]}"', f'"host":"{name}"')
            (folder / name / file.name).write_text(content)
    (folder / "run.json").write_text(json.dumps(plan, separators=(",", ":")))


def _judge(folder: Path) -> tuple[float, float]:
    """CPU seconds and MB at the peak of `mailwitness judge`, from the process itself."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mailwitness.cli", "judge", str(folder)),
            *("--output", str(folder / "report"), "--fail-on", "never"),
        ],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
