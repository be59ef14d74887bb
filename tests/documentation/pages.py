"""Blocks, links and anchors of the pages in Markdown that this repository publishes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^( *)(`{3,})(\w*)\s*$")
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +\{ *#([\w-]+) *\})?$")
_LIST_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_CODE = re.compile(r"(`+)(.+?)\1")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        line: line of its first code, counted from 1.
        language: language of the fence; empty for an indented block, or a fence that names none.
    """

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@cache
def _parse(path: Path) -> tuple[tuple[Block, ...], tuple[tuple[int, str], ...]]:
    """Split a page into its blocks of code, and the numbered lines of its prose."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    code: list[str] = []
    fence: tuple[str, str, int] | None = None  # indentation, language, first line
    indented_from, is_after_blank, is_in_list = 0, True, False
    for number, line in enumerate([*path.read_text().splitlines(), ""], start=1):
        match = _FENCE.match(line)
        if fence is not None:
            if match and not match[3]:
                blocks.append(Block(path, fence[2], fence[1], "\n".join(code)))
                code, fence, is_after_blank = [], None, False
            else:
                code.append(line.removeprefix(fence[0]))
            continue
        is_indented = line.startswith("    ") and not is_in_list and (bool(code) or is_after_blank)
        if code and line.strip() and not is_indented:
            blocks.append(Block(path, indented_from, "", "\n".join(code).rstrip()))
            code = []
        if match:
            fence = (match[1], match[3], number + 1)
        elif is_indented:
            indented_from = indented_from if code else number
            code.append(line[4:])
        elif code:
            code.append("")
        else:
            prose.append((number, line))
            if line.strip() and not line.startswith(" "):
                is_in_list = bool(_LIST_ITEM.match(line))
        is_after_blank = not line.strip()
    assert fence is None, f"{path}: the fence in line {fence[2] if fence else 0} has no end"
    if code and any(code):
        blocks.append(Block(path, indented_from, "", "\n".join(code).rstrip()))
    return tuple(blocks), tuple(prose)


def blocks_of(path: Path) -> tuple[Block, ...]:
    """List the blocks of code of a page, fenced or indented."""
    return _parse(path)[0]


def mentions_in(path: Path) -> Iterator[Block]:
    """Yield the inline code of a page, one block each."""
    for number, line in _parse(path)[1]:
        yield from (Block(path, number, "inline", match[2].strip()) for match in _CODE.finditer(line))


def links_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the targets of all links and images, with their lines."""
    for number, line in _parse(path)[1]:
        without_code = _CODE.sub(lambda match: "x" * len(match[0]), line)
        yield from ((number, match[1]) for match in _LINK.finditer(without_code))


def anchors_of(path: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs both make them for the headings that we use."""
    seen: Counter[str] = Counter()
    anchors: set[str] = set()
    for _, line in _parse(path)[1]:
        if (match := _HEADING.match(line)) is None:
            continue
        slug = match[2] or slugify(match[1])
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(anchors)


def slugify(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    text = unicodedata.normalize("NFC", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
