"""`rollback report ENV ID`: the written account of one rollback, as a page, as Markdown or as data."""

from pathlib import Path
from typing import Annotated

import typer

from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest
from rollback.rendering.markdown import render_markdown
from rollback.reports.document.model import ReportDocument
from rollback.stored_report.channel import current_document
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, RollbackId
from rollback_cli.output.formats import OutputFormat, TextOutput, print_data
from rollback_cli.output.rollbacks.account import CliReport
from rollback_cli.report_page import open_page, write_page
from rollback_cli.terminal_text import print_paragraph


def report(
    environment: Environment,
    rollback_id: RollbackId,
    should_open: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
    html: Annotated[Path | None, typer.Option(help="write the page to this file")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown; this is the default")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the same as --output json")] = False,
    output: TextOutput = OutputFormat.TABLE,
) -> None:
    """Show the written account of one rollback. What your credentials may not read is named as not looked at."""
    if sum((should_open, html is not None, markdown, as_json, output is not OutputFormat.TABLE)) > 1:
        raise InvalidRequest("choose one of --open, --html, --markdown, --json and --output; nothing was written")
    document = _document(environment, rollback_id)
    if should_open or html is not None:
        path = _write(document, html)
        is_shown = should_open and open_page(path)
        print_paragraph(f"opened {path}" if is_shown else str(path))
    elif as_json or output is not OutputFormat.TABLE:
        print_data(CliReport.of(document), OutputFormat.JSON if as_json else output)
    else:
        print(render_markdown(document))


def _document(environment: str, rollback_id: str) -> ReportDocument:
    """Build the account from the ledger and the evidence.

    Raises:
        InvalidRequest: the ledger has no such rollback.
    """
    ports = deployed_stack.find_deployment(environment).ports()
    try:
        rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists the rollbacks"
        ) from error
    return current_document(rollback, ports, has_stored=rollback.concluded_at is not None)


def _write(document: ReportDocument, html: Path | None) -> Path:
    try:
        return write_page(document, html)
    except OSError as error:
        file = html or error.filename
        raise InvalidRequest(f"{file} can't be written: {error.strerror}; name another file by --html") from error
