"""By which address a host should speak to a listener of its own."""

import ipaddress
import socket


def local_address(bound: str, public: str) -> str:
    """The address at which a listener gives its clients' answers.

    A socket that is bound to one address has no other. For one that is bound to all of them
    it is the address that clients use, where that is the host's own: daemons can be told to
    answer differently by address (Dovecot's `local` blocks). Else it is loopback.
    """
    if not ipaddress.ip_address(bound).is_unspecified:
        return bound
    families = (socket.AF_INET,) if bound == "0.0.0.0" else (socket.AF_INET6, socket.AF_INET)  # noqa: S104
    for family in families:
        address = _own(public, family)
        if address is not None:
            return address
    return "127.0.0.1" if bound == "0.0.0.0" else "::1"  # noqa: S104


def _own(name: str, family: socket.AddressFamily) -> "str | None":
    """The address of `name` in that family where it is one of this host's own."""
    try:
        ((*_, (address, *_)), *_) = socket.getaddrinfo(name, 0, family, socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))  # refused unless the address is local
    except (OSError, ValueError):
        return None
    return str(address)
