"""What to look at."""

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from mailwitness.evidence.codec import EvidenceError, Port, decode

_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::([^:]*))?")
_HIGHEST = 65535


@dataclass(frozen=True)
class Account:
    """A test account, and which certificates may hear of it."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    # SHA-256, in lower-case hexadecimal, of certificates that are trusted whoever signed them.
    certificates: tuple[str, ...]
    trust_store: Optional[str] = field(repr=False)  # PEM of further CAs


class Target(NamedTuple):
    """A host to look at: every address of `target`, each of `ports`, each of `names` by SNI."""

    host: str  # the inventory name, for the evidence
    target: str  # a name or an address
    names: tuple[str, ...]
    ports: tuple[Port, ...]
    account: Optional[Account] = None  # to log in with, by the first of `names`


def fingerprint(text: str) -> str:
    """A SHA-256 as tools write it, with colons or without, as it is compared here.

    Raises:
        ValueError: it is none.
    """
    plain = text.replace(":", "").strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ValueError(f"{text[:80]!a} is no SHA-256 in hexadecimal")
    return plain


def read_targets(lines: Iterable[str]) -> Iterator[Target]:
    """One target for each line of JSON.

    Raises:
        EvidenceError: a line is none.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            target: Target = decode(Target, json.loads(line), f"line {number}")
        except RecursionError:
            raise EvidenceError(f"line {number}", "nested too deeply") from None
        except ValueError as error:
            if isinstance(error, EvidenceError):
                raise
            raise EvidenceError(f"line {number}", f"not JSON: {error}") from None
        yield target


def parse(text: str) -> tuple[str, Optional[int]]:
    """A name or an address, and the port that stands behind it or None.

    ``mail.example.com``, ``mail.example.com:993``, ``2001:db8::1``, ``[2001:db8::1]:993``.

    Raises:
        ValueError: it is none of these.
    """
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed:
        address, port = bracketed.groups()
        ipaddress.IPv6Address(address)
        return address, None if port is None else _port(port)
    if text.count(":") > 1:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ValueError(
                f"{text!a} is no address; with a port it is written [2001:db8::1]:993"
            ) from None
        return text, None
    host, colon, port = text.partition(":")
    if not host or any(sign.isspace() for sign in host):
        raise ValueError(f"{text!a} is neither a name nor an address")
    return host, _port(port) if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _HIGHEST):
        raise ValueError(f"{text!a} is not a port number from 1 to {_HIGHEST}")
    return int(text)
