"""Cases of checks: what was recorded on a lab host, with one thing about it changed.

``<check>/<case>.<outcome>.json``::

    {"host": "good",                recorded host
     "endpoint": "imaps:993",       absent for checks of the host
     "policy": "rfc",               absent for checks that are asked always
     "waivers": ["expired"],        that name the host, by what has become of them
     "change": {                    document, then the way to a value in it
       "host/postfix/settings/smtpd_tls_cert_file": "/none",
       "*/observations/993/session/versions/TLSv1/accepted": true}}

Documents are `plan`, `host` and one for each vantage by its name; `*` stands for all of these. A
part of the way picks an entry of a list by its port, version, server_name or path. A value
``{"recorded": WAY}`` is what the recording has there.
"""

import copy
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mailwitness.correlate.fleet import read
from mailwitness.correlate.host import Host
from mailwitness.evidence import folder
from mailwitness.policy.waiver import State, Waiver
from tests.lab.audit import RECORDED

DAY = datetime.date(2026, 1, 31)
HERE = Path(__file__).parent
_KEYS = ("port", "version", "server_name", "path")


@dataclass(frozen=True)
class Case:
    path: Path

    @property
    def check(self) -> str:
        return self.path.parent.name

    @property
    def outcome(self) -> str:
        return self.path.name.split(".")[1]

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path.read_text())
        return content

    @property
    def waivers(self) -> list[tuple[Waiver, State]]:
        waiver = Waiver(
            "tls-legacy-version", ("good",), (), None, "old scanners", "ops", DAY, "waivers.yml"
        )
        return [(waiver, state) for state in self.content.get("waivers", ())]

    def host(self, scratch: Path) -> Host:
        """The recorded host, changed; read from files as in a run."""
        name = self.content["host"]
        run = json.loads(folder.run_file(RECORDED).read_text())
        run["hosts"] = [host for host in run["hosts"] if host["name"] == name]
        vantages = run["vantages"]
        files: dict[str, Callable[[Path, str], Path]]
        files = {vantage: partial(folder.probe_file, vantage=vantage) for vantage in vantages}
        files["host"] = folder.host_file
        documents = {
            document: json.loads(file(RECORDED, name).read_text())
            for document, file in files.items()
        }
        for way, value in self.content.get("change", {}).items():
            if isinstance(value, dict) and value.keys() == {"recorded"}:
                document, *steps = value["recorded"].split("/")
                value = copy.deepcopy(_get(documents[document], steps))  # noqa: PLW2901
            document, *steps = way.split("/")
            chosen = vantages if document == "*" else [document]
            for one in chosen:
                _set(run["hosts"][0] if one == "plan" else documents[one], steps, value)
        (scratch / name).mkdir()
        folder.run_file(scratch).write_text(json.dumps(run))
        for document, file in files.items():
            file(scratch, name).write_text(json.dumps(documents[document]))
        (host,) = read(scratch).hosts
        return host


def _get(place: Any, steps: list[str]) -> Any:
    for step in steps:
        place = place[_index(place, step)]
    return place


def _set(place: Any, steps: list[str], value: Any) -> None:
    place = _get(place, steps[:-1])
    place[_index(place, steps[-1])] = value


def _index(place: Any, step: str) -> Any:
    if isinstance(place, dict):
        return step
    for number, entry in enumerate(place):
        if any(str(entry.get(key)) == step.replace("|", "/") for key in _KEYS if key in entry):
            return number
    raise KeyError(step)


CASES = [Case(path) for path in sorted(HERE.glob("*/*.json"))]
