"""Names of columns on the cells of tables, so that `site.css` can stack the cells on a phone. Pure."""

import html
import re

_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_HEADING = re.compile(r"<th(?: [^>]*)?>(.*?)</th>", re.DOTALL)
_CELL = re.compile(r"<td(?=[ >])")
_TAG = re.compile(r"<[^>]+>")


def label_cells(page: str) -> str:
    """Give every cell of a page's tables the attribute `data-column`, with the heading of its column.

    Args:
        page: HTML, as Python-Markdown writes it.
    """
    return _TABLE.sub(_label_table, page)


def _label_table(table: re.Match[str]) -> str:
    columns = [html.escape(html.unescape(_TAG.sub("", heading)).strip()) for heading in _HEADING.findall(table[0])]

    def label_row(row: re.Match[str]) -> str:
        names = iter(columns)
        return _CELL.sub(lambda _: f'<td data-column="{next(names, "")}"', row[0])

    return _ROW.sub(label_row, table[0])
