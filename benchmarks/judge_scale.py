"""Judging and reporting recorded evidence of many hosts: seconds, memory, and growth.

Goals: 10,000 hosts in 60 s and 1 GB, each at no more than 1.1 x what one of 1,000 takes.

    python -m benchmarks.judge_scale [--hosts 1000 10000]

Each size runs in a process of its own; the hosts are like the lab's recorded ones, and no two
of them are alike.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.fleet import lay_out
from benchmarks.installed import compile_sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 10_000])
    base = None
    compile_sources()
    for hosts in parser.parse_args().hosts:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            lay_out(folder, hosts)
            took, seconds, megabytes = _judge(folder)
        each = 1000 * seconds / hosts
        base = base or each
        print(
            f"{hosts:6} hosts: {took:6.1f} s on {len(os.sched_getaffinity(0))} processors, "
            f"{seconds:6.1f} s CPU, {each:.2f} ms a host ({each / base:.2f} x the first), "
            f"{megabytes:.0f} MB at the peak",
            flush=True,
        )


def _judge(folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and MB at the peak of `mailwitness judge` with its processes."""
    begun, before = time.perf_counter(), _used()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mailwitness.cli", "judge", str(folder)),
            *("--output", str(folder / "report"), "--fail-on", "never"),
        ],
        stdout=subprocess.DEVNULL,
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.2)
    assert process.returncode == 0
    return time.perf_counter() - begun, _used() - before, peak


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _resident(pid: int) -> float:
    """MB of a process and those that it began; what they share is counted once in all."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        begun = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    (own,) = re.findall(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE) or ["0"]
    return int(own) / 1024 + sum(_resident(int(child)) for child in begun)


if __name__ == "__main__":
    main()
