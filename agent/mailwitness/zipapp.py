"""Builds mailwitness-agent.pyz, the one file that ships to hosts: equal sources, equal bytes."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import mailwitness

NAME = "mailwitness-agent.pyz"

# What ships, relative to the package; tests hold it against the import contract.
SHIPPED = ("__init__.py", "agent.py", "evidence", "host", "probe")

_SHEBANG = b"#!/usr/bin/env python3\n"

# The first lines that run on a host. They must parse on any Python, and answer in JSON on
# one that is too old, since whoever called reads JSON.
_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.stdout.write(
        '{"schema": "mailwitness/failure/1", "host": "", "kind": "failed", "reason": "Python '
        + ".".join(map(str, sys.version_info[:3]))
        + ' is too old: mailwitness-agent needs 3.9 or newer (set ansible_python_interpreter)", '
        '"at": ""}\\n'
    )
    sys.exit(0)

from mailwitness.agent import main

sys.exit(main())
"""

# The oldest date that a zip archive can hold: a build has no time of its own.
_DATE = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o100644 << 16


@dataclass(frozen=True)
class Zipapp:
    """The archive and its name for the hosts: the SHA-256 of its bytes."""

    content: bytes
    sha256: str


def build() -> Zipapp:
    """The zipapp of the package that this Python imports, made in memory."""
    root = Path(mailwitness.__file__).parent
    files = {"__main__.py": _MAIN.encode("ascii")}
    for name in SHIPPED:
        path = root / name
        for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
            inside = Path("mailwitness", source.relative_to(root))
            files[inside.as_posix()] = source.read_bytes()
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = _READABLE
            entry.create_system = 3  # Unix, wherever it is built
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, 9)
    return _named(buffer.getvalue())


def read(path: Path) -> Zipapp:
    """The one that lies in `path`."""
    return _named(path.read_bytes())


def _named(content: bytes) -> Zipapp:
    return Zipapp(content, hashlib.sha256(content).hexdigest())


def write(path: Path) -> Zipapp:
    """Build into `path`, which is left alone where it already holds the same bytes."""
    built = build()
    if not path.is_file() or path.read_bytes() != built.content:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(built.content)
        unfinished.chmod(0o755)
        unfinished.replace(path)
    return built
