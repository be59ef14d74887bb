"""What a restore took out of a database, in so many words that it fits into a document and a report.

A table is compared row by row, only counted, or not looked at, and each that is not compared is named with the reason.
That a restore took nothing out is said only if every table of every database was compared and is equal.
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
        rows_before: in the backup. rows_after: on the restored branch.
        removed_rows: only the backup has them; None: rows were only counted, or an older version wrote it.
        changed_rows: both have the key, with other values.
        returned_rows: only the restored branch has them: they were deleted after the restore point.
        removed_keys, changed_keys: examples, as a JSON array where the key has several columns; None: none are kept.
        has_key: without a primary key, rows were compared as a multiset: a changed row is one gone and one back.
        is_gone: the whole table is.
        removed_columns: with all their values; rows are compared without them.
        returned_columns: only the restored table has them; rows are compared without them too.
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
        """Whether the restore took something out of it, or put other rows in, as far as it can be told."""
        told = (self.removed_rows, self.changed_rows, self.returned_rows, self.removed_keys, self.changed_keys)
        differs = any(told) or self.rows_before != self.rows_after
        return differs or self.is_gone or bool(self.removed_columns)


class DataLossReport(BaseModel):
    """Per table what the backup has and the restored branch has not. What is left out is counted.

    Attributes:
        against: what the backup was compared with, and whether that can have been written to since.
        compared: tables compared row by row; None: an older version wrote it, which did not tell.
        counted: tables of which only the number of rows is known, with the reason.
        not_looked_at: whatever else was not compared, with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    against: StoredText = ""
    compared: int | None = None
    databases: int = 0
    tables: tuple[TableDataLoss, ...] = ()
    more_tables: int = 0
    more_keys: dict[str, int] = {}
    returned_tables: tuple[str, ...] = ()  # only the restored branch has them: they were dropped after the point
    more_returned_tables: int = 0
    counted: tuple[StoredLine, ...] = ()
    more_counted: int = 0
    not_looked_at: tuple[StoredLine, ...] = ()
    more_not_looked_at: int = 0
    unavailable: StoredText = ""  # why it could not be made; the backup is still there to be looked at

    @property
    def is_complete(self) -> bool:
        """Whether all that the branch holds was compared row by row."""
        left = self.more_counted + self.more_not_looked_at
        return self.compared is not None and not (self.unavailable or self.counted or self.not_looked_at or left)

    def add_compared_table(self, table: TableDataLoss) -> "DataLossReport":
        """With one more table that was compared; kept if it differs, those with most rows gone first."""
        counted = self.evolve(compared=(self.compared or 0) + 1)
        return counted._kept(_cut(table)) if table.anything else counted

    def add_counted_table(self, table: TableDataLoss, why: str) -> "DataLossReport":
        """With a table of which only the number of rows is known."""
        report = self._kept(table) if table.anything else self
        told = f"{table.table}: {table.rows_before} rows before, {table.rows_after} after: {why}"
        if len(self.counted) >= _MOST_NAMED:
            return report.evolve(more_counted=self.more_counted + 1)
        return report.evolve(counted=(*self.counted, told))

    def add_uncompared_table(self, name: str, why: str) -> "DataLossReport":
        """With something that was not compared at all."""
        if len(self.not_looked_at) >= _MOST_NAMED:
            return self.evolve(more_not_looked_at=self.more_not_looked_at + 1)
        return self.evolve(not_looked_at=(*self.not_looked_at, f"{name}: {why}"))

    def add_returned_table(self, name: str) -> "DataLossReport":
        """With a table that only the restored branch has."""
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
        """A line a table, then what was compared and what was not."""
        if self.unavailable and self.compared is None:
            return [f"what the restore took out could not be told: {self.unavailable}"]
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
    """With bounded examples; the counts stay."""
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
    """Of rows that were only counted; and as an older version told it, which kept keys and no counts."""
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
