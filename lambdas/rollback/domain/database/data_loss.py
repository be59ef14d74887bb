"""The report of the rows that a restore lost, bounded to fit into a document and a page.

Each table is compared row by row, only counted, or not looked at. The report names each table that was not compared,
with the reason. It says that nothing was lost only if every table of every database was compared and is equal.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from rollback.text import StoredLine, StoredText

# Together far below the 400 KB that DynamoDB allows an item.
_MOST_TABLES = 50
MOST_KEYS = 20  # a table, each way
_LONGEST_KEY = 60
_MOST_COLUMNS = 20  # a table, each way
_MOST_NAMED = 50  # tables that were not compared


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
    def anything(self) -> bool:
        """Whether rows or columns are known to differ."""
        rows = (self.removed_rows, self.changed_rows, self.returned_rows, self.removed_keys, self.changed_keys)
        has_other_rows = any(rows) or self.rows_before != self.rows_after
        return has_other_rows or self.is_gone or bool(self.removed_columns)


class DataLossReport(BaseModel):
    """Differences between the backup and the restored branch, table by table; omitted entries are counted.

    Attributes:
        against: the branch that the backup was compared with, and whether services may have written to that since.
        compared: number of tables compared row by row; None: an older version wrote the report without it.
        databases: number of databases looked at.
        tables: tables that differ, those that lost most rows first.
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
        return counted._kept(_cut(table)) if table.anything else counted

    def add_counted_table(self, table: TableDataLoss, why: str) -> "DataLossReport":
        """A copy with a table of which only the number of rows is known."""
        report = self._kept(table) if table.anything else self
        text = f"{table.table}: {table.rows_before} rows before, {table.rows_after} after: {why}"
        if len(self.counted) >= _MOST_NAMED:
            return report.evolve(more_counted=self.more_counted + 1)
        return report.evolve(counted=(*self.counted, text))

    def add_uncompared_table(self, name: str, why: str) -> "DataLossReport":
        """A copy with something that was not compared at all."""
        if len(self.not_looked_at) >= _MOST_NAMED:
            return self.evolve(more_not_looked_at=self.more_not_looked_at + 1)
        return self.evolve(not_looked_at=(*self.not_looked_at, f"{name}: {why}"))

    def add_returned_table(self, name: str) -> "DataLossReport":
        """A copy with a table that only the restored branch has."""
        counted = self.evolve(compared=(self.compared or 0) + 1)
        if len(self.returned_tables) >= _MOST_TABLES:
            return counted.evolve(more_returned_tables=self.more_returned_tables + 1)
        return counted.evolve(returned_tables=(*self.returned_tables, name))

    def evolve(self, **changes: Any) -> "DataLossReport":
        """A validated copy with some fields changed."""
        return DataLossReport.model_validate({**dict(self), **changes})

    def _kept(self, table: TableDataLoss) -> "DataLossReport":
        tables = sorted((*self.tables, table), key=lambda one: (-_lost(one), one.table))
        return self.evolve(
            tables=tables[:_MOST_TABLES], more_tables=self.more_tables + max(0, len(tables) - _MOST_TABLES)
        )

    def in_words(self) -> list[str]:
        """Lines of the report: one for each table that differs, then the extent of the comparison."""
        if self.unavailable and self.compared is None:
            return [f"the lost rows could not be told: {self.unavailable}"]
        lines = [_line(table, self.more_keys.get(table.table, 0)) for table in self.tables]
        if self.more_tables:
            lines.append(f"{self.more_tables} more tables differ")
        if self.returned_tables:
            more = f", and {self.more_returned_tables} more" if self.more_returned_tables else ""
            lines.append(f"back, since only the restored branch has them: {', '.join(self.returned_tables)}{more}")
        if not lines:
            lines.append(
                "the restore took nothing out"
                if self.is_complete
                else "no difference was found in what was compared, which is not everything"
            )
        return [*lines, *self._extent()]

    def _extent(self) -> list[str]:
        if self.compared is None:
            return []
        databases = f"{self.databases} {'database' if self.databases == 1 else 'databases'}"
        tables = f"{self.compared} {'table' if self.compared == 1 else 'tables'}"
        lines = [f"compared row by row: {tables} of {databases}{f', {self.against}' if self.against else ''}"]
        lines += [f"only counted: {told}" for told in self.counted]
        lines += [f"not looked at: {told}" for told in self.not_looked_at]
        if self.more_counted or self.more_not_looked_at:
            more = f"{self.more_counted} more only counted, {self.more_not_looked_at} more not looked at"
            lines.append(f"not compared: {more}")
        if self.unavailable:
            lines.append(f"not looked at: the rest: {self.unavailable}")
        return lines


def _lost(table: TableDataLoss) -> int:
    return table.removed_rows if table.removed_rows is not None else table.rows_before - table.rows_after


def _cut(table: TableDataLoss) -> TableDataLoss:
    """Bound the examples; the counts stay."""
    removed, returned = table.removed_columns[:_MOST_COLUMNS], table.returned_columns[:_MOST_COLUMNS]
    cut: dict[str, Any] = {"removed_columns": removed, "returned_columns": returned}
    for field in ("removed_keys", "changed_keys"):
        keys = getattr(table, field)
        if keys is not None:
            cut[field] = tuple(_shown(key) for key in keys[:MOST_KEYS])
    return table.model_copy(update=cut)


def _shown(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"


def _line(table: TableDataLoss, more: int) -> str:
    if table.is_gone:
        named = f": {', '.join(table.removed_keys)}" if table.removed_keys else ""
        return f"{table.table}: the whole table is gone, with {table.rows_before} rows{named}"
    said = f"{table.table}: {table.rows_before} rows before the restore, {table.rows_after} after"
    if table.removed_columns:
        said += f"; gone with all values: {_columns(table.removed_columns)}"
    if table.returned_columns:
        said += f"; back: {_columns(table.returned_columns)}"
    if table.removed_rows is None:
        return f"{said}{_older(table, more)}"
    said += f"; gone: {_counted(table.removed_rows, table.removed_keys)}"
    if table.has_key:
        said += f"; changed back: {_counted(table.changed_rows or 0, table.changed_keys)}"
    if table.returned_rows:
        said += f"; back: {table.returned_rows}"
    return said if table.has_key else f"{said} (no primary key: a row that was changed is one gone and one back)"


def _older(table: TableDataLoss, more: int) -> str:
    """Describe rows that were only counted, or of which an older version kept keys and no counts."""
    if table.removed_keys is None or table.changed_keys is None:
        return " (only counted)"
    cut = f"; {more} more keys" if more else ""
    return f"; gone: {_listed(table.removed_keys)}; changed back: {_listed(table.changed_keys)}{cut}"


def _counted(rows: int, keys: tuple[str, ...] | None) -> str:
    if not rows or not keys:
        return str(rows)
    more = f", and {rows - len(keys)} more" if rows > len(keys) else ""
    return f"{rows} ({', '.join(keys)}{more})"


def _columns(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) == _MOST_COLUMNS else ""
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names)}{more}"


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(keys) or "none"
