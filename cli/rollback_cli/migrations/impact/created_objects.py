"""Objects that a migration has created itself: a change of these objects harms no earlier release."""

from collections.abc import Iterable

from rollback_cli.migrations.impact.postgres_parser import Statement, relation


class CreatedObjects:
    """Tables and columns that the file has created so far.

    Attributes:
        tables: names of the created tables.
        columns: table → column → whether an INSERT that leaves the column out leaves it NULL.
        has_trigger: whether the file has created a trigger or a rule. The effect of a later statement that changes
            rows is then unknown.
    """

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.columns: dict[str, dict[str, bool]] = {}
        self.has_trigger = False

    def has_nullable_column(self, table: str, columns: Iterable[str]) -> bool:
        """Whether earlier releases leave one of the columns NULL: no key refuses such a row."""
        created = self.columns.get(table, {})
        return any(created.get(name, False) for name in columns)

    def has_created_columns(self, table: str, columns: set[str]) -> bool:
        """Whether the file has created all of the columns."""
        return columns <= self.columns.get(table, {}).keys()

    def rename_table(self, old_name: str, new_name: str) -> None:
        """Follow a table that the file has created to its new name."""
        self.tables.discard(old_name)
        self.tables.add(new_name)


class FileContext:
    """One file: the objects that it has created so far, and the views that any of its statements creates."""

    def __init__(self, statements: tuple[Statement, ...], created: CreatedObjects) -> None:
        self.created = created
        self.views = {relation(s.node["view"]) for s in statements if s.kind == "view_stmt"}
