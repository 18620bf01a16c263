"""Which of the names that a configuration has certificates for answers to a client's SNI."""

import re
from collections.abc import Collection


def of_dovecot(block: str, asked: str) -> bool:
    """Whether a local_name block is for that name.

    Several names stand between white space; a wildcard is for one label, or a part of it.
    """
    return any(
        re.fullmatch(
            re.escape(name).replace(r"\*", "[^.]*").replace(r"\?", "."), asked, re.IGNORECASE
        )
        for name in block.split()
    )


def of_postfix(names: Collection[str], asked: str) -> str | None:
    """The entry of tls_server_sni_maps that is taken, as postconf(5) has it: the closest one."""
    labels = asked.lower().split(".")
    above = (f".{'.'.join(labels[first:])}" for first in range(1, len(labels)))
    return next((name for name in (".".join(labels), *above) if name in names), None)
