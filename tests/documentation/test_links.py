"""Links of README and docs lead to files and headings that exist."""

from pathlib import Path

import pytest
from documentation.pages import PAGES, ROOT, anchors_of, links_of, slugify

from publishing.site import GENERATED

BUILT = {ROOT / "docs" / uri for uri in GENERATED}  # pages of the site that exist only there


def broken_links(page: Path) -> list[str]:
    broken = []
    for line, target in links_of(page):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if file in BUILT:
            continue  # MkDocs checks their anchors: test_site.py
        if not file.exists():
            broken.append(f"{page.relative_to(ROOT)}:{line}: {target}: no such file")
        elif anchor and (file.suffix != ".md" or anchor not in anchors_of(file)):
            broken.append(f"{page.relative_to(ROOT)}:{line}: {target}: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_over_plain_http_is_not_used() -> None:
    assert [f"{page}:{line}" for page in PAGES for line, target in links_of(page) if target.startswith("http://")] == []


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path: Path) -> None:
    page = tmp_path.resolve() / "page.md"
    page.write_text("# A `heading`, really\n\n[a](gone.md) [b](#nothing) [c](#a-heading-really)\n\n    [d](code.md)\n")
    found = []
    for _, target in links_of(page):
        path, _, anchor = target.partition("#")
        found.append(bool(path) or anchor not in anchors_of(page))
    assert found == [True, True, False]
    assert slugify("When the alarm `…-no-recent-drill` pages") == "when-the-alarm--no-recent-drill-pages"
