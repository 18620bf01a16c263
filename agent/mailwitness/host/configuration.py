"""Where configuration files give the settings that are collected: file, line and block.

The values are asked of the products themselves; this tells an administrator where to look.
Only the names of settings that are collected anyway leave the host, and no value.
"""

import glob
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import Assignment, Configuration, ConfigurationFile
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import since_1970
from mailwitness.host import files

_MAX_BYTES = 1024 * 1024
_MAX_FILES = 100
_MAX_ASSIGNMENTS = 1000
_INCLUDE = re.compile(r"!include(?:_try)?\s+(?P<pattern>\S+)")
_HEADER = re.compile(r"(?P<header>[^#=]*?)\s*\{\s*")
_SETTING = re.compile(r"(?P<name>[A-Za-z0-9_/]+)\s*=")
_OPTION = re.compile(r"-o\s*\{?\s*(?P<name>[A-Za-z0-9_]+)\s*=")


def of_postfix(directory: str, names: Collection[str]) -> Configuration:
    """main.cf(5) and master(5): a line that begins with white space goes on with the one above."""
    both = (Path(directory, "main.cf"), Path(directory, "master.cf"))
    found: list[Assignment] = []
    for file, read in zip(both, (_main_cf, _master_cf)):
        lines = _lines(file)
        if isinstance(lines, Missing):
            return Configuration(_described(both), lines)
        found += (
            Assignment(name, str(file), number, block)
            for name, number, block in read(lines)
            if name in names
        )
    return _configuration(both, found)


def of_dovecot(file: str, names: Collection[str]) -> Configuration:
    """dovecot.conf and what it includes, in their order."""
    files: list[Path] = []
    found: list[Assignment] = []
    problem = _dovecot_file(Path(file), names, files, found)
    return (
        _configuration(files, found)
        if problem is None
        else Configuration(_described(files), problem)
    )


def _configuration(files: Collection[Path], found: list[Assignment]) -> Configuration:
    if len(found) > _MAX_ASSIGNMENTS:
        return Configuration(_described(files), Missing(f"more than {_MAX_ASSIGNMENTS} settings"))
    return Configuration(_described(files), tuple(found))


def described(file: Path) -> ConfigurationFile:
    """The file and when it was last written."""
    try:
        return ConfigurationFile(str(file), since_1970(file.stat().st_mtime))
    except (OSError, ValueError) as error:
        return ConfigurationFile(str(file), Missing(f"{file}: {getattr(error, 'strerror', error)}"))


def _described(files: Collection[Path]) -> tuple[ConfigurationFile, ...]:
    return tuple(described(file) for file in files)


def _lines(file: Path) -> Union[list[str], Missing]:
    found = files.read(file, _MAX_BYTES)
    return Missing(found.reason) if isinstance(found, Missing) else found.text.splitlines()


def _main_cf(lines: list[str]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for number, line in enumerate(lines, start=1):
        match = _SETTING.match(line)
        if match:
            yield match["name"], number, ()


def _master_cf(lines: list[str]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    block: tuple[str, ...] = ()
    for number, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        if not line[0].isspace():
            block = ("/".join(line.split()[:2]),)
        yield from ((match["name"], number, block) for match in _OPTION.finditer(line))


def _dovecot_file(
    file: Path, names: Collection[str], files: list[Path], found: list[Assignment]
) -> Union[Missing, None]:
    """What is in the way, if anything is; `files` and `found` grow."""
    lines = _lines(file)
    if isinstance(lines, Missing):
        return lines
    files.append(file)
    if len(files) > _MAX_FILES:
        return Missing(f"more than {_MAX_FILES} files are included")
    blocks: list[str] = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        include = _INCLUDE.match(line)
        header = _HEADER.match(line)
        setting = _SETTING.match(line)
        if include:
            for path in sorted(glob.glob(str(file.parent / include["pattern"]))):  # noqa: PTH207
                problem = _dovecot_file(Path(path), names, files, found)
                if problem is not None:
                    return problem
        elif setting:
            # `ssl_server { cert_file = … }` is the other way to write `ssl_server_cert_file = …`.
            prefix = "ssl_server_" if blocks[-1:] == ["ssl_server"] else ""
            name = prefix + setting["name"].replace("/", "_")
            if name in names:
                around = tuple(block for block in blocks if block != "ssl_server")
                found.append(Assignment(name, str(file), number, around))
        elif header and not line.startswith("#"):
            blocks.append(header["header"])
        elif line.startswith("}") and blocks:
            blocks.pop()
    return None
