"""What could not be learnt, as a type of its own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Missing:
    """Stands where a fact would stand, and says why it is not there.

    It is never an empty list, a default or a guess: a check over it is not assessed.
    JSON form: ``{"missing": "postconf: not permitted"}``.
    """

    reason: str
