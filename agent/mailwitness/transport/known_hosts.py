"""The keys by which hosts are known, in files as OpenSSH keeps them."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry

_SYSTEM = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


def file_of_new(files: Sequence[str]) -> str:
    """Where a key would be written that is not known yet."""
    return next(iter(files), _SYSTEM[0])


def keys(host: str, port: int, files: Sequence[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """The host's keys with the name by which it is known, of these files or of the system's.

    A fleet's file has a line for each host: paramiko would parse all of them for each.
    """
    name = host if port == paramiko.config.SSH_PORT else f"[{host}]:{port}"
    for file in files or _SYSTEM:
        with contextlib.suppress(FileNotFoundError):
            named, hashed = _lines(Path(file).expanduser().read_text("utf-8", "replace"))
            its = [line for of, line in hashed if paramiko.HostKeys.hash_host(name, of) == of]
            for line in (*named.get(name, ()), *its):
                if entry := HostKeyEntry.from_line(line):
                    yield name, entry.key


@lru_cache(maxsize=16)
def _lines(content: str) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Lines by the name that they are for, and those whose name is hashed, with that."""
    named: dict[str, list[str]] = {}
    hashed = []
    for each in content.splitlines():
        line = each.strip()
        names = line.split(maxsplit=1)[0] if line else "#"
        if names.startswith("|"):
            hashed.append((names, line))
        elif not names.startswith("#"):
            for name in names.split(","):
                named.setdefault(name, []).append(line)
    return named, hashed
