"""The trials by hand: ``python -m tests.resolver --trials 200 --suite bookworm``."""

import argparse
import secrets
import sys
import time

from tests.lab import suites
from tests.lab.lab import unavailable
from tests.resolver.trials import run


def main() -> int:
    """Exit status 1 if the resolver was wrong once, 2 where no host can be started."""
    parser = argparse.ArgumentParser(prog="python -m tests.resolver", description=__doc__)
    parser.add_argument("--trials", type=int, default=10, help="for each release")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--suite", choices=suites.SUITES, action="append")
    arguments = parser.parse_args()
    reason = unavailable()
    if reason:
        print(reason, file=sys.stderr)
        return 2
    wrong = False
    for suite in arguments.suite or suites.SUITES:
        start = time.monotonic()
        print(f"{suite}, seed {arguments.seed}", flush=True)
        tally = run(suite, arguments.seed, arguments.trials)
        print("\n".join(tally.lines()))
        print(f"{time.monotonic() - start:.0f} s", flush=True)
        wrong = wrong or bool(tally.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
