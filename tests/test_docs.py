"""What is generated is current, and what the documents promise is there."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import GENERATED, PAGES, ROOT


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_documents_are_current(path: Path) -> None:
    make: Callable[[], str] = GENERATED[path]
    assert path.read_text() == make(), "run: make docs"


def test_no_page_is_of_a_check_that_is_gone() -> None:
    assert set(PAGES.glob("*.md")) <= set(GENERATED)


@pytest.mark.parametrize(
    "document", sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_ci_calls_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^apt-get update.*make \w+$", readme, re.MULTILINE)
    assert [command.rsplit(maxsplit=1)[1] for command in commands] == ["demo", "test"]
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("make test")
