"""The trials by hand: ``python -m tests.firewall.kernel --trials 1000000``."""

import argparse
import secrets
import sys
import time
from pathlib import Path

from tests.firewall.kernel import corners
from tests.firewall.kernel.tools import unavailable
from tests.firewall.kernel.trials import KINDS, run
from tests.lab import suites

KEPT = Path("build/kernel-trials")


def main() -> int:
    """Exit status 1 if the engine was wrong once, 2 where the kernel cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.firewall.kernel", description=__doc__)
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--kind", choices=sorted(set(KINDS)), help="only rulesets of this kind")
    parser.add_argument("--suite", choices=suites.SUITES, help="use the nft of this Debian release")
    parser.add_argument(
        "--keep", type=Path, default=KEPT, help=f"folder for counter-examples (default: {KEPT})"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help="record the corner cases there, and end"
    )
    parser.add_argument("--refused", action="store_true", help="show what nft refused")
    arguments = parser.parse_args()
    reason = unavailable()
    if reason:
        print(reason, file=sys.stderr)
        return 2
    if arguments.record is not None:
        corners.record(arguments.record)
        return 0
    print(f"seed {arguments.seed}", flush=True)
    start = time.monotonic()
    root = None if arguments.suite is None else suites.base(arguments.suite)
    tally = run(arguments.seed, arguments.trials, arguments.keep, arguments.kind, root)
    for line in tally.lines():
        print(line)
    for line in tally.refused if arguments.refused else ():
        print(f"refused: {line}")
    print(f"{time.monotonic() - start:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
