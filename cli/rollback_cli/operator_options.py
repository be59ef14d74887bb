"""What the verbs of the operator's levers have in common: whose hand, why, and on which service."""

from typing import Annotated

import typer

from rollback.domain.operator import Operator
from rollback_cli import direct, plain

Reason = Annotated[str, typer.Option("--reason", help="why, for the record")]
Service = Annotated[str | None, typer.Option("--service", help="which service; the only one by default")]


def operator(reason: str) -> Operator:
    """Who asks, and why.

    Raises:
        InvalidRequest: there is no reason.
    """
    return Operator(name=direct.whoami(), reason=reason)


def print_paragraph(text: str) -> None:
    """One paragraph, as it is: a pipeline's log must not break it."""
    plain.print_plain(plain.console(), text)
