"""A document apart: what stays the same from run to run, and what changes every time.

Evidence carries when it was taken, how long that took, and counters of the packet filter. Stored
with them, no document would ever equal the one of the night before; apart from them nearly every
one does, and is stored once.
"""

import re

# Stands where a changing value was taken out. No JSON text holds it.
_GAP = b"\0"
# What stands before a value, and the value. Each way begins with a letter of its own, by which
# the search skips most of a document.
_CHANGING = re.compile(
    rb"""
    ("(?:observed_at|started_at|at|seconds|milliseconds)":)("[^"\\]*"|[-+.0-9eE]+)
    # nft, nft -j inside a JSON text, iptables-save -c
    | (packets[ ])([0-9]+[ ]bytes[ ][0-9]+)
    | (\\"packets\\":[ ])([0-9]+,[ ]\\"bytes\\":[ ][0-9]+)
    | (\[)([0-9]+:[0-9]+)(?=\])
    """,
    re.VERBOSE,
)


def split(content: bytes) -> tuple[bytes, bytes]:
    """The lasting part and the changing part of `content`; `join` makes it again, byte for byte."""
    if _GAP in content:  # not JSON: kept as it is
        return content, b""
    values: list[bytes] = []

    def take(found: re.Match[bytes]) -> bytes:
        before, value = (part for part in found.groups() if part is not None)
        values.append(value)
        return before + _GAP

    lasting = _CHANGING.sub(take, content)
    return lasting, _GAP.join(values)


def join(lasting: bytes, changing: bytes) -> bytes:
    """What was split."""
    if not changing:
        return lasting
    parts = lasting.split(_GAP)
    values = changing.split(_GAP)
    return b"".join(b"".join(pair) for pair in zip(parts, [*values, b""], strict=True))
