"""Write a written account as a page to a file, and open the page in a browser."""

import tempfile
import webbrowser
from pathlib import Path

from rollback.rendering.html import render_html
from rollback.reports.document.model import ReportDocument


def write_page(document: ReportDocument, path: Path | None = None) -> Path:
    """Write the page, by default to a new temporary folder, and return the file.

    Raises:
        OSError: the file can't be written.
    """
    file = path or Path(tempfile.mkdtemp(prefix="rollback-report-")) / f"{document.rollback_id}.html"
    file.write_text(render_html(document), encoding="utf-8", errors="replace")
    return file


def open_page(path: Path) -> bool:
    """Open a page in a browser. Returns whether a browser was found."""
    return webbrowser.open(path.absolute().as_uri())
