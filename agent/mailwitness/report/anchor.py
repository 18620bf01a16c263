"""Names of the places in a page and of pages: stable from run to run, so that links keep."""

import hashlib
import re
from functools import lru_cache

_LONGEST = 60


@lru_cache(maxsize=1024)  # a page names its host again and again
def anchor(name: str) -> str:
    """A name for addresses and files; a name that has to be changed for it stays unique."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:_LONGEST]
    if plain == name:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}".lstrip("-")


def host_anchor(name: str) -> str:
    """The section of a host."""
    return f"host-{anchor(name)}"


def finding_anchor(host: str, check: str, endpoint: str | None) -> str:
    """One check's findings of a host, or its finding about one endpoint."""
    return "_".join([host_anchor(host), check, *([endpoint.replace(":", "-")] if endpoint else [])])
