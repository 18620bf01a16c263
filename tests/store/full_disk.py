"""A process with a disk of its own, which it fills: what the commands of the store say then.

Started in a mount namespace, so that the disk goes with it. Prints the exit statuses and, after
`size`, how large the store is.
"""

import os
import subprocess
import sys
from pathlib import Path

from mailwitness import cli

_PAGE = 4096


def main(disk: Path, *runs: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
    store = disk / "history.sqlite"

    def say(*command: str) -> None:
        print("status", cli.main([*command, "--store", str(store)]), command[0], flush=True)

    def save(run: str) -> None:
        say("judge", run, "--save", "--fail-on", "never")

    first, second, third = runs
    save(first)
    save(second)
    filler = disk / "filler"
    fill(filler)
    save(third)
    say("prune", "--keep", "1")
    say("runs")
    filler.unlink()
    save(third)
    say("runs")
    print("size", store.stat().st_size)
    say("prune", "--keep", "1")
    print("size", store.stat().st_size)


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(_PAGE)):
                pass
        except OSError as error:
            print(os.strerror(error.errno or 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
