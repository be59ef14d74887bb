"""What a restore took out of a database, in so many words that it fits into a document and a report."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from rollback.model.database_content import Columns, LostWrites, TableContent, lost_writes
from rollback.model.text import StoredText

# Together far below the 400 KB that DynamoDB allows an item.
_MOST_TABLES = 50
_MOST_KEYS = 20  # a table, each way
_LONGEST_KEY = 60
_MOST_COLUMNS = 20  # a table, each way


class LostWritesReport(BaseModel):
    """Per table what the backup has and the restored branch has not. What is left out is counted."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    tables: tuple[LostWrites, ...] = ()
    more_tables: int = 0
    more_keys: dict[str, int] = {}
    returned_tables: tuple[str, ...] = ()  # only the restored branch has them: they were dropped after the point
    more_returned_tables: int = 0
    unavailable: StoredText = ""  # why it could not be made; the backup is still there to be looked at

    def in_words(self) -> list[str]:
        """A line a table, for the report."""
        if self.unavailable:
            return [f"what the restore took out could not be told: {self.unavailable}"]
        lines = [_line(table, self.more_keys.get(table.table, 0)) for table in self.tables]
        if self.more_tables:
            lines.append(f"{self.more_tables} more tables differ")
        if self.returned_tables:
            more = f", and {self.more_returned_tables} more" if self.more_returned_tables else ""
            lines.append(f"back, since only the restored branch has them: {', '.join(self.returned_tables)}{more}")
        return lines or ["the restore took nothing out"]


def report_of(
    backup: Mapping[str, TableContent],
    restored: Mapping[str, TableContent],
    columns: tuple[Columns, Columns] = ({}, {}),
    *,
    most_tables: int = _MOST_TABLES,
    most_keys: int = _MOST_KEYS,
) -> LostWritesReport:
    """Compare the backup's tables with the restored ones: those with most rows gone come first.

    Args:
        columns: the backup's and the restored branch's.
    """
    lost = sorted(
        lost_writes(backup, restored, columns), key=lambda table: (table.rows_after - table.rows_before, table.table)
    )
    told = tuple(_cut(table, most_keys) for table in lost[:most_tables])
    left_out = {table.table: _keys(table) - _keys(cut) for table, cut in zip(lost, told, strict=False)}
    returned = sorted(restored.keys() - backup.keys())
    return LostWritesReport(
        returned_tables=tuple(returned[:most_tables]),
        more_returned_tables=max(0, len(returned) - most_tables),
        tables=told,
        more_tables=len(lost) - len(told),
        more_keys={table: keys for table, keys in left_out.items() if keys},
    )


def _cut(table: LostWrites, most_keys: int) -> LostWrites:
    removed, returned = table.removed_columns[:_MOST_COLUMNS], table.returned_columns[:_MOST_COLUMNS]
    table = table.model_copy(update={"removed_columns": removed, "returned_columns": returned})
    if table.removed_keys is None or table.changed_keys is None:
        return table
    removed, changed = (
        tuple(key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…" for key in keys[:most_keys])
        for keys in (table.removed_keys, table.changed_keys)
    )
    return table.model_copy(update={"removed_keys": removed, "changed_keys": changed})


def _keys(table: LostWrites) -> int:
    return len(table.removed_keys or ()) + len(table.changed_keys or ())


def _line(table: LostWrites, more: int) -> str:
    cut = f"; {more} more keys" if more else ""
    if table.is_gone:
        keys = f": {', '.join(table.removed_keys)}" if table.removed_keys else ""
        return f"{table.table}: the whole table is gone, with {table.rows_before} rows{keys}{cut}"
    said = f"{table.table}: {table.rows_before} rows before the restore, {table.rows_after} after"
    if table.removed_columns:
        said += f"; gone with all values: {_columns(table.removed_columns)}"
    if table.returned_columns:
        said += f"; back: {_columns(table.returned_columns)}"
    if table.removed_keys is None or table.changed_keys is None:
        return f"{said} (only counted)"
    return f"{said}; gone: {_listed(table.removed_keys)}; changed back: {_listed(table.changed_keys)}{cut}"


def _columns(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) == _MOST_COLUMNS else ""
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names)}{more}"


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(keys) or "none"
