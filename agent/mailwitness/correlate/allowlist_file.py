"""Allowlists as the inventory and files state them: YAML, or one network a line."""

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mailwitness.evidence.run import Allowlist

MAX_BYTES = 16 * 1024 * 1024
_NAMES = frozenset({"name", "ports", "cidrs", "file", "exclusive", "source", "retrieved_at"})


class AllowlistError(ValueError):
    """A list that cannot be used; the message names the file and the entry in it."""


def read(path: Path) -> Mapping[str, Any]:
    """The entries of a file: a YAML mapping, or the `cidrs` of a plain list.

    Raises:
        AllowlistError: the file cannot be read, or is neither.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AllowlistError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise AllowlistError(f"{path}: longer than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AllowlistError(f"{path}: not UTF-8: {error}") from None
    if path.suffix not in (".yml", ".yaml"):
        return {"name": path.stem, "cidrs": _networks(_lines(text), str(path), "line")}
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AllowlistError(f"{path}: not YAML: {error}") from None
    if not isinstance(entries, Mapping):
        raise AllowlistError(f"{path}: a mapping with name and cidrs is expected")
    if "file" in entries:
        raise AllowlistError(f"{path}: file: a list's file cannot name another one")
    networks = _networks(enumerate(_items(entries, str(path)), start=1), str(path), "cidrs entry")
    return {"name": path.stem, **entries, "cidrs": networks}


def allowlist(
    entry: object, where: str, folder: Path, default_ports: Iterable[int] = ()
) -> Allowlist:
    """The list that an entry of the inventory stands for; its own words win over its file's.

    Args:
        entry: a mapping, of hostile content for all that is known here.
        where: what names the entry in messages.
        folder: where relative file names begin.
        default_ports: of a list that names none.

    Raises:
        AllowlistError: with the file and the entry that is wrong.
    """
    if not isinstance(entry, Mapping):
        raise AllowlistError(f"{where}: a mapping is expected, with name and cidrs or file")
    unknown = sorted(str(key) for key in entry.keys() - _NAMES)
    if unknown:
        raise AllowlistError(
            f"{where}: {unknown[0]!r} is not known; there are: {', '.join(sorted(_NAMES))}"
        )
    if ("file" in entry) == ("cidrs" in entry):
        raise AllowlistError(f"{where}: either file or cidrs is needed")
    if "file" in entry:
        path = folder / Path(str(entry["file"])).expanduser()
        stated = read(path)
        beyond = sorted(str(key) for key in stated.keys() - _NAMES)
        if beyond:
            raise AllowlistError(f"{path}: {beyond[0]!r} is not known")
        merged = {**stated, **entry}
        where = f"{where} ({path})"
    else:
        networks = enumerate(_items(entry, where), start=1)
        merged = {**entry, "cidrs": _networks(networks, where, "cidrs entry")}
    name = merged.get("name")
    if not isinstance(name, str) or not name:
        raise AllowlistError(f"{where}: name: a text is expected")
    exclusive = merged.get("exclusive", False)
    if not isinstance(exclusive, bool):
        raise AllowlistError(f"{where}: exclusive: true or false is expected")
    if not merged["cidrs"]:
        raise AllowlistError(f"{where}: the list has no networks; an empty list admits nobody")
    return Allowlist(
        name=str(name),
        ports=_ports(merged.get("ports"), where) or tuple(default_ports),
        cidrs=tuple(merged["cidrs"]),
        exclusive=exclusive,
        source=_text(merged.get("source")),
        retrieved_at=_text(merged.get("retrieved_at")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _items(entries: Mapping[str, Any], where: str) -> list[object]:
    cidrs = entries.get("cidrs")
    if not isinstance(cidrs, (list, tuple)):
        raise AllowlistError(f"{where}: cidrs: a list of networks is expected")
    return list(cidrs)


def _lines(text: str) -> Iterable[tuple[int, object]]:
    for number, line in enumerate(text.splitlines(), start=1):
        network = line.partition("#")[0].strip()
        if network:
            yield number, network


def _networks(items: Iterable[tuple[int, object]], where: str, unit: str) -> list[str]:
    found = []
    for number, item in items:
        try:
            found.append(str(ipaddress.ip_network(str(item).strip())))
        except ValueError as error:
            raise AllowlistError(f"{where}: {unit} {number}: {error}") from None
    return list(dict.fromkeys(found))


def _ports(value: object, where: str) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise AllowlistError(f"{where}: ports: a list of port numbers is expected")
    for number, port in enumerate(value, start=1):
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:  # noqa: PLR2004
            raise AllowlistError(f"{where}: ports entry {number}: {port!r} is no port")
    return tuple(map(int, value))  # Ansible's are of types of its own
