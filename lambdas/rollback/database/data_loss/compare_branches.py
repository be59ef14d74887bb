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
    """A relation by its position, on both branches; None: that branch does not have it."""

    position: TablePosition
    before: Relation | None
    after: Relation | None


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
        before = {database.name: database.can_connect for database in self.sql.databases(self.backup)}
        after = {database.name: database.can_connect for database in self.sql.databases(self.restored)}
        self.report = self.report.evolve(databases=len(before))
        for name in sorted(before.keys() | after.keys()):
            if not (before.get(name, True) and after.get(name, True)):
                if first:
                    self.report = self.report.add_uncompared_table(f"database {name}", "the role may not connect to it")
                continue
            if name not in before:
                if first:
                    self.report = self.report.evolve(
                        returned_tables=(*self.report.returned_tables, f"database {name} with all its tables")
                    )
                continue
            yield from self._tables_in(name, is_restored=name in after)

    def _tables_in(self, database: str, *, is_restored: bool) -> Iterator[_Table]:
        relations = self.sql.relations(self.restored, database) if is_restored else ()
        before = {
            (relation.schema_name, relation.name): relation for relation in self.sql.relations(self.backup, database)
        }
        after = {(relation.schema_name, relation.name): relation for relation in relations}
        for schema, name in sorted(before.keys() | after.keys()):
            kept, restored = before.get((schema, name)), after.get((schema, name))
            either = kept or restored
            if is_restored and either is not None and either.kind is RelationKind.LARGE_OBJECTS:
                kept = restored = either  # each database has the catalogue of large objects, even an empty one
            yield _Table((database, schema, name), kept, restored)

    def _compare_table(self, table: _Table) -> DataLossReport:
        name = self._name(table)
        if table.before is None:
            return self.report.add_returned_table(name)
        reason = table.before.why_not or (table.after.why_not if table.after is not None else "")
        if reason:
            return self.report.add_uncompared_table(name, reason)
        table_loss = _compare_columns(name, table.before, table.after)
        query = self._build_query(table, table.before)
        try:
            return self.report.add_compared_table(self._compare_rows(table_loss, query, table))
        except QueryFailed as failed:
            return self._report_counts(table_loss, query, table, str(failed))

    def _compare_rows(self, table_loss: TableDataLoss, query: RowQuery, table: _Table) -> TableDataLoss:
        before = self.sql.buckets(self.backup, query)
        after = self.sql.buckets(self.restored, _as_reader_of(query, table.after)) if table.after is not None else {}
        differing = differing_buckets(before, after)
        difference = self._difference(query, table, differing) if differing else RowDifference()
        keys = {}
        if self.limits.keys and query.key:
            keys = {
                "removed_keys": _shorten_keys(difference.gone_keys),
                "changed_keys": _shorten_keys(difference.changed_keys),
            }
        return table_loss.model_copy(
            update={
                "rows_before": _count_rows(before),
                "rows_after": _count_rows(after),
                "removed_rows": difference.gone,
                "changed_rows": difference.changed,
                "returned_rows": difference.back,
                "has_key": bool(query.key),
                **keys,
            }
        )

    def _difference(self, query: RowQuery, table: _Table, differing: tuple[int, ...]) -> RowDifference:
        query = query.model_copy(update={"seconds": self.limits.rows_seconds})
        with closing(self._in_time(self.sql.rows(self.backup, query, differing))) as before:
            if table.after is None:
                return compare_rows(before, (), MAX_KEYS)
            restored = self.sql.rows(self.restored, _as_reader_of(query, table.after), differing)
            with closing(self._in_time(restored)) as after:
                return compare_rows(before, after, MAX_KEYS)

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
            before = self.sql.count(self.backup, query)
            after = self.sql.count(self.restored, _as_reader_of(query, table.after)) if table.after is not None else 0
        except QueryFailed as failed:
            return self.report.add_uncompared_table(table_loss.table, str(failed))
        return self.report.add_counted_table(
            table_loss.model_copy(update={"rows_before": before, "rows_after": after}), reason
        )

    def _name(self, table: _Table) -> str:
        database = table.position[0]
        named = (table.before or table.after or Relation(schema_name="", name="")).in_words
        return named if database == self.main_database else f"{database}.{named}"

    def _build_query(self, table: _Table, before: Relation) -> RowQuery:
        after = table.after or before
        return RowQuery(
            database=table.position[0],
            schema_name=before.schema_name,
            name=before.name,
            kind=before.kind,
            key=before.key if before.key == after.key else (),
            columns=tuple(sorted(set(before.columns) & set(after.columns))),
            reads_as=before.reads_as,
            seconds=self.limits.sums_seconds,
        )


def _compare_columns(name: str, before: Relation, after: Relation | None) -> TableDataLoss:
    if after is None:
        return TableDataLoss(table=name, rows_before=0, rows_after=0, is_gone=True)
    return TableDataLoss(
        table=name,
        rows_before=0,
        rows_after=0,
        removed_columns=tuple(column for column in before.columns if column not in after.columns),
        returned_columns=tuple(column for column in after.columns if column not in before.columns),
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
