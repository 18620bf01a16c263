"""A PostgreSQL of the tests' own: Debian's binaries, a cluster in a folder, on a Unix socket."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Where Debian's newest PostgreSQL lies; None: it is not installed."""
    found = [
        path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()
    ]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def cluster(programs: Path, address: str = "") -> Iterator[str]:
    """The URL of a server that listens while the block runs: there, or on a socket of its own."""
    # Not below pytest's own folder, which none but root may enter.
    with tempfile.TemporaryDirectory(prefix="mailwitness-postgres-") as folder:
        yield from _cluster(programs, Path(folder), address)


def _cluster(programs: Path, folder: Path, address: str) -> Iterator[str]:
    data, user = folder / "data", None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "postgres"
        shutil.chown(folder, user)
    options = f"-c listen_addresses={address} -c unix_socket_directories={folder} -c fsync=off"
    _run(programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", user=user)
    if address:
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all tests samenet trust\n")
    server = (programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log")
    _run(*server, "-o", options, "start", user=user)
    try:
        yield f"postgresql://tests@{address}/postgres{'' if address else f'?host={folder}'}"
    finally:
        _run(*server, "-m", "immediate", "stop", user=user)


def _run(*argv: str | Path, user: str | None) -> None:
    done = subprocess.run(
        argv, user=user, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/"
    )
    assert done.returncode == 0, done.stderr.decode()
