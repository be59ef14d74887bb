"""Print a document in the form that an operator or a pipeline asked for.

rich, yaml and pydantic are imported only where they are needed: a verb starts faster without them.
"""

import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from rollback_cli.output.document import Document


class OutputFormat(StrEnum):
    """Forms of a document."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[
    OutputFormat,
    typer.Option("--output", "-o", help="table: a table in a terminal, lines with tabs elsewhere; json; yaml"),
]
TextOutput = Annotated[OutputFormat, typer.Option("--output", "-o", help="table: text for a person; json; yaml")]


def is_terminal() -> bool:
    """Whether a person reads the output. FORCE_COLOR makes no terminal: a pipe has no width to fit a table into."""
    return sys.stdout.isatty()


def print_document(
    document: "Document",
    output: OutputFormat,
    *,
    in_terminal: "Callable[[Console], None]",
    records: Callable[[], Iterable[str]],
) -> None:
    """Print a document.

    Args:
        document: the document.
        output: form that was asked for.
        in_terminal: prints the document for a person, at the width of the terminal.
        records: lines of the document for a file or a pipe.
    """
    if output is not OutputFormat.TABLE:
        print_data(document, output)
    elif is_terminal():
        from rollback_cli.terminal_text import make_console  # noqa: PLC0415 - see above

        in_terminal(make_console())
    else:
        for line in records():
            print(line)


def print_text_or_data(document: "Document", output: OutputFormat, text: Iterable[str]) -> None:
    """Print a document whose table is a text: its lines stay whole in a terminal and in a pipe."""
    if output is not OutputFormat.TABLE:
        print_data(document, output)
        return
    from rollback.text import paragraph  # noqa: PLC0415 - pydantic takes a while to import

    for given in text:
        for line in paragraph(given):
            print(line)


def print_data(document: "BaseModel", output: OutputFormat) -> None:
    """Print a document as JSON or YAML, with all its members."""
    if output is OutputFormat.JSON:
        print(document.model_dump_json(indent=2))
        return
    import yaml  # noqa: PLC0415 - see above

    data = document.model_dump(mode="json")
    print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=sys.maxsize), end="")
