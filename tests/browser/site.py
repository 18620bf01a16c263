"""The report of the recorded lab, and the machine's own Chromium to open it in."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from mailwitness import cli
from tests.lab.audit import RECORDED


def unavailable() -> str | None:
    """Why no browser can be had here."""
    return None if shutil.which("chromium") else "there is no Chromium on this machine"


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium without windows."""
    with sync_playwright() as playwright:
        # Its sandbox refuses to run as root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        yield browser
        browser.close()


def judged(output: Path, evidence: Path = RECORDED) -> Path:
    """`output` with the pages of the evidence in it."""
    cli.main(["judge", str(evidence), "--output", str(output), "--fail-on", "never"])
    return output
