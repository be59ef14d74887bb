"""The written account as Markdown, for a GitHub issue and for a terminal.

Every text is escaped: it makes no link, no mention, no reference, no HTML and no table column. Sources: GitHub Flavored
Markdown Spec, "Backslash escapes" and "Autolinks (extension)" (https://github.github.com/gfm/), and "Autolinked
references and URLs" (https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls).
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from rollback.rendering.filters import FILTERS, image_names, render_command
from rollback.rendering.html import TEMPLATES
from rollback.reports.document.model import ReportDocument
from rollback.text import truncate

if TYPE_CHECKING:
    from jinja2 import Template

_LIMIT = 60_000  # GitHub takes 65,536 characters in an issue
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_FIRST = re.compile(r"^(\s*)([#>+=-])")
_NUMBERED = re.compile(r"^(\s*\d+)([.)])(?=\s|$)")
_REFERENCE = re.compile(r"#(?=\d)")
_BREAK = "\u200b"  # no reader sees it, and GitHub's patterns for mentions, references and links no longer match
_AUTOLINKS = re.compile(r"(@)|(://)|(\bwww)(?=\.)|(\bGH)(?=-)", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")


class _Raw(str):
    """Markdown of our own, which is not escaped again."""

    __slots__ = ()


def render_markdown(document: ReportDocument, *, is_brief: bool = False) -> str:
    """Render the account.

    Args:
        document: the account.
        is_brief: leave out all but the summary, the next actions and the timeline.
    """
    text = _template().render(
        document=document, is_brief=is_brief, command=render_command(document), image_names=image_names(document)
    )
    return truncate(_BLANK_LINES.sub("\n\n", text), _LIMIT)


def escape_markdown(text: str) -> str:
    """Escape a line, so that GitHub shows it as it is."""
    escaped = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    escaped = _NUMBERED.sub(r"\1\\\2", _FIRST.sub(r"\1\\\2", escaped))
    escaped = _AUTOLINKS.sub(lambda match: match.group(0)[0] + _BREAK + match.group(0)[1:], escaped)
    return _REFERENCE.sub(f"#{_BREAK}", escaped)


def code(text: str) -> str:
    """Write a text as a code span, in which GitHub makes no links; the fence is longer than any run of backticks."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return _Raw(f"{fence}{space}{text}{space}{fence}")


def cell_code(text: str) -> str:
    """Write a text as a code span in a table, where a pipe would end the cell (GFM, "Tables (extension)")."""
    return _Raw(code(text).replace("|", "\\|"))


def _finalize(value: object) -> object:
    return value if isinstance(value, _Raw) or not isinstance(value, str) else escape_markdown(value)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - few functions render

    environment = Environment(
        autoescape=False,  # noqa: S701 - `finalize` escapes every value for Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(FILTERS)
    environment.filters |= {"code": code, "cell_code": cell_code}
    return environment.from_string((TEMPLATES / "report.md.j2").read_text())
