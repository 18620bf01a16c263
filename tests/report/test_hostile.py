"""Whatever a host or a server says, a report does nothing but show it."""

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mailwitness import cli
from tests.lab.audit import RECORDED

ATTACKS = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\x1b]0;owned\x07\x1b[2J",
    "\u202egnp.exe",
    "'\" onmouseover=alert(1) {{ 1234*9876 }} {% raw %}",
    "x" * 1_000_000,
)


class Page(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


def poison(value: Any, attack: str) -> Any:
    """Every free text of a document, replaced."""
    if isinstance(value, dict):
        if value.keys() == {"missing"}:
            return {"missing": attack}
        return {key: _poisoned(key, item, attack) for key, item in value.items()}
    if isinstance(value, list):
        return [poison(item, attack) for item in value]
    return value


def _poisoned(key: str, value: Any, attack: str) -> Any:
    free = ("greeting", "proof", "detail", "kernel", "hostname", "name", "executable", "package")
    if isinstance(value, str) and key in free:
        return attack
    if key == "lines":
        return [*value, attack]
    if key == "settings" and all(isinstance(item, str) for item in value.values()):
        return {**value, "myhostname": attack}
    return poison(value, attack)


@pytest.mark.parametrize("attack", ATTACKS, ids=["html", "escapes", "bidi", "quotes", "long"])
def test_hostile_text_is_harmless_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: str
) -> None:
    evidence = tmp_path / "evidence"
    shutil.copytree(RECORDED, evidence)
    for name in ("legacy", "good"):
        for file in (evidence / name).iterdir():
            document = json.loads(file.read_text())
            file.write_text(json.dumps(poison(document, attack)))
    status = cli.main(["judge", str(evidence), "--output", str(tmp_path), "--fail-on", "never"])
    said = capsys.readouterr().out
    assert status == cli.OK
    for file in tmp_path.rglob("*.html"):
        _is_harmless(file.read_text(), said)
    assert max(map(len, said.splitlines())) <= 100


def _is_harmless(html: str, said: str) -> None:
    clean = Page()
    clean.feed(html)
    assert "\x1b" not in said + html
    assert "\u202e" not in said + html
    assert clean.tags.isdisjoint({"img", "iframe", "object"})
    # The page's own script, which its policy allows by its digest, is the only one.
    assert html.lower().count("<script") == 1
    assert not any(attribute.startswith("on") for attribute in clean.attributes)
    assert str(1234 * 9876) not in html
    assert len(html) < 10_000_000


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    cli.main(["judge", str(RECORDED), "--output", str(tmp_path)])
    html = (tmp_path / "index.html").read_text()
    assert "default-src 'none'" in unescape(html)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)""", html)
    assert html.lstrip().startswith("<!doctype html>")
