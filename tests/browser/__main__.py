"""``python -m tests.browser``: draw the pictures of docs/screenshots anew."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.site import judged, launched
from tests.lab.audit import ROOT

PICTURES = ROOT / "docs" / "screenshots"
HEIGHT = 900


def draw(browser: Browser, file: Path, name: str, width: int, scheme: str) -> None:
    """One picture of what a reader sees first."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(file.as_uri())
    page.screenshot(path=PICTURES / name)
    context.close()


with tempfile.TemporaryDirectory() as folder, launched() as browser:
    site = judged(Path(folder))
    draw(browser, site / "index.html", "fleet-1280.png", 1280, "light")
    draw(browser, site / "index.html", "fleet-800-dark.png", 800, "dark")
    draw(browser, site / "index.html", "fleet-390.png", 390, "light")
    draw(browser, site / "hosts" / "stale.html", "host-1280.png", 1280, "light")
