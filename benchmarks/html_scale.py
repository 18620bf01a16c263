"""How long a browser takes to open the fleet's page and to filter it, by the number of hosts.

    python -m benchmarks.html_scale [--hosts 200 1000 10000]

The hosts are copies of the lab's recorded ones. Goal: 1,000 hosts open and filter within a second.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from tests.browser.site import judged, launched

from mailwitness.report.html import fleet_page
from mailwitness.report.model import summary

_TIMES = 5
# From the first byte to where the page has been drawn, and from a key to where it is again.
_OPENED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
_FILTER = """async (word) => {
  const box = document.querySelector('#q'), drawn = () => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(done)));
  const begun = performance.now();
  box.value = word;
  box.dispatchEvent(new Event('input'));
  await drawn();
  return performance.now() - begun;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[200, 1000, 10_000])
    sizes = parser.parse_args().hosts
    with tempfile.TemporaryDirectory() as temporary, launched() as browser:
        folder = Path(temporary)
        recorded = json.loads((judged(folder / "recorded") / "report.json").read_text())
        for size in sizes:
            print(_measured(browser, folder / f"{size}.html", _fleet(recorded, size)), flush=True)


def _fleet(recorded: dict[str, Any], size: int) -> dict[str, Any]:
    likes = recorded["hosts"]
    hosts = [
        {**likes[number % len(likes)], "name": f"{likes[number % len(likes)]['name']}{number}"}
        for number in range(size)
    ]
    return {**recorded, "hosts": hosts, "summary": summary(hosts)}


def _measured(browser: Browser, file: Path, report: dict[str, Any]) -> str:
    begun = time.perf_counter()
    page = fleet_page(report)
    rendered = time.perf_counter() - begun
    file.write_text(page)
    opened, filtered = [], []
    for _ in range(_TIMES):
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        window.goto(file.as_uri())
        opened.append(window.evaluate(_OPENED))
        filtered.append(window.evaluate(_FILTER, "legacy"))
        window.close()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    open_ms, filter_ms = map(statistics.median, (opened, filtered))
    goal = "" if len(report["hosts"]) != 1000 else f", goal {_met(open_ms, filter_ms)}"
    return (
        f"{len(report['hosts']):6} hosts: rendered in {rendered:.1f} s, {len(page) / 1e6:.1f} MB; "
        f"opens in {open_ms:.0f} ms, filters in {filter_ms:.0f} ms{goal}; "
        f"{megabytes:.0f} MB at the peak here"
    )


def _met(*milliseconds: float) -> str:
    return "met" if max(milliseconds) <= 1000 else "missed"


if __name__ == "__main__":
    main()
