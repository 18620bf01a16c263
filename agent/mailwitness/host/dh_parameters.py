"""The size of Diffie-Hellman parameters in files: a security level may bar it."""

import base64
import binascii
import re
from pathlib import Path
from typing import Union

from mailwitness.evidence.missing import Missing
from mailwitness.host import files

_MAX_BYTES = 64 * 1024
_BLOCK = re.compile(
    r"-----BEGIN (?:X9\.42 )?DH PARAMETERS-----([A-Za-z0-9+/=\s]+)-----END", re.ASCII
)
_SEQUENCE, _INTEGER = 0x30, 0x02  # X.690 §8.9, §8.3
_LONG = 0x80  # X.690 §8.1.3.5: how many octets of length follow


def dh_bits(path: str) -> Union[int, Missing]:
    """The bits of the prime; RFC 2631 and PKCS #3 have it first in their sequence."""
    found = files.read(Path(path), _MAX_BYTES)
    if isinstance(found, Missing):
        return Missing(found.reason)
    block = _BLOCK.search(found.text)
    if block is None:
        return Missing(f"{path}: no DH parameters in PEM")
    try:
        sequence = _content(base64.b64decode(block[1]), _SEQUENCE)
        return int.from_bytes(_content(sequence, _INTEGER), "big").bit_length()
    except (binascii.Error, IndexError, ValueError):
        return Missing(f"{path}: DH parameters that cannot be read")


def _content(der: bytes, tag: int) -> bytes:
    """Of the element at the beginning.

    Raises:
        IndexError: it ends too early.
        ValueError: it is another element, or longer than what there is.
    """
    if der[0] != tag:
        raise ValueError("another element")
    start, length = 2, der[1]
    if length >= _LONG:
        start += length - _LONG
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise ValueError("it breaks off")
    return der[start : start + length]
