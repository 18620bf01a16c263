"""Dovecot's databases of passwords, as far as they say from where users may log in: allow_nets."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Union

from mailwitness.evidence.host import Passdb
from mailwitness.evidence.missing import Missing
from mailwitness.host import files
from mailwitness.host.doveconf import walk

_NETS = "allow_nets"
_NAMED = re.compile(r"\ballow_(?:real_)?nets\b")
_OF_USER = re.compile(r"^[^#\n].*\ballow_(?:real_)?nets=", re.MULTILINE)
_ALL_COLUMNS = re.compile(r"\bselect\s+\*", re.IGNORECASE)
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_WITHOUT_FIELDS = ("bsdauth", "pam", "passwd", "shadow", "static")
_ASKING = ("ldap", "sql")  # users have the fields that a query asks for
_WITH_PASSWORD = {"PLAIN", "LOGIN"}
_MAX_BYTES = 16 * 1024 * 1024


@dataclass
class _Block:
    """One passdb, as doveconf -n writes it: what is not the default."""

    name: str  # from 2.4 on
    around: tuple[str, ...]  # the headers of the blocks that it stands in
    inside: tuple[str, ...]  # and its own
    settings: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)  # from 2.4 on


def passdbs(changed: str) -> Union[tuple[Passdb, ...], Missing]:
    """Those that users with passwords are looked for in; `changed`: what doveconf -n prints.

    Their settings may hold secrets, and stay in this process.
    """
    if re.search(r"^passdb_fields\b", changed, re.MULTILINE):
        return Missing("passdb_fields outside of all passdb blocks: not looked into")
    found = []
    for block in _blocks(changed):
        settings = block.settings
        mechanisms = settings.get("mechanisms") or settings.get("mechanisms_filter") or ""
        asked = set(mechanisms.upper().replace(",", " ").split())
        if "yes" in (settings.get("deny"), settings.get("master")) or (
            asked and not asked & _WITH_PASSWORD
        ):
            continue
        kind, _, protocol = "".join(block.around).partition(" ")
        if block.around and (kind != "protocol" or len(block.around) > 1):
            return Missing(f"a passdb inside {' '.join(block.around)!a}: not looked into")
        found.append(_passdb(block, protocol or None))
    return tuple(found)


def _blocks(changed: str) -> list[_Block]:
    """Up to 2.3 they have no names: each header begins another one."""
    found: list[_Block] = []
    for blocks, name, value in walk(changed):
        kind, _, its_name = name.partition(" ")
        if value is None and kind == "passdb":
            found.append(_Block(its_name, blocks, (*blocks, name)))
        elif value is not None and found:
            block, depth = found[-1], len(found[-1].inside)
            if blocks[:depth] == block.inside:
                kept = block.fields if blocks[depth:] == ("fields",) else block.settings
                kept[name] = value
    return found


def _passdb(block: _Block, protocol: Optional[str]) -> Passdb:
    driver = block.settings.get("driver") or block.name
    every = _fields(block.settings.get("override_fields", ""))
    usual = block.fields or _fields(block.settings.get("default_fields", ""))
    if driver == "static":
        usual = {**usual, **_fields(block.settings.get("args", ""))}
    own_nets = _own_nets(driver, block)
    if "%" in usual.get(_NETS, "") or "allow_real_nets" in {**usual, **every}:
        own_nets = True
    if "%" in every.get(_NETS, ""):
        return Passdb(driver, protocol, None, None, own_nets=True)
    return Passdb(driver, protocol, every.get(_NETS), usual.get(_NETS), own_nets)


def _fields(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name.partition(":")[0]: value for name, _, value in pairs}


def _own_nets(driver: str, block: _Block) -> Union[bool, Missing]:
    if driver in _WITHOUT_FIELDS:
        return False
    arguments = "".join(block.settings.get("args", "").split()[-1:])
    if driver == "passwd-file":
        text = _text(block.settings.get("passwd_file_path") or arguments)
        return text if isinstance(text, Missing) else bool(_OF_USER.search(text))
    if driver in _ASKING:
        # Up to 2.3 the queries stand in a file of their own.
        inline = "\n".join(f"{name} = {value}" for name, value in block.settings.items())
        text = _text(arguments) if arguments else inline
        if isinstance(text, Missing):
            return text
        asked = _COMMENT.sub("", text)
        if not arguments and "query" not in asked and driver == "sql":
            return Missing("its query stands outside of the passdb block")
        if _ALL_COLUMNS.search(asked):
            return Missing("its query asks for all columns")
        return bool(_NAMED.search(asked))
    return Missing(f"what the driver {driver!a} answers is not looked into")


def _text(path: str) -> Union[str, Missing]:
    if "%" in path:
        return Missing("its file hangs on the user")
    content = files.read(Path(path), _MAX_BYTES)
    return Missing(content.reason) if isinstance(content, Missing) else content.text
