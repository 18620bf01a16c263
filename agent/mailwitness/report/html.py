"""Pages that fetch nothing: the fleet with its hosts on one, and one for each host alone."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from mailwitness.policy.outcome import Severity, few
from mailwitness.report import facts, matrix, plots, worklist
from mailwitness.report.anchor import anchor, finding_anchor, host_anchor
from mailwitness.report.interface import LONGEST, Format
from mailwitness.report.spool import brief
from mailwitness.report.text import printable

# Beyond, a page takes a browser too long to open: with every host's section on it (1,000 hosts:
# 28 MB, four seconds), and with a cell for every host and requirement.
ONE_PAGE = 200
HEAT_MAP = 500

# Of each kind: what hosts of one fleet say is much the same.
_SHARED_ROWS = 10_000


def fleet_page(report: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> str:
    """The fleet; one of more than ONE_PAGE hosts leads to the hosts' own pages.

    `before`: the reports of earlier runs, the oldest first, for the trend; without their hosts.
    """
    apart = len(report["hosts"]) > ONE_PAGE
    shown = brief(report) if apart else {**report, "hosts": list(report["hosts"])}
    return _fleet(shown, before, apart=apart)


def host_page(name: str) -> str:
    """The file of a host's page, from the folder of the index."""
    return f"hosts/{anchor(name)}.html"


def prepare() -> None:
    """Make now what renders pages, for whoever forks before the first of them."""
    for name in _environment().list_templates(extensions=["j2"]):
        _template(name)


def one_host(report: dict[str, Any], host: dict[str, Any]) -> str:
    """The page of a host, which tells nothing of the others."""
    return _template("one_host.html.j2").render(report=report, host=host)


def _render(report: dict[str, Any]) -> str:
    """A report of one host is that host's page."""
    if len(report["hosts"]) == 1:
        return one_host(report, report["hosts"][0])
    return _fleet(report, (), apart=False)


def _fleet(report: dict[str, Any], before: Sequence[dict[str, Any]], *, apart: bool) -> str:
    requirements = matrix.requirements(report)
    standings = worklist.worst_first(worklist.standings(report))
    expiries = plots.expiries(report)
    return _template("fleet.html.j2").render(
        report=report,
        apart=apart,
        mapped=len(report["hosts"]) <= HEAT_MAP,
        standings=standings,
        hosts=[each.host for each in standings],
        jobs=worklist.jobs(standings),
        columns=[each for each in requirements if not each.settled],
        settled=[each for each in requirements if each.settled],
        offers=plots.versions(report),
        trend=plots.trend(before, report),
        expiries=expiries,
        timeline=plots.timeline(expiries),
    )


class _Pages(Environment):
    """Of reports, which are made of dicts: their keys are looked for first."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _template(name: str) -> Template:
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = _Pages(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        auto_reload=False,  # else every page looks whether the files have changed
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Direction marks and controls that a server sends may not rearrange the page either.
        finalize=_shown,
    )
    style, script = _own("page.css"), _own("page.js")
    environment.globals.update(
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        severities=[level.value for level in Severity],
        needs=[need.value for need in worklist.Need],
        standing=worklist.Standing,
        follows=worklist.follows,
        rest=worklist.rest,
        rank=worklist.rank,
        worst_words=matrix.worst_words,
        testimony=facts.testimony,
        coverage=plots.coverage,
        listed=partial(few, most=8),
        host_anchor=host_anchor,
        finding_anchor=finding_anchor,
        host_page=host_page,
    )
    rows: Any = environment.get_template("rows.html.j2").module
    environment.globals.update(
        fact_rows=partial(_all_rows, lru_cache(_SHARED_ROWS)(rows.fact_row)),
        answer_rows=partial(_all_rows, lru_cache(_SHARED_ROWS)(rows.answer_row)),
    )
    return environment


def _shown(value: Any) -> Any:
    if type(value) is not str or (value.isprintable() and len(value) <= LONGEST):
        return value  # as nearly all is, without one more call
    return printable(value, keep="\n")


def _all_rows(row: Callable[[Any], Markup], items: Iterable[Any]) -> Markup:
    return Markup("".join(map(row, items)))  # noqa: S704 - escaped by its macro, each of them


def _own(name: str) -> str:
    return resources.files(__package__ or "").joinpath("templates", name).read_text("utf-8")


def _digest(content: str) -> str:
    """What a content security policy allows one inline element by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


FORMAT = Format("html", "one self-contained page", _render)
