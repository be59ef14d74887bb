"""The documentation site in a real browser; CHROMIUM names its program. Without one, tests are skipped."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser.chromium import Page, find_chromium, open_page
from documentation.pages import ROOT, blocks_of
from documentation.site_build import WHY_NOT, build_site

PROGRAM = find_chromium()
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed; set CHROMIUM to its program"),
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]
SOURCES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if "decisions" not in path.parts or path.name.startswith("0001")
]
PAGES = [
    *(path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in SOURCES),
    "reference/settings.html", "reference/commands.html", "project/CONTRIBUTING.html",
]  # fmt: skip
DIAGRAMS = {
    path.relative_to(ROOT / "docs").with_suffix(".html").as_posix(): count
    for path in SOURCES
    if (count := sum(block.language == "mermaid" for block in blocks_of(path)))
}
PHONE, DESKTOP = 400, 1280
# Elements that scroll sideways by themselves, although the page does not; a block of code may.
SCROLLING = """[...document.querySelectorAll('.md-content *')].filter(e => e.scrollWidth > e.clientWidth + 1
  && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && !e.closest('pre'))
  .map(e => e.className || e.tagName)"""


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("site")
    process = build_site(folder)
    assert process.returncode == 0, process.stdout + process.stderr
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert PROGRAM is not None
    with open_page(PROGRAM, tmp_path_factory.mktemp("profile")) as opened_page:
        yield opened_page


def problems(page: Page, address: str) -> list[str]:
    """List requests to other servers, failed requests, and messages of the console and the log."""
    found = []
    for event in page.events:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                found += [] if url.startswith((address, "data:", "blob:")) else [f"request to {url}"]
            case "Network.responseReceived" if parameters["response"]["status"] >= 400:
                found.append(f"{parameters['response']['status']} {parameters['response']['url']}")
            case "Runtime.consoleAPICalled" | "Log.entryAdded" | "Runtime.exceptionThrown":
                found.append(str(parameters))
    return found


def wait_for_diagrams(page: Page, address: str, count: int) -> None:
    """Wait until each diagram is a drawing: Material replaces the text by an element with a shadow root."""
    drawn = "[...document.querySelectorAll('div.mermaid')].filter(e => e.getBoundingClientRect().height > 15).length"
    deadline = time.monotonic() + 90
    while (number := page.value(drawn)) != count:
        assert not problems(page, address)  # an error of the syntax, which no waiting mends
        assert time.monotonic() < deadline, f"{number} of {count} diagrams are drawn"
        time.sleep(0.1)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_and_reports_no_error(page: Page, address: str, name: str) -> None:
    page.events.clear()
    page.open_url(f"{address}/{name}", PHONE)
    wait_for_diagrams(page, address, DIAGRAMS.get(name, 0))
    assert page.value("document.querySelectorAll('h1').length") == 1
    assert page.value("document.documentElement.scrollWidth") <= PHONE
    assert page.value(SCROLLING) == []
    assert problems(page, address) == []


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_diagrams_of_a_page_are_drawn_in_both_schemes(page: Page, address: str, name: str) -> None:
    for is_dark in (False, True):
        page.events.clear()
        page.open_url(f"{address}/{name}", DESKTOP, is_dark=is_dark)
        wait_for_diagrams(page, address, DIAGRAMS[name])
        assert "Syntax error" not in page.value("document.body.innerText")
        assert problems(page, address) == []


def test_a_cell_on_a_phone_names_its_column(page: Page, address: str) -> None:
    page.open_url(f"{address}/runbooks/index.html", PHONE)
    assert page.value("getComputedStyle(document.querySelector('td'), '::before').content") == '"You see"'
    page.open_url(f"{address}/runbooks/index.html", DESKTOP)
    assert page.value("getComputedStyle(document.querySelector('td'), '::before').content") == "none"


def test_the_search_finds_a_runbook(page: Page, address: str) -> None:
    page.events.clear()
    page.open_url(f"{address}/index.html", DESKTOP)
    page.value("document.querySelector('[data-md-toggle=search]').click()")
    page.value("(() => { const q = document.querySelector('[data-md-component=search-query]'); q.focus();"
               " q.value = 'termination protection'; q.dispatchEvent(new Event('input', {bubbles: true}));"
               " q.dispatchEvent(new Event('keyup', {bubbles: true})); })()")  # fmt: skip
    deadline = time.monotonic() + 90
    while not page.value(
        "[...document.querySelectorAll('.md-search-result__link')].some(a => a.href.includes('runbooks/'))"
    ):
        assert time.monotonic() < deadline, page.value("document.querySelector('.md-search-result').innerText")
        time.sleep(0.1)
    assert problems(page, address) == []
