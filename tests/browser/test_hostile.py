"""What a hostile host says, rendered: it is shown, and nothing of it happens."""

from pathlib import Path

import pytest

from tests.browser.conftest import Opener
from tests.browser.site import judged
from tests.report import hostile

pytestmark = pytest.mark.browser
_MORE = (
    "</title></style></textarea><script>document.title='owned'</script>",
    '"><svg onload=console.log(1)><a href="javascript:alert(1)">',
    "<iframe src=http://127.0.0.1:1/></iframe><link rel=stylesheet href=http://127.0.0.1:1/>",
    "<base href=http://127.0.0.1:1/><form action=http://127.0.0.1:1/><button autofocus>",
)


@pytest.mark.parametrize(
    "attack", [*hostile.ATTACKS.values(), *_MORE], ids=lambda attack: repr(attack[:20])
)
def test_it_is_shown_and_does_nothing(watched: Opener, tmp_path: Path, attack: str) -> None:
    evidence = hostile.evidence(tmp_path / "evidence", attack, "legacy")
    judged(tmp_path, evidence)
    window = watched(viewport={"width": 1280, "height": 900})
    for name in ("index.html", "hosts/legacy.html"):
        page = window.open(tmp_path / name)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert "mailwitness" in page.title()
        assert page.locator("script").count() == 1
        assert page.locator("iframe, img, base, body svg[onload]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    # What can be shown is; the evidence with a greeting of a million characters was refused.
    if attack.isprintable() and len(attack) < 1000:
        assert attack[:20] in (page.locator("body").text_content() or "")
