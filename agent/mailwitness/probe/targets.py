"""What to look at."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailwitness.evidence.codec import EvidenceError, Port, decode


@dataclass(frozen=True)
class Target:
    """A host to look at: every address of `target`, each of `ports`, each of `names` by SNI."""

    host: str  # the inventory name, for the evidence
    target: str  # a name or an address
    names: tuple[str, ...]
    ports: tuple[Port, ...]


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
        except ValueError as error:
            if isinstance(error, EvidenceError):
                raise
            raise EvidenceError(f"line {number}", f"not JSON: {error}") from None
        yield target
