"""Whether an audit could begin by this inventory: what is wrong, all of it, before any contact."""

import difflib
from collections.abc import Callable, Iterator

from mailwitness.inventory.plan import (
    MAIL,
    InventoryError,
    Variables,
    account,
    planned_host,
    policies,
    waivers,
)
from mailwitness.inventory.way import way

# Those of roles/mailwitness/meta/argument_specs.yml, which the tests hold this against.
VARIABLES = frozenset(
    f"mailwitness_{name}"
    for name in (
        *("allowlists", "baseline", "contacts", "fail_on", "login", "names", "note", "output"),
        *("policies", "ports", "store", "sudo", "timeout", "trust_store", "waivers"),
    )
)
_OF_MAIL: tuple[Callable[[str, Variables], object], ...] = (
    planned_host,
    policies,
    waivers,
    account,
    way,
)


def problems(mail: dict[str, Variables], vantages: dict[str, Variables]) -> Iterator[str]:
    """A sentence for each."""
    if not mail:
        yield f"The inventory has no host in group '{MAIL}' to audit."
    for name, its in mail.items():
        yield from dict.fromkeys(_of(name, its, _OF_MAIL))  # two may stumble over the same
    for name, its in vantages.items():
        if name not in mail:
            yield from _of(name, its, (way,))


def _of(
    name: str, its: Variables, questions: tuple[Callable[[str, Variables], object], ...]
) -> Iterator[str]:
    for variable in its:
        if variable.startswith("mailwitness_") and variable not in VARIABLES:
            near = difflib.get_close_matches(variable, VARIABLES, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            yield str(InventoryError(name, f"{variable}: no such variable{meant}"))
    for question in questions:
        try:
            question(name, its)
        except InventoryError as error:
            yield str(error)
