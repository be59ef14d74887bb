"""Text from outside in a terminal: it forges no line, no colour, no cursor movement and no markup of rich."""

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from rollback.text import one_line, paragraph


def console(*, stderr: bool = False) -> Console:
    """A console that leaves `:names:` alone: parts of an ARN are no emoji."""
    return Console(stderr=stderr, emoji=False, highlight=False)


def print_plain(out: Console, text: str) -> None:
    """One paragraph as it is: a pipeline's log must not break it."""
    for line in paragraph(text):
        out.print(line, markup=False, soft_wrap=True)


def safe(text: object) -> str:
    """For a line with rich's markup around the text."""
    line = one_line(str(text))
    return escape(f"{line} " if line.endswith("\\") else line)  # a backslash would escape the tag behind it


def cell(text: object, style: str = "") -> Text:
    """For a table, whose cells are read as markup otherwise."""
    return Text(one_line(str(text)), style=style)
