"""Pages opened in a real Chromium, and watched."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site import judged, launched, unavailable


@dataclass
class Watched:
    """A page, and all that it must not do."""

    page: Page
    requests: list[str] = field(default_factory=list)  # beyond that for the page itself
    complaints: list[str] = field(default_factory=list)  # on the console, thrown, asked

    def open(self, file: Path, state: str = "") -> Page:
        self.page.goto(file.as_uri() + state)
        return self.page

    def watch(self) -> None:
        main = self.page.main_frame
        self.page.on(
            "request",
            lambda asked: (
                None
                if asked.is_navigation_request() and asked.frame == main
                else self.requests.append(asked.url)
            ),
        )
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """For this folder alone, since it leaves an event loop running; in CI it must be there."""
    reason = unavailable()
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the fleet's page."""
    return judged(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="package")
def fleet(site: Path) -> Path:
    return site / "index.html"


Opener = Callable[..., Watched]


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Opener]:
    """Opens windows; in the end none may have fetched or complained of anything."""
    opened: list[Watched] = []

    def window(**options: object) -> Watched:
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        found = Watched(context.new_page())
        found.watch()
        opened.append(found)
        return found

    yield window
    for each in opened:
        each.page.context.close()
        assert not each.requests
        assert not each.complaints


@pytest.fixture
def page(watched: Opener, fleet: Path) -> Page:
    """The fleet's page in a window of the usual size."""
    return watched().open(fleet)
