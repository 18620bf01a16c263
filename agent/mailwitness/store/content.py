"""A document apart: what stays the same from run to run, and what changes every time.

Evidence carries when it was taken, how long that took, and counters of the packet filter. Stored
with them, no document would ever equal the one of the night before; apart from them nearly every
one does, and is stored once.
"""

import re

# Stands where a changing value was taken out. No JSON text holds it.
_GAP = b"\0"
_MOMENT, _NUMBER = rb'("[^"\\]*")', rb"([-+.0-9eE]+)"
# What stands before a value, and the value. Each begins with a text that is rare: that is sought
# by the speed of memory, where one pattern for all of them would try at every quote.
_CHANGING = tuple(
    map(
        re.compile,
        (
            rb'"observed_at":' + _MOMENT,
            rb'"started_at":' + _MOMENT,
            rb'"at":' + _MOMENT,
            rb'"seconds":' + _NUMBER,
            rb'"milliseconds":' + _NUMBER,
            # nft, nft -j inside a JSON text, iptables-save -c
            rb"packets ([0-9]+ bytes [0-9]+)",
            rb'\\"packets\\": ([0-9]+, \\"bytes\\": [0-9]+)',
            rb"\[([0-9]+:[0-9]+)(?=\])",
        ),
    )
)


def split(content: bytes) -> tuple[bytes, bytes]:
    """The lasting part and the changing part of `content`; `join` makes it again, byte for byte."""
    if _GAP in content:  # not JSON: kept as it is
        return content, b""
    lasting: list[bytes] = []
    values: list[bytes] = []
    end = 0
    for start, stop in sorted(
        value.span(1) for pattern in _CHANGING for value in pattern.finditer(content)
    ):
        if start >= end:  # else it is a part of the one before
            lasting += (content[end:start], _GAP)
            values.append(content[start:stop])
            end = stop
    return b"".join((*lasting, content[end:])), _GAP.join(values)


def join(lasting: bytes, changing: bytes) -> bytes:
    """What was split."""
    if not changing:
        return lasting
    parts = lasting.split(_GAP)
    values = changing.split(_GAP)
    return b"".join(b"".join(pair) for pair in zip(parts, [*values, b""], strict=True))
