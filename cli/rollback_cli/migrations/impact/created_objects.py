"""Objects that a migration has created itself: no earlier release knows them, so changing them harms none."""

from collections.abc import Iterable


class CreatedObjects:
    """Tables and columns made by the file; of a column, whether an INSERT that leaves it out leaves it NULL.

    Attributes:
        fires: a trigger or a rule was made: what a statement that changes rows does from here on can't be told.
    """

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.columns: dict[str, dict[str, bool]] = {}
        self.fires = False

    def has_nullable_column(self, table: str, columns: Iterable[str]) -> bool:
        """Whether releases before leave one of the columns NULL: no key refuses such a row."""
        made = self.columns.get(table, {})
        return any(made.get(name, False) for name in columns)

    def has_created_columns(self, table: str, columns: set[str]) -> bool:
        """Whether all of the columns are the file's own."""
        return columns <= self.columns.get(table, {}).keys()

    def rename_table(self, old: str, new: str) -> None:
        """Follow a table of the file's own to its new name."""
        self.tables.discard(old)
        self.tables.add(new)
