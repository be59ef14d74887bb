"""The page of the written account in a real browser; CHROMIUM names its program. Without one, tests are skipped."""

import base64
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from browser.chromium import Page, find_chromium, open_page
from support.reported_rollbacks import CASES, document_of, with_hostile_text

from rollback.rendering.html import render_html

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed; set CHROMIUM to its program")
HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>[a](javascript:b)\u202e' + "x" * 300_000

# WCAG 2.2, "contrast ratio" and "relative luminance" (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
CONTRASTS = """(() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    if (element.closest('title, desc, .skip')) continue;
    const svg = element.closest('svg');
    const front = parse(getComputedStyle(element)[svg ? 'fill' : 'color']);
    const group = svg && element.parentElement.tagName === 'g' ? element.parentElement : null;
    const shape = group && group.querySelector('rect, circle');
    const back = shape ? parse(getComputedStyle(shape).fill) : ground(svg ? svg.parentElement : element);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.tagName, element.textContent.slice(0, 40)]);
  }
  return found;
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert PROGRAM is not None
    with open_page(PROGRAM, tmp_path_factory.mktemp("profile")) as opened_page:
        yield opened_page


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render_html(document_of("succeeded")))
    return path


def requests_and_messages(page: Page) -> list[str]:
    """List the URLs that the page asked for, and its console's and log's messages."""
    urls = [e["params"]["request"]["url"] for e in page.events if e.get("method") == "Network.requestWillBeSent"]
    messages = [
        str(e["params"]) for e in page.events if e.get("method") in ("Runtime.consoleAPICalled", "Log.entryAdded",
                                                                   "Runtime.exceptionThrown")
    ]  # fmt: skip
    return [*urls, *messages]


def test_the_page_asks_for_nothing_and_reports_no_error(page: Page, file: Path) -> None:
    page.events.clear()
    page.open(file, 1000)
    assert requests_and_messages(page) == [file.as_uri()]


def test_the_timeline_and_the_chart_are_drawn(page: Page, file: Path) -> None:
    page.open(file, 1000)
    events = len(document_of("succeeded").events)
    assert page.value("document.querySelectorAll('svg.wide .mark').length") == events
    assert page.value("[...document.querySelectorAll('svg.wide')].every(s => s.getBoundingClientRect().height > 100)")
    assert page.value("document.querySelectorAll('svg.wide rect.failed').length") > 10
    assert page.value("[...document.querySelectorAll('svg.narrow')].every(s => !s.getClientRects().length)")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [320, 390, 1000])
def test_no_width_needs_horizontal_scrolling(page: Page, tmp_path: Path, case: str, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(document_of(case)))
    page.open(path, width)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("Math.min(...[...document.querySelectorAll('p, li, td, dd')].map(e => "
                      "parseFloat(getComputedStyle(e).fontSize)))") >= 13  # fmt: skip


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("case", ["succeeded", "failed with obligations"])
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(
    page: Page, tmp_path: Path, case: str, is_dark: bool
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(document_of(case)))
    page.open(path, 1000, is_dark=is_dark)
    contrasts = page.value(CONTRASTS)
    assert len(contrasts) > 100
    assert [found for found in contrasts if found[0] < 4.5] == []


def test_the_page_has_landmarks_headings_in_order_and_named_drawings(page: Page, file: Path) -> None:
    page.open(file, 1000)
    assert page.value("['header', 'main', 'footer'].every(n => document.querySelectorAll(n).length === 1)")
    levels = page.value("[...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert page.value("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert page.value("[...document.querySelectorAll('table')].every(t => t.caption)")
    named = "[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-labelledby').split(' ').every("
    assert page.value(f"{named}id => document.getElementById(id).textContent))")
    assert page.value("document.querySelectorAll('[id]').length === new Set("
                      "[...document.querySelectorAll('[id]')].map(e => e.id)).size")  # fmt: skip


def test_the_page_prints_to_pdf(page: Page, file: Path) -> None:
    page.open(file, 1000)
    pdf = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 10_000


@pytest.mark.parametrize("width", [390, 1000])
def test_hostile_text_is_shown_and_never_runs(page: Page, tmp_path: Path, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(with_hostile_text(HOSTILE)))
    page.events.clear()
    page.open(path, width)
    assert requests_and_messages(page) == [path.as_uri()]
    assert page.value("document.title") != "owned"
    assert page.value("document.querySelectorAll('script, img, main a').length") == 0
    shown = page.value("document.querySelector('.top').innerText")
    assert '"><script>document.title="owned"' in shown
    assert page.value("document.documentElement.scrollWidth") <= width
