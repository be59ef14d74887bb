"""An extension of Python-Markdown that names each cell's column, so that `site.css` can stack the cells on a phone."""

from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor


class _LabelCells(Treeprocessor):
    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            columns = ["".join(heading.itertext()).strip() for heading in table.iter("th")]
            for row in table.iter("tr"):
                for column, cell in zip(columns, row.findall("td"), strict=False):
                    cell.set("data-column", column)


class NarrowTables(Extension):
    """Gives every cell of a table the attribute `data-column`."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name that Python-Markdown calls
        """Register the processor behind inline patterns, so that headings have their texts."""
        md.treeprocessors.register(_LabelCells(md), "narrow_tables", 5)


def makeExtension(**_: object) -> NarrowTables:  # noqa: N802 - the name that Python-Markdown calls
    """Make the extension, as Python-Markdown expects it."""
    return NarrowTables()
