"""The report of the rows that a restore removed, bounded to fit into a document and a page.

Each table is compared row by row, only counted, or not compared. The report names each table that was not compared,
with the reason. "The restore removed no row" is reported only if every table of every database was compared and equal.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from rollback.text import StoredLine, StoredText

# Together far below the 400 KB that DynamoDB allows an item.
_MAX_TABLES = 50
MAX_KEYS = 20  # a table, each way
_MAX_KEY = 60
MAX_COLUMNS = 20  # a table, each way
_MAX_NAMED = 50  # tables that were not compared


class TableDataLoss(BaseModel):
    """A table that differs between the backup and the restored branch.

    Attributes:
        table: `schema.name`, after its database if that is not the main one.
        rows_before: number of rows in the backup.
        rows_after: number of rows on the restored branch.
        removed_rows: rows that only the backup has; None: rows were only counted, or an older version wrote it.
        changed_rows: rows whose key is on both sides, with other values.
        returned_rows: rows that only the restored branch has, since they were deleted after the restore point.
        has_key: False: the table has no primary key. Rows were compared as a multiset, in which a changed row counts as
            one gone and one back.
        removed_keys: examples of removed rows, as a JSON array where the key has several columns; None: none are kept.
        changed_keys: examples of changed rows, in the same form.
        is_gone: only the backup has the table.
        removed_columns: columns that only the backup has; rows are compared without them.
        returned_columns: columns that only the restored table has; rows are compared without them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    table: str
    rows_before: int
    rows_after: int
    removed_rows: int | None = None
    changed_rows: int | None = None
    returned_rows: int | None = None
    has_key: bool = True
    removed_keys: tuple[str, ...] | None = None
    changed_keys: tuple[str, ...] | None = None
    is_gone: bool = False
    removed_columns: tuple[str, ...] = ()
    returned_columns: tuple[str, ...] = ()

    @property
    def has_differences(self) -> bool:
        """Whether rows or columns are known to differ."""
        rows = (self.removed_rows, self.changed_rows, self.returned_rows, self.removed_keys, self.changed_keys)
        has_other_rows = any(rows) or self.rows_before != self.rows_after
        return has_other_rows or self.is_gone or bool(self.removed_columns)


class DataLossReport(BaseModel):
    """Differences between the backup and the restored branch, table by table; omitted entries are counted.

    Attributes:
        against: the branch that the backup was compared with, and whether services may have written to that since.
        compared: number of tables compared row by row; None: an older version wrote the report without it.
        databases: number of databases that were compared.
        tables: tables that differ, those with the most removed rows first.
        more_tables: number of tables that differ and are omitted.
        more_keys: table → number of omitted keys; only older versions write it.
        returned_tables: tables that only the restored branch has, since they were dropped after the restore point.
        more_returned_tables: number of those that are omitted.
        counted: tables of which only the number of rows is known, with the reason.
        more_counted: number of those that are omitted.
        not_looked_at: everything else that was not compared, with the reason.
        more_not_looked_at: number of those that are omitted.
        unavailable: why the comparison did not end; empty: it ended. The backup still exists.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    against: StoredText = ""
    compared: int | None = None
    databases: int = 0
    tables: tuple[TableDataLoss, ...] = ()
    more_tables: int = 0
    more_keys: dict[str, int] = {}
    returned_tables: tuple[str, ...] = ()
    more_returned_tables: int = 0
    counted: tuple[StoredLine, ...] = ()
    more_counted: int = 0
    not_looked_at: tuple[StoredLine, ...] = ()
    more_not_looked_at: int = 0
    unavailable: StoredText = ""

    @property
    def is_complete(self) -> bool:
        """Whether everything on the branch was compared row by row."""
        omitted = self.more_counted + self.more_not_looked_at
        return self.compared is not None and not (self.unavailable or self.counted or self.not_looked_at or omitted)

    def add_compared_table(self, table: TableDataLoss) -> "DataLossReport":
        """A copy with one more compared table, which is kept if it differs."""
        counted = self.evolve(compared=(self.compared or 0) + 1)
        return counted._with_table(_bound_examples(table)) if table.has_differences else counted

    def add_counted_table(self, table: TableDataLoss, reason: str) -> "DataLossReport":
        """A copy with a table of which only the number of rows is known."""
        report = self._with_table(table) if table.has_differences else self
        text = f"{table.table}: {table.rows_before} rows before, {table.rows_after} after: {reason}"
        if len(self.counted) >= _MAX_NAMED:
            return report.evolve(more_counted=self.more_counted + 1)
        return report.evolve(counted=(*self.counted, text))

    def add_uncompared_table(self, name: str, reason: str) -> "DataLossReport":
        """A copy with something that was not compared at all."""
        if len(self.not_looked_at) >= _MAX_NAMED:
            return self.evolve(more_not_looked_at=self.more_not_looked_at + 1)
        return self.evolve(not_looked_at=(*self.not_looked_at, f"{name}: {reason}"))

    def add_returned_table(self, name: str) -> "DataLossReport":
        """A copy with a table that only the restored branch has."""
        counted = self.evolve(compared=(self.compared or 0) + 1)
        if len(self.returned_tables) >= _MAX_TABLES:
            return counted.evolve(more_returned_tables=self.more_returned_tables + 1)
        return counted.evolve(returned_tables=(*self.returned_tables, name))

    def evolve(self, **changes: Any) -> "DataLossReport":
        """A validated copy with some fields changed."""
        return DataLossReport.model_validate({**dict(self), **changes})

    def _with_table(self, table: TableDataLoss) -> "DataLossReport":
        tables = sorted((*self.tables, table), key=lambda entry: (-_removed_rows(entry), entry.table))
        return self.evolve(
            tables=tables[:_MAX_TABLES], more_tables=self.more_tables + max(0, len(tables) - _MAX_TABLES)
        )


def _removed_rows(table: TableDataLoss) -> int:
    return table.removed_rows if table.removed_rows is not None else table.rows_before - table.rows_after


def _bound_examples(table: TableDataLoss) -> TableDataLoss:
    """Bound the examples; the counts stay."""
    removed_columns, returned_columns = table.removed_columns[:MAX_COLUMNS], table.returned_columns[:MAX_COLUMNS]
    changes: dict[str, Any] = {"removed_columns": removed_columns, "returned_columns": returned_columns}
    for field in ("removed_keys", "changed_keys"):
        keys = getattr(table, field)
        if keys is not None:
            changes[field] = tuple(_shorten(key) for key in keys[:MAX_KEYS])
    return table.model_copy(update=changes)


def _shorten(key: str) -> str:
    return key if len(key) <= _MAX_KEY else f"{key[:_MAX_KEY]}…"
