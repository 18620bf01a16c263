"""What kind of name a host is known by: one that clients may use, or an address."""

import ipaddress
import re
from collections.abc import Iterable

# A DNS name of at least two labels (RFC 1123 §2.1); the last one is not a number, so no address.
_DNS_NAME = re.compile(r"(?=.{1,253}\.?$)([\w]([\w-]{0,61}[\w])?\.)+(?!\d+\.?$)[\w-]{2,63}\.?")


def client_names(candidates: Iterable[str]) -> tuple[str, ...]:
    """The fully qualified DNS names among `candidates`: not addresses, not short aliases."""
    return tuple(dict.fromkeys(name for name in candidates if _DNS_NAME.fullmatch(name)))


def is_address(name: str) -> bool:
    """Whether a name is an IP address, which no TLS hello may ask for."""
    if ":" not in name and not name[-1:].isdigit():
        return False  # as nearly all are none, and to be told so by an exception takes longer
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
