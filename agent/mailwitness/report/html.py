"""One page that fetches nothing: the fleet, then each host with its findings and witnesses."""

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from mailwitness.policy.outcome import Outcome, Severity
from mailwitness.report.interface import Format
from mailwitness.report.text import printable


def _render(report: dict[str, Any]) -> str:
    return _template().render(
        report=report,
        severities=[level.value for level in Severity],
        outcomes=[outcome.value for outcome in Outcome],
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Direction marks and controls that a server sends may not rearrange the page either.
        finalize=lambda value: printable(value, keep="\n") if type(value) is str else value,
    )
    return environment.get_template("report.html.j2")


FORMAT = Format("html", "one self-contained page", _render)
