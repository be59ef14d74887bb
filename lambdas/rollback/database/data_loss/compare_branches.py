"""Compare two branches table by table in all databases, within the time of one invocation; the next one continues."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from pydantic import SecretStr

from rollback.domain.database.data_loss import MAX_KEYS, DataLossReport, TableDataLoss
from rollback.ports.postgres import Sql
from rollback.resources.database.errors import QueryFailed
from rollback.resources.database.relation import Bucket, Relation, RelationKind, RowQuery
from rollback.resources.database.row_comparison import RowDifference, RowDigest, compare_rows, differing_buckets

Rows = Generator[RowDigest, None, None]
TablePosition = tuple[str, str, str]  # database, schema, relation: the order in which they are compared


@dataclass(frozen=True)
class Limits:
    """Limits of one table and of one invocation, in seconds.

    Attributes:
        is_over: whether the next table is left to the next invocation.
        now: seconds on a clock that only moves forward.
        sums_seconds: limit of one statement over the whole table.
        rows_seconds: limit of reading the rows that differ.
        keys: whether the report names keys of removed rows.
    """

    is_over: Callable[[], bool]
    now: Callable[[], float]
    sums_seconds: float
    rows_seconds: float
    keys: bool = False


@dataclass(frozen=True)
class _Table:
    """A relation by its position, on both branches; None: that branch does not have the relation."""

    position: TablePosition
    backup: Relation | None
    restored: Relation | None


@dataclass
class Comparison:
    """The comparison of the backup with another branch. `report` and `position` grow with each table."""

    sql: Sql
    backup: SecretStr
    restored: SecretStr
    main_database: str
    limits: Limits
    report: DataLossReport = field(default_factory=DataLossReport)
    position: TablePosition | None = None

    def compare_remaining(self) -> bool:
        """Compare the tables after `position`.

        Returns:
            Whether all tables are compared.

        Raises:
            RetryLater, ExternalServiceError: as `Sql`; `position` stays at the last compared table.
        """
        for table in self._tables(first=self.position is None):
            if self.position is not None and table.position <= self.position:
                continue
            if self.limits.is_over():
                return False
            self.report = self._compare_table(table)
            self.position = table.position
        return True

    def _tables(self, *, first: bool) -> Iterator[_Table]:
        """All tables in the order of their positions. The first round reports databases that can't be read."""
        backup_databases = {database.name: database.can_connect for database in self.sql.databases(self.backup)}
        restored_databases = {database.name: database.can_connect for database in self.sql.databases(self.restored)}
        self.report = self.report.evolve(databases=len(backup_databases))
        for name in sorted(backup_databases.keys() | restored_databases.keys()):
            if not (backup_databases.get(name, True) and restored_databases.get(name, True)):
                if first:
                    self.report = self.report.add_uncompared_table(f"database {name}", "the role may not connect to it")
                continue
            if name not in backup_databases:
                if first:
                    self.report = self.report.evolve(
                        returned_tables=(*self.report.returned_tables, f"database {name} with all its tables")
                    )
                continue
            yield from self._tables_in(name, is_restored=name in restored_databases)

    def _tables_in(self, database: str, *, is_restored: bool) -> Iterator[_Table]:
        relations = self.sql.relations(self.restored, database) if is_restored else ()
        backup_relations = {
            (relation.schema_name, relation.name): relation for relation in self.sql.relations(self.backup, database)
        }
        restored_relations = {(relation.schema_name, relation.name): relation for relation in relations}
        for schema, name in sorted(backup_relations.keys() | restored_relations.keys()):
            backup, current = backup_relations.get((schema, name)), restored_relations.get((schema, name))
            either = backup or current
            if is_restored and either is not None and either.kind is RelationKind.LARGE_OBJECTS:
                backup = current = either  # each database has the catalogue of large objects, even an empty one
            yield _Table((database, schema, name), backup, current)

    def _compare_table(self, table: _Table) -> DataLossReport:
        name = self._name(table)
        if table.backup is None:
            return self.report.add_returned_table(name)
        reason = table.backup.why_not or (table.restored.why_not if table.restored is not None else "")
        if reason:
            return self.report.add_uncompared_table(name, reason)
        table_loss = _compare_columns(name, table.backup, table.restored)
        query = self._build_query(table, table.backup)
        try:
            return self.report.add_compared_table(self._compare_rows(table_loss, query, table))
        except QueryFailed as failed:
            return self._report_counts(table_loss, query, table, str(failed))

    def _compare_rows(self, table_loss: TableDataLoss, query: RowQuery, table: _Table) -> TableDataLoss:
        backup_buckets = self.sql.buckets(self.backup, query)
        restored_buckets = (
            self.sql.buckets(self.restored, _as_reader_of(query, table.restored)) if table.restored is not None else {}
        )
        differing = differing_buckets(backup_buckets, restored_buckets)
        difference = self._difference(query, table, differing) if differing else RowDifference()
        keys = {}
        if self.limits.keys and query.key:
            keys = {
                "removed_keys": _shorten_keys(difference.gone_keys),
                "changed_keys": _shorten_keys(difference.changed_keys),
            }
        return table_loss.model_copy(
            update={
                "rows_before": _count_rows(backup_buckets),
                "rows_after": _count_rows(restored_buckets),
                "removed_rows": difference.gone,
                "changed_rows": difference.changed,
                "returned_rows": difference.back,
                "has_key": bool(query.key),
                **keys,
            }
        )

    def _difference(self, query: RowQuery, table: _Table, differing: tuple[int, ...]) -> RowDifference:
        query = query.model_copy(update={"seconds": self.limits.rows_seconds})
        with closing(self._in_time(self.sql.rows(self.backup, query, differing))) as backup_rows:
            if table.restored is None:
                return compare_rows(backup_rows, (), MAX_KEYS)
            row_generator = self.sql.rows(self.restored, _as_reader_of(query, table.restored), differing)
            with closing(self._in_time(row_generator)) as restored_rows:
                return compare_rows(backup_rows, restored_rows, MAX_KEYS)

    def _in_time(self, rows: Rows) -> Rows:
        deadline = self.limits.now() + self.limits.rows_seconds
        with closing(rows):
            for number, row in enumerate(rows):
                if number % 1000 == 0 and self.limits.now() > deadline:
                    raise QueryFailed(
                        f"the rows differ, and reading them took longer than {self.limits.rows_seconds:g} s"
                    )
                yield row

    def _report_counts(self, table_loss: TableDataLoss, query: RowQuery, table: _Table, reason: str) -> DataLossReport:
        """Report the row counts of a table whose rows could not be compared, or name the table as not compared."""
        try:
            backup_count = self.sql.count(self.backup, query)
            restored_count = (
                self.sql.count(self.restored, _as_reader_of(query, table.restored)) if table.restored is not None else 0
            )
        except QueryFailed as failed:
            return self.report.add_uncompared_table(table_loss.table, str(failed))
        return self.report.add_counted_table(
            table_loss.model_copy(update={"rows_before": backup_count, "rows_after": restored_count}), reason
        )

    def _name(self, table: _Table) -> str:
        database = table.position[0]
        table_name = (table.backup or table.restored or Relation(schema_name="", name="")).in_words
        return table_name if database == self.main_database else f"{database}.{table_name}"

    def _build_query(self, table: _Table, backup_relation: Relation) -> RowQuery:
        restored_relation = table.restored or backup_relation
        return RowQuery(
            database=table.position[0],
            schema_name=backup_relation.schema_name,
            name=backup_relation.name,
            kind=backup_relation.kind,
            key=backup_relation.key if backup_relation.key == restored_relation.key else (),
            columns=tuple(sorted(set(backup_relation.columns) & set(restored_relation.columns))),
            reads_as=backup_relation.reads_as,
            seconds=self.limits.sums_seconds,
        )


def _compare_columns(name: str, backup_relation: Relation, restored_relation: Relation | None) -> TableDataLoss:
    if restored_relation is None:
        return TableDataLoss(table=name, rows_before=0, rows_after=0, is_gone=True)
    return TableDataLoss(
        table=name,
        rows_before=0,
        rows_after=0,
        removed_columns=tuple(column for column in backup_relation.columns if column not in restored_relation.columns),
        returned_columns=tuple(column for column in restored_relation.columns if column not in backup_relation.columns),
    )


def _as_reader_of(query: RowQuery, relation: Relation | None) -> RowQuery:
    """The query with the role that sees all rows on the other branch."""
    return query.model_copy(update={"reads_as": relation.reads_as if relation is not None else None})


def _count_rows(buckets: Mapping[int, Bucket]) -> int:
    return sum(bucket.rows for bucket in buckets.values())


def _shorten_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Drop the brackets of keys that are JSON arrays of one column, for the report."""
    return tuple(_shorten_key(key) for key in keys)


def _shorten_key(key: str) -> str:
    values = json.loads(key)
    if len(values) != 1:
        return key
    return values[0] if isinstance(values[0], str) else key.removeprefix("[").removesuffix("]")
