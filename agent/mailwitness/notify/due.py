"""Who is due to be told something, by what the store knows they were told."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from mailwitness.notify.letters import Letter, contacts, letter
from mailwitness.store.history import History, SavedRun
from mailwitness.store.notices import Notices


def due(history: History, notices: Notices, run: SavedRun) -> Iterator[Letter]:
    """A letter for each contact for whom anything has changed up to the run.

    Whoever was told of a host that is in no inventory any more hears of its end, too.
    """
    after = history.report(run)
    told = notices.told(run.controller)
    runs = {each.id: each for each in history.runs()}

    @lru_cache(maxsize=1)  # nearly always all were told up to the same one
    def report(number: int | None) -> dict[str, Any] | None:
        return history.report(runs[number]) if number is not None else None

    for contact in dict.fromkeys([*contacts(after), *told]):
        found = letter(contact, report(told.get(contact)), after)
        if found:
            yield found
