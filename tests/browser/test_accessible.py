"""What axe-core says of the pages."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser
_BEARABLE = {"minor", "moderate"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "hosts/legacy.html"])
def test_no_serious_violation(watched: Opener, site: Path, name: str, scheme: str) -> None:
    page = watched(color_scheme=scheme).open(site / name)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = Axe().run(page).response
    assert found["passes"]
    serious = [
        f"{each['id']}: {node['html']}"
        for each in found["violations"]
        if each["impact"] not in _BEARABLE
        for node in each["nodes"]
    ]
    assert not serious
