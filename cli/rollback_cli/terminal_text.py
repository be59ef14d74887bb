"""Text from outside in a terminal: it forges no line, no colour, no cursor movement and no markup of rich."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def make_console(*, stderr: bool = False) -> "Console":
    """Make a console that leaves `:names:` alone: parts of an ARN are no emoji."""
    from rich.console import Console  # noqa: PLC0415 - rich takes a while to import

    return Console(stderr=stderr, emoji=False, highlight=False)


def print_paragraph(text: str, console: "Console | None" = None) -> None:
    """Print a paragraph without markup and without line breaks of rich: a pipeline's log keeps its lines whole."""
    from rollback.text import paragraph  # noqa: PLC0415 - pydantic takes a while to import

    console = console or make_console()
    for line in paragraph(text):
        console.print(line, markup=False, soft_wrap=True)


def escape_markup(text: object) -> str:
    """Make one line of a text, for use inside a line with rich's markup."""
    from rich.markup import escape  # noqa: PLC0415

    from rollback.text import one_line  # noqa: PLC0415

    line = one_line(str(text))
    return escape(f"{line} " if line.endswith("\\") else line)  # a backslash would escape the tag behind it


def table_cell(text: object, style: str = "") -> "Text":
    """Make a cell of a table whose text rich does not read as markup."""
    from rich.text import Text  # noqa: PLC0415

    from rollback.text import one_line  # noqa: PLC0415

    return Text(one_line(str(text)), style=style)
