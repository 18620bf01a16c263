"""What doveconf(1) prints: blocks within blocks, and settings."""

import re
from collections.abc import Iterator
from typing import Optional

# A header may hold a brace of its own: unix_listener "srv.imap-login/%{pid}" {
_BLOCK = re.compile(r"(?P<name>(?!\S+ =)\S.*?)\s*\{")


def walk(text: str) -> Iterator[tuple[tuple[str, ...], str, Optional[str]]]:
    """The headers of the blocks around it, outermost first, then a setting's name and its value.

    None in place of a value: a block of that header begins.
    """
    blocks: list[str] = []
    for line in map(str.strip, text.splitlines()):
        header = _BLOCK.fullmatch(line)
        if header:
            yield tuple(blocks), header["name"], None
            blocks.append(header["name"])
        elif line == "}" and blocks:
            blocks.pop()
        elif " =" in line and not line.startswith("#"):
            name, _, value = line.partition(" =")
            yield tuple(blocks), name, value.strip()
