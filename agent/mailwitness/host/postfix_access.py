"""What Postfix's access tables say of client addresses, and what of their settings is secret."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import ClientRule, ClientTable
from mailwitness.evidence.missing import Missing
from mailwitness.host import command, files

# The lists that say who may come; each may name tables.
_LISTS = ("mynetworks", "postscreen_access_list", "smtpd_client_restrictions")
# DATABASE_README: those that postmap(1) reads out, and those that are read as they are.
_INDEXED = ("btree", "cdb", "dbm", "hash", "lmdb", "texthash")
_IN_ORDER = "cidr"
_THROUGH = "proxy:"  # by another process, to the same table
_FILE = re.compile(rf"(?:{_THROUGH})?[a-z]+:/.*", re.DOTALL)
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*", re.ASCII)
_WORD = re.compile(r"\w{1,40}", re.ASCII)
_MAX_RULES = 100_000
_MAX_BYTES = 8 * 1024 * 1024
# A list of DNS that is paid for has a customer's key in its name.
_DNS_LIST = re.compile(r"((?:permit|reject)_(?:dnswl|rbl|rhsbl|rhswl)\w*[\s,]+)[^\s,]+")
_HIDDEN = "(hidden)"


def without_keys(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with no name of a list that DNS is asked for."""
    return {
        name: _HIDDEN
        if name == "postscreen_dnsbl_sites" and value
        else _DNS_LIST.sub(rf"\1{_HIDDEN}", value)
        for name, value in settings.items()
    }


def split(text: str) -> list[str]:
    """A list of Postfix: words between commas and blanks, and what braces hold together."""
    words = [""]
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth <= 0 and character in ", \t\n":
            words.append("")
        else:
            words[-1] += character
    return [word for word in words if word]


def tables_named(settings: Mapping[str, str]) -> Iterator[str]:
    """The tables in files that say who may come, as `type:path`."""
    for name in _LISTS:
        yield from filter(_FILE.fullmatch, split(settings.get(name, "")))


def client_table(directory: str, name: str) -> Union[ClientTable, Missing]:
    """What the table `type:path` says of addresses; `directory`: main.cf's."""
    kind, _, path = name.removeprefix(_THROUGH).partition(":")
    if kind == _IN_ORDER:
        content = files.read(Path(path), _MAX_BYTES)
        if isinstance(content, Missing):
            return Missing(content.reason)
        lines = [line.split(maxsplit=1) for line in _logical(content.text)]
        return _bounded([(line[0], "".join(line[1:])) for line in lines], 0)
    if kind in _INDEXED:
        listed = command.run(("postmap", "-c", directory, "-s", f"{kind}:{path}"))
        if isinstance(listed, Missing):
            return listed
        entries = [line.partition("\t")[::2] for line in listed.splitlines()]
        of_addresses = [entry for entry in entries if _ADDRESS.fullmatch(entry[0])]
        return _bounded(of_addresses, len(entries) - len(of_addresses))
    return Missing(f"{name}: tables of this kind are not looked into")


def _logical(text: str) -> Iterator[str]:
    """cidr_table(5): no empty lines and comments, and white space goes on with the line before."""
    line = ""
    for physical in text.splitlines():
        if not physical.strip() or physical.lstrip().startswith("#"):
            continue
        if physical[0].isspace() and line:
            line += physical
        else:
            if line:
                yield line
            line = physical
    if line.strip():
        yield line


def _bounded(entries: list[tuple[str, str]], others: int) -> Union[ClientTable, Missing]:
    if len(entries) > _MAX_RULES:
        return Missing(f"a table of more than {_MAX_RULES} entries")
    return ClientTable(tuple(ClientRule(key, _action(said)) for key, said in entries), others)


def _action(said: str) -> str:
    """Its first word, or the network that an `if` asks for; what comes after may be anything."""
    word = "".join(said.split(maxsplit=1)[:1])
    network = word.lstrip("!").partition("/")[0]
    return word if _WORD.fullmatch(word) or _ADDRESS.fullmatch(network) else ""
