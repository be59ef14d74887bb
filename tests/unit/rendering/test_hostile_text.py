"""Text from outside stays text in the page and in Markdown."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_values import TEXTS
from support.reported_rollbacks import document_of, with_hostile_text

from rollback.rendering.html import render_html
from rollback.rendering.markdown import code, escape_markdown, render_markdown

LINKS = (
    "[x](javascript:alert(1))",
    "![x](https://evil.test/p.png)",
    "<https://evil.test>",
    "@octocat fixes #1",
    "|a|b|",
)


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def elements(html: str) -> set[tuple[str, tuple[str, ...]]]:
    parser = _Elements()
    parser.feed(html)
    return set(parser.found)


KNOWN_ELEMENTS = elements(render_html(with_hostile_text("v1")))


@pytest.mark.parametrize("text", [*TEXTS.values(), *LINKS])
def test_no_text_adds_an_element_or_an_attribute_to_the_page(text: str) -> None:
    html = render_html(with_hostile_text(text))
    assert elements(html) <= KNOWN_ELEMENTS | elements(render_html(document_of("succeeded")))
    assert len(html) < 500_000


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_leaves_the_page_with_its_own_elements(text: str) -> None:
    assert elements(render_html(with_hostile_text(text))) <= KNOWN_ELEMENTS | elements(
        render_html(document_of("succeeded"))
    )


def test_the_page_loads_nothing_and_runs_no_script() -> None:
    html = render_html(document_of("succeeded"))
    assert "default-src 'none'" in html
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|javascript:|\son\w+=", html)


@pytest.mark.parametrize("text", [*TEXTS.values(), *LINKS])
def test_markdown_stays_within_githubs_limit_for_any_text(text: str) -> None:
    markdown = render_markdown(with_hostile_text(text))
    assert len(markdown) <= 60_000
    assert "\u202e" not in markdown


@pytest.mark.parametrize("text", LINKS)
def test_markdown_has_no_active_link_mention_reference_or_cell(text: str) -> None:
    escaped = escape_markdown(text)
    assert not re.search(r"(?<!\\)[\[\]<|]|@\w|://|#\d", escaped)


@given(st.text(alphabet="`|x\\", max_size=30))
def test_a_code_span_ends_only_at_its_own_fence(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence.group()) : -len(fence.group())]
    assert fence.group() not in re.findall("`+", inner)
