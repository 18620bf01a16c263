"""The answers of `runs`, `history`, `diff` and `trend` as text for a terminal."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from mailwitness.report.text import printable
from mailwitness.store.compare import LOST
from mailwitness.store.history import LEVELS, HostRun, SavedRun


def runs(saved: Sequence[SavedRun]) -> str:
    """A line for each run."""
    heads = ("run", "started", "controller", "hosts", *LEVELS, "policies")
    return _table(
        heads,
        (
            (
                run.id,
                run.started_at,
                run.controller,
                run.report["summary"]["hosts"],
                *(run.failed.get(level, 0) for level in LEVELS),
                ", ".join(run.report["policies"]),
            )
            for run in saved
        ),
    )


def history(host: Sequence[HostRun]) -> str:
    """A line for each run that had the host."""
    heads = ("run", "started", "status", *LEVELS, "not assessed", "agent s")
    return _table(
        heads,
        (
            (
                each.run,
                each.started_at,
                each.status,
                *(each.failed[level] for level in LEVELS),
                each.not_assessed,
                "-" if each.seconds is None else f"{each.seconds:.1f}",
            )
            for each in host
        ),
    )


def trend(saved: Sequence[SavedRun]) -> str:
    """A line for each run: failed findings, and how the serious ones moved since the run before.

    That is the one before of the same controller.
    """
    rows = []
    before: dict[str, int] = {}
    for run in saved:
        serious = sum(run.failed.get(level, 0) for level in ("critical", "high"))
        moved = f"{serious - before[run.controller]:+d}" if run.controller in before else ""
        before[run.controller] = serious
        lost = sum(run.report["summary"]["by_status"].get(status, 0) for status in LOST)
        counts = (run.failed.get(level, 0) for level in LEVELS)
        hosts = run.report["summary"]["hosts"]
        rows.append((run.started_at, run.controller, hosts, lost, *counts, serious, moved))
    heads = ("started", "controller", "hosts", "lost", *LEVELS, "critical+high", "change")
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    safe = [[printable(str(cell)) for cell in row] for row in rows]
    return tabulate(safe, heads, tablefmt="simple", disable_numparse=True) + "\n"
