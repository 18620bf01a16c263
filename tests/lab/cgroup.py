"""A control group of its own for each host: systemd in one would else clean up in the others."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

# Started as `sh -c ENTER sh GROUP… -- COMMAND…`: joins the groups, then becomes the command.
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


def make(name: str) -> list[str]:
    """The host's group in every hierarchy that systemd manages, version 1 and 2."""
    groups = [mount / name for mount in _hierarchies()]
    for group in groups:
        group.mkdir(exist_ok=True)
    return [str(group) for group in groups]


def members(name: str) -> set[int]:
    """The pids of whatever still runs of the host, also when its systemd-nspawn is gone."""
    pids: set[int] = set()
    for mount in _hierarchies():
        with contextlib.suppress(OSError):  # groups come and go as we look
            for file in (mount / name).rglob("cgroup.procs"):
                pids |= {int(pid) for pid in file.read_text().split()}
    return pids


def remove(name: str) -> None:
    """Take the host's groups away; the kernel keeps those that still hold a process."""
    for mount in _hierarchies():
        group = mount / name
        for folder in sorted(group.rglob("*/"), reverse=True):
            _remove(folder)
        _remove(group)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _hierarchies() -> Iterator[Path]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            yield Path(mount)
