"""Write a written account as a page to a file, and open the page in a browser."""

import webbrowser
from pathlib import Path

import typer

from rollback.rendering.html import render_html
from rollback.reports.document.model import ReportDocument


def write_page(document: ReportDocument, path: Path | None = None) -> Path:
    """Write the page, by default to the operator's own folder, and return the file.

    Raises:
        OSError: the file can't be written; its `filename` says which.
    """
    file = path or _own_folder() / f"{document.rollback_id}.html"
    file.write_text(render_html(document), encoding="utf-8", errors="replace")
    return file


def open_page(path: Path) -> bool:
    """Open a page in a browser. Returns whether a browser was found."""
    return webbrowser.open(path.absolute().as_uri())


def _own_folder() -> Path:
    """Make the operator's own folder of opened pages, which no other user of the machine can read or replace."""
    folder = Path(typer.get_app_dir("rollback")) / "reports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
