"""Whatever a host or a server says, a report does nothing but show it, in every format."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from sarif_pydantic import Sarif

from mailwitness import cli
from mailwitness.report.interface import all_formats
from tests.lab.audit import RECORDED
from tests.report import hostile
from tests.report.metrics import metric_families


class Page(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


def html(text: str) -> None:
    page = Page(text)
    assert page.tags.isdisjoint({"img", "iframe", "object"})
    # The page's own script, which its policy allows by its digest, is the only one.
    assert text.lower().count("<script") == 1
    assert not any(attribute.startswith("on") for attribute in page.attributes)
    assert str(1234 * 9876) not in text


def terminal(text: str) -> None:
    assert max(map(len, text.splitlines())) <= 100


def spreadsheet(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in rows:
        assert not any(
            cell.lstrip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20")) for cell in row
        )


def ticket(text: str) -> None:
    page = Page(MarkdownIt("gfm-like", {"linkify": False}).render(text))
    assert page.tags <= {"h1", "h2", "h3", "p", "ul", "li", "code", "pre", "strong"}
    assert not page.attributes
    assert not re.search(r"^# owned", text, re.MULTILINE) or "\n# owned" in fenced(text)


def fenced(text: str) -> str:
    tokens = MarkdownIt("commonmark").parse(text)
    return "".join(f"\n{token.content}" for token in tokens if token.type == "fence")


def ci(text: str) -> None:
    suites = JUnitXml.fromstring(text.encode())
    assert suites.tests is not None
    assert "<!DOCTYPE" not in text


def dashboard(text: str) -> None:
    for run in Sarif.model_validate_json(text).runs:
        for result in run.results or ():
            # §3.11.6: a link in a message.
            assert not re.search(r"(?<!\\)\](?=\()", result.message.text or "")


def metrics(text: str) -> None:
    families = {family.name for family in metric_families(text)}
    assert all(name.startswith("mailwitness_") for name in families)


def data(text: str) -> None:
    json.loads(text)
    assert text.isascii()


HARMLESS: dict[str, Callable[[str], None]] = {
    "csv": spreadsheet,
    "html": html,
    "json": data,
    "junit": ci,
    "markdown": ticket,
    "openmetrics": metrics,
    "sarif": dashboard,
    "text": terminal,
}


@pytest.fixture(scope="module", params=[*hostile.ATTACKS.values()], ids=[*hostile.ATTACKS])
def report(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hostile")
    evidence = hostile.evidence(folder / "evidence", request.param, "legacy", "good")
    done = cli.main(["judge", str(evidence), "--output", str(folder), "--fail-on", "never"])
    assert done == cli.OK
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


@pytest.mark.parametrize("name", all_formats())
def test_hostile_text_is_harmless(report: dict[str, Any], name: str) -> None:
    text = all_formats()[name].render(report)
    HARMLESS[name](text)
    assert len(text) < 10_000_000
    for sign in set(text) - set("\r\n\t"):
        assert unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co"), repr(sign)


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    cli.main(["judge", str(RECORDED), "--output", str(tmp_path)])
    html = (tmp_path / "index.html").read_text()
    assert "default-src 'none'" in unescape(html)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)""", html)
    assert html.lstrip().startswith("<!doctype html>")
