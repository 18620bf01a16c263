"""The fleet's page as its readers use it."""

import re
import unicodedata
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from pypdf import PdfReader

from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser


def rows(page: Page) -> Locator:
    return page.locator(".hosts tbody tr:visible")


def names(page: Page) -> list[str]:
    return page.locator(".hosts tbody tr:visible th").all_inner_texts()


def folded(page: Page, selector: str) -> str:
    """The anchor of the first of them that is folded."""
    return f"#{page.locator(f'{selector}:not([open])').first.get_attribute('id')}"


def test_the_search_finds_hosts_and_stays_in_the_address(page: Page, watched: Opener) -> None:
    every = rows(page).count()
    page.get_by_role("searchbox").fill("legacy")
    expect(rows(page)).to_have_count(1)
    assert names(page) == ["legacy"]
    assert page.locator("#count").inner_text() == f"1 of {every} hosts"
    # Its section and its row of the heat map go with it.
    expect(page.locator("section.host:visible")).to_have_count(1)
    expect(page.locator(".heat tbody tr:visible")).to_have_count(1)
    again = watched()
    again.page.goto(page.url)
    assert names(again.page) == ["legacy"]


def test_what_nobody_matches_says_so(page: Page) -> None:
    page.get_by_role("searchbox").fill("there is no such host")
    expect(page.locator("#nobody")).to_be_visible()
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#nobody")).to_be_hidden()
    assert "#" not in page.url


@pytest.mark.parametrize(
    ("label", "choice", "words"),
    [("Needs work", "Work today", "today"), ("Eligibility", "Not eligible", "no")],
)
def test_filters_leave_what_they_name(page: Page, label: str, choice: str, words: str) -> None:
    every = rows(page).count()
    page.get_by_role("combobox", name=label).select_option(choice)
    assert 0 < rows(page).count() < every
    for row in rows(page).all():
        assert words in row.inner_text().lower().split()


def test_a_head_of_the_heat_map_filters_by_its_check(page: Page) -> None:
    head = page.locator(".heat button[data-check=certificate-expired]")
    head.click()
    assert head.get_attribute("aria-pressed") == "true"
    assert names(page) == ["expired"]
    assert "check=certificate-expired" in page.url
    head.click()
    assert len(names(page)) > 1


def test_sorted_by_name_and_back(page: Page) -> None:
    worst_first = names(page)
    page.get_by_role("combobox", name="Order").select_option("By name")
    assert names(page) == sorted(worst_first) != worst_first
    assert page.locator(".heat tbody th").all_inner_texts() == sorted(worst_first)
    page.get_by_role("combobox", name="Order").select_option("Worst first")
    assert names(page) == worst_first


def test_a_link_to_a_finding_opens_it_though_its_host_is_filtered(
    watched: Opener, fleet: Path
) -> None:
    page = watched().open(fleet)
    anchor = folded(page, "section.host:has-text('legacy') details.task")
    target = page.locator(anchor)
    page.get_by_role("searchbox").fill("dovecot24")
    expect(target).to_be_hidden()
    page.evaluate(f"location.hash = '{anchor}'")
    expect(target).to_be_in_viewport()
    assert target.get_attribute("open") is not None
    fresh = watched().open(fleet, anchor).locator(anchor)
    expect(fresh).to_be_in_viewport()
    assert fresh.get_attribute("open") is not None


def test_a_remedy_is_copied_as_it_is_written(watched: Opener, fleet: Path) -> None:
    page = watched(permissions=["clipboard-read", "clipboard-write"]).open(fleet)
    remedy = page.locator("details[open] .remedy").first
    remedy.get_by_role("button", name="Copy").click()
    expect(remedy.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == remedy.locator("pre").inner_text()


def test_the_whole_path_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="To the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("expired")
    assert names(page) == ["expired"]
    page.keyboard.press("Escape")
    assert len(names(page)) > 1
    finding = page.locator(folded(page, "details.task"))
    finding.locator("> summary").focus()
    page.keyboard.press("Enter")
    assert finding.get_attribute("open") is not None


def test_dark_and_light(watched: Opener, fleet: Path) -> None:
    page = watched(color_scheme="dark").open(fleet)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light").click()
    light = page.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", dark))) < sum(map(int, re.findall(r"\d+", light)))
    page.reload()
    assert page.evaluate(ground) == light


def test_everything_can_be_read_without_script(watched: Opener, fleet: Path) -> None:
    page = watched(java_script_enabled=False).open(fleet)
    expect(page.get_by_role("heading", level=2).first).to_contain_text("work today")
    expect(page.locator("section.host")).to_have_count(page.locator(".hosts tbody tr").count())
    expect(page.locator("#tools")).to_be_hidden()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    finding = page.locator(folded(page, "details.task"))
    finding.locator("> summary").click()
    expect(finding.locator("p").first).to_be_visible()


def printed(page: Page, file: Path) -> str:
    """The words on its sheets."""
    page.pdf(path=file, prefer_css_page_size=True)
    drawn = " ".join(sheet.extract_text() for sheet in PdfReader(file).pages)
    return " ".join(unicodedata.normalize("NFKC", drawn).split())  # ligatures taken apart


def test_on_paper_nothing_is_folded(page: Page, tmp_path: Path) -> None:
    text = printed(page, tmp_path / "fleet.pdf")
    rationale = page.locator("details.task:not([open]) p").first.text_content()
    assert rationale is not None
    assert " ".join(rationale.split())[:60] in text
    for name in names(page):
        assert name in text


def test_the_paper_of_one_host_has_it_all_and_nothing_cut_off(
    watched: Opener, site: Path, tmp_path: Path
) -> None:
    page = watched().open(site / "hosts" / "legacy.html")
    text = printed(page, tmp_path / "legacy.pdf")
    said = [" ".join((one.text_content() or "").split()) for one in page.locator("pre").all()]
    assert said  # the remedies: to the last word of each line
    bare = "".join(text.split())
    for block in said:
        assert "".join(block.split()) in bare
    others = {file.stem for file in (site / "hosts").iterdir()} - {"legacy"}
    assert not [name for name in others if f"{name}.lab.example" in text]


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_page_is_wider_than_its_window(watched: Opener, site: Path, width: int) -> None:
    window = watched(viewport={"width": width, "height": 900})
    for file in (site / "index.html", site / "hosts" / "legacy.html"):
        page = window.open(file)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_page_of_a_host_opens(watched: Opener, site: Path) -> None:
    window = watched()
    for file in sorted((site / "hosts").iterdir()):
        page = window.open(file)
        expect(page.locator("section.host")).to_have_count(1)
