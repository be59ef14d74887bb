"""The written account as one HTML page that loads nothing and runs no script."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rollback.rendering.filters import FILTERS, image_names, render_command
from rollback.reports.document.geometry import draw_chart, draw_timeline
from rollback.reports.document.model import ReportDocument

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"
_WIDE, _NARROW = 812.0, 354.0  # widths of the text column on a screen, and on a phone of 390 px


def render_html(document: ReportDocument) -> str:
    """Render the page. Jinja2 escapes every text (https://jinja.palletsprojects.com/en/stable/api/#autoescaping)."""
    from markupsafe import Markup  # noqa: PLC0415 - few functions render

    style = Markup((TEMPLATES / "report.css").read_text())  # noqa: S704 - our own file
    return _template().render(
        document=document,
        style=style,
        command=render_command(document),
        image_names=image_names(document),
        wide_timeline=draw_timeline(document, _WIDE),
        narrow_timeline=draw_timeline(document, _NARROW),
        wide_chart=draw_chart(document, _WIDE),
        narrow_chart=draw_chart(document, _NARROW),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - few functions render

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.filters.update(FILTERS)
    return environment.from_string((TEMPLATES / "report.html.j2").read_text())
