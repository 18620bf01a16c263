"""What changed between two runs, in each of the formats that `diff` can print."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence

from mailwitness.report.markdown import code
from mailwitness.report.text import printable
from mailwitness.store.compare import Change
from mailwitness.store.history import SavedRun

SCHEMA = "mailwitness/changes/1"
Render = Callable[[SavedRun, SavedRun, Sequence[Change]], str]


def _text(before: SavedRun, after: SavedRun, changes: Sequence[Change]) -> str:
    """The bad first."""
    title = _title(before, after)
    if not changes:
        return f"{title}: nothing has changed\n"
    lines = [f"{title}: {len(changes)} changes", ""]
    for each in changes:
        what = f"{_what(each)}: " if each.check else ""
        hence = f" (follows from {', '.join(each.causes)})" if each.causes else ""
        lines.append(printable(f"{each.kind:9}  {_where(each)}: {what}{each.detail}{hence}"))
    return "\n".join(lines) + "\n"


def _markdown(before: SavedRun, after: SavedRun, changes: Sequence[Change]) -> str:
    lines = [f"# {_title(before, after)}", ""]
    if not changes:
        lines.append("Nothing has changed.")
    for each in changes:
        what = f" {code(_what(each))}:" if each.check else ""
        hence = f" (follows from {', '.join(map(code, each.causes))})" if each.causes else ""
        lines.append(f"- **{each.kind}** {code(_where(each))}:{what} {code(each.detail)}{hence}")
    return "\n".join(lines) + "\n"


def _json(before: SavedRun, after: SavedRun, changes: Sequence[Change]) -> str:
    found = {
        "schema": SCHEMA,
        "before": {"run": before.id, "started_at": before.started_at},
        "after": {"run": after.id, "started_at": after.started_at},
        "changes": [dataclasses.asdict(each) for each in changes],
    }
    return json.dumps(found, indent=1) + "\n"


def _title(before: SavedRun, after: SavedRun) -> str:
    return f"run {before.id} ({before.started_at}) to run {after.id} ({after.started_at})"


def _where(change: Change) -> str:
    return " ".join(filter(None, (change.host, change.endpoint)))


def _what(change: Change) -> str:
    return " ".join(filter(None, (change.check, change.severity and f"({change.severity})")))


FORMATS: Mapping[str, Render] = {"text": _text, "json": _json, "markdown": _markdown}
