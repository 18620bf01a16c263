"""The server names that Postfix has certificates of their own for: tls_server_sni_maps."""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import ServerName
from mailwitness.evidence.missing import Missing
from mailwitness.host import command, files

# postconf(5): the first hold what `postmap -F` makes of files, the other the names of the files.
_INDEXED = ("btree", "cdb", "dbm", "hash", "lmdb")
_NAMING = ("texthash",)
_MAX_NAMES = 1000
_MAX_BYTES = 1024 * 1024
_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>[A-Z ]+)-----[A-Za-z0-9+/=\s]+-----END (?P=kind)-----", re.ASCII
)


def server_names(directory: str, maps: str) -> Union[tuple[ServerName, ...], Missing]:
    """The entries of these tables, sorted; of a name in several of them the first holds.

    The values hold private keys: they stay in this process, but for the certificates.
    """
    found: dict[str, ServerName] = {}
    for table in maps.replace(",", " ").split():
        kind = table.partition(":")[0]
        if kind not in (*_INDEXED, *_NAMING):
            return Missing(f"tls_server_sni_maps: tables of the kind {kind!a} are not looked into")
        listed = command.run(("postmap", "-c", directory, "-s", table))
        if isinstance(listed, Missing):
            return listed
        for line in listed.splitlines():
            name, _, value = line.partition("\t")
            if name.lower() not in found:
                its = _named(value) if kind in _NAMING else _decoded(value)
                found[name.lower()] = ServerName(name.lower(), _leaves(its))
            if len(found) > _MAX_NAMES:
                return Missing(f"tls_server_sni_maps: more than {_MAX_NAMES} names")
    return tuple(found[name] for name in sorted(found))


def _decoded(value: str) -> Union[str, Missing]:
    try:
        return base64.b64decode(value, validate=True).decode("ascii", "backslashreplace")
    except (binascii.Error, ValueError):
        return Missing("the value is not in base64: the table was not made by postmap -F")


def _named(value: str) -> Union[str, Missing]:
    """What the files hold, one after the other."""
    texts = []
    for path in value.replace(",", " ").split():
        content = files.read(Path(path), _MAX_BYTES)
        if isinstance(content, Missing):
            return Missing(content.reason)
        texts.append(content.text)
    return "\n".join(texts)


def _leaves(text: Union[str, Missing]) -> Union[tuple[str, ...], Missing]:
    """The certificates that come after a key: each chain begins with its key."""
    return text if isinstance(text, Missing) else tuple(_after_keys(text))


def _after_keys(text: str) -> Iterator[str]:
    after_key = False
    for block in _BLOCK.finditer(text):
        if after_key and block["kind"] == "CERTIFICATE":
            yield block.group() + "\n"
        after_key = block["kind"].endswith("PRIVATE KEY")
