"""Tables in a terminal. A table that is too wide is folded, never squeezed into columns of a few characters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PADDING, _LEAST_TEXT = 2, 24  # columns between columns; width below which a column of text is hard to read


@dataclass(frozen=True)
class Cell:
    """A cell: a text from outside, shown as it is, in a style of rich."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: title of the column.
        is_text: its cells may be folded; other cells are names to copy, and stay whole.
        is_optional: a narrow terminal leaves the column out; the other forms have it.
    """

    title: str
    is_text: bool = False
    is_optional: bool = False


def print_table(console: "Console", columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table; without its optional columns, or as blocks of lines, if the terminal is too narrow."""
    listed = [tuple(row) for row in rows]
    needed = [index for index, column in enumerate(columns) if not column.is_optional]
    for shown in (range(len(columns)), needed):
        some_columns = [columns[index] for index in shown]
        some_rows = [[row[index] for index in shown] for row in listed]
        if _least_width(some_columns, some_rows) <= console.width:
            _print_columns(console, some_columns, some_rows)
            return
    for row in listed:
        _print_block(console, columns, row)


def _least_width(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> int:
    from rich.cells import cell_len  # noqa: PLC0415 - only in a terminal

    width = 0
    for index, column in enumerate(columns):
        widest = max([cell_len(column.title), *(cell_len(row[index].text) for row in rows)])
        width += min(widest, _LEAST_TEXT) if column.is_text else widest
    return width + _PADDING * (len(columns) - 1)


def _print_columns(console: "Console", columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only in a terminal

    table = Table(box=None, padding=(0, _PADDING, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, no_wrap=not column.is_text, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    console.print(table)


def _print_block(console: "Console", columns: Sequence[Column], row: Sequence[Cell]) -> None:
    """Print the names of a row on a line that stays whole, and each text folded below."""
    from rich.padding import Padding  # noqa: PLC0415 - only in a terminal
    from rich.text import Text  # noqa: PLC0415 - only in a terminal

    named = tuple(zip(columns, row, strict=True))
    names = [_text(cell) for column, cell in named if not column.is_text and cell.text]
    console.print(Text("  ").join(names), soft_wrap=True)
    for column, cell in named:
        if column.is_text and cell.text:
            console.print(Padding(Text.assemble(f"{column.title}: ", _text(cell)), (0, 0, 0, 4), expand=False))


def _text(cell: Cell) -> "Text":
    from rich.text import Text  # noqa: PLC0415 - only in a terminal

    from rollback.text import one_line  # noqa: PLC0415 - beside its only use

    return Text(one_line(cell.text), style=cell.style)
