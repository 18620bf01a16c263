"""By which address a host should speak to a listener of its own."""

import ipaddress
import socket
from collections.abc import Iterable

from mailwitness.evidence.missing import Missing
from mailwitness.host import command


def own_addresses(public: str) -> tuple[str, ...]:
    """The addresses of that name, or that address, which are this host's own.

    getent(1) asks as the system does, and can be ended where no name server answers.
    """
    if not public or public.startswith("-"):
        return ()
    try:
        found = [str(ipaddress.ip_address(public))]
    except ValueError:
        answer = command.run(("getent", "ahosts", public))
        if isinstance(answer, Missing):
            return ()
        found = [line.split(maxsplit=1)[0] for line in answer.splitlines() if line.strip()]
    return tuple(address for address in dict.fromkeys(found) if _is_own(address))


def local_address(bound: str, own: Iterable[str]) -> str:
    """The address at which a listener gives its clients' answers.

    A socket that is bound to one address has no other. For one that is bound to all of them
    it is the address that clients use, where that is the host's own: daemons can be told to
    answer differently by address (Dovecot's `local` blocks). Else it is loopback.
    """
    if not ipaddress.ip_address(bound).is_unspecified:
        return bound
    versions = (4,) if bound == "0.0.0.0" else (6, 4)  # noqa: S104
    for version in versions:
        for address in own:
            if ipaddress.ip_address(address).version == version:
                return address
    return "127.0.0.1" if bound == "0.0.0.0" else "::1"  # noqa: S104


def _is_own(address: str) -> bool:
    """Whether a socket can be bound to it."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True
