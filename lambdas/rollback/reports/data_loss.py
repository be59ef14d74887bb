"""The report's section about data loss: each table that differs, then the extent of the comparison."""

from collections.abc import Iterator

from rollback.domain.database.data_loss import MAX_COLUMNS, DataLossReport, TableDataLoss


def format_data_loss(report: DataLossReport) -> list[str]:
    """Lines of the report, with everything that was not compared."""
    if report.unavailable and report.compared is None:
        return [f"the removed rows could not be determined: {report.unavailable}"]
    return [*(list(_differences(report)) or [_no_difference(report)]), *_extent(report)]


def _no_difference(report: DataLossReport) -> str:
    if report.is_complete:
        return "the restore removed no row"
    return "no difference was found in the tables that were compared, which are not all"


def _differences(report: DataLossReport) -> Iterator[str]:
    yield from (_table(table, report.more_keys.get(table.table, 0)) for table in report.tables)
    if report.more_tables:
        yield f"{report.more_tables} more tables differ"
    if report.returned_tables:
        more = f", and {report.more_returned_tables} more" if report.more_returned_tables else ""
        yield f"back, since only the restored branch has them: {', '.join(report.returned_tables)}{more}"


def _extent(report: DataLossReport) -> Iterator[str]:
    if report.compared is None:
        return
    databases = f"{report.databases} {'database' if report.databases == 1 else 'databases'}"
    tables = f"{report.compared} {'table' if report.compared == 1 else 'tables'}"
    yield f"compared row by row: {tables} of {databases}{f', {report.against}' if report.against else ''}"
    yield from (f"only counted: {table}" for table in report.counted)
    yield from (f"not compared: {name}" for name in report.not_looked_at)
    if report.more_counted or report.more_not_looked_at:
        more = f"{report.more_counted} more only counted, {report.more_not_looked_at} more not compared"
        yield f"not compared: {more}"
    if report.unavailable:
        yield f"not compared: the rest: {report.unavailable}"


def _table(table: TableDataLoss, more_keys: int) -> str:
    if table.is_gone:
        examples = f": {', '.join(table.removed_keys)}" if table.removed_keys else ""
        return f"{table.table}: the whole table is gone, with {table.rows_before} rows{examples}"
    parts = [f"{table.table}: {table.rows_before} rows before the restore, {table.rows_after} after"]
    if table.removed_columns:
        parts.append(f"gone with all values: {_columns(table.removed_columns)}")
    if table.returned_columns:
        parts.append(f"back: {_columns(table.returned_columns)}")
    if table.removed_rows is None:
        return f"{'; '.join(parts)}{_uncounted_rows(table, more_keys)}"
    parts.append(f"gone: {_rows(table.removed_rows, table.removed_keys)}")
    if table.has_key:
        parts.append(f"changed back: {_rows(table.changed_rows or 0, table.changed_keys)}")
    if table.returned_rows:
        parts.append(f"back: {table.returned_rows}")
    no_key = "" if table.has_key else " (no primary key: a changed row counts as one gone and one back)"
    return f"{'; '.join(parts)}{no_key}"


def _uncounted_rows(table: TableDataLoss, more_keys: int) -> str:
    """Describe rows that were only counted, or of which an older version kept keys and no counts."""
    if table.removed_keys is None or table.changed_keys is None:
        return " (only counted)"
    more = f"; {more_keys} more keys" if more_keys else ""
    return f"; gone: {_keys(table.removed_keys)}; changed back: {_keys(table.changed_keys)}{more}"


def _rows(rows: int, keys: tuple[str, ...] | None) -> str:
    if not rows or not keys:
        return str(rows)
    more = f", and {rows - len(keys)} more" if rows > len(keys) else ""
    return f"{rows} ({', '.join(keys)}{more})"


def _columns(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) == MAX_COLUMNS else ""
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names)}{more}"


def _keys(keys: tuple[str, ...]) -> str:
    return ", ".join(keys) or "none"
