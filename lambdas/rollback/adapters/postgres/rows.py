"""Digests of the rows of a branch's tables, by which two branches of one project are compared.

Both sides need bounded memory. Postgres first computes sums of 16,384 buckets. It then orders the rows of the buckets
that differ, and they are read as a stream. `hashtextextended` gives equal hashes for equal texts on servers of one
version (Postgres documents no more than that), and two branches of one project have one version.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rollback.adapters.postgres.session import open_session
from rollback.resources.database.relation import BranchDatabase, Bucket, Relation, RelationKind, RowQuery
from rollback.resources.database.row_comparison import RowDigest

NEON_OWN_ROLES = ("cloud_admin",)  # owns the objects of Neon's compute, such as `health_check` in `postgres`
_LAST_BUCKET = 16_383  # enough buckets that few changed rows need few other rows to be read
_ROWS_AT_ONCE = 10_000
# Every setting that the text of a value depends on, so that a setting of one branch makes no row differ. With
# `row_security` off Postgres fails instead of hiding rows (manual, "Row Security Policies").
_SETTINGS = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; "
    "SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET search_path = pg_catalog; SET row_security = off"
)
_DATABASES = """
SELECT datname::text, has_database_privilege(oid, 'CONNECT') FROM pg_database
WHERE datallowconn AND NOT datistemplate ORDER BY 1
"""
_SEES_ALL_ROWS = """
SELECT r.rolname::text FROM pg_roles r
WHERE pg_has_role(current_user, r.oid, 'MEMBER')
  AND (r.rolsuper OR r.rolbypassrls OR (r.oid = c.relowner AND NOT c.relforcerowsecurity))
  AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_table_privilege(r.oid, c.oid, 'SELECT')
ORDER BY r.oid = c.relowner DESC, 1 LIMIT 1
"""
# A partition counts as a table, and its partitioned table does not: the rows are in the partitions.
_RELATIONS = f"""
SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, c.relispopulated,
       ARRAY(SELECT a.attname::text FROM pg_index i
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
             WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
       CASE WHEN c.relrowsecurity THEN row_security_active(c.oid) ELSE false END,
       ({_SEES_ALL_ROWS}), current_user::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_%%' AND c.relpersistence <> 't' AND pg_get_userbyid(c.relowner) <> ALL(%s)
ORDER BY 1, 2
"""  # noqa: S608 - put together from constants
_LARGE_OBJECTS = "SELECT count(*) FROM pg_largeobject_metadata"
_KINDS = {"m": RelationKind.MATERIALIZED_VIEW, "f": RelationKind.FOREIGN_TABLE}


class PostgresRows:
    """Part of the adapter that reads rows. Each call is a read-only session of its own, with one snapshot."""

    def databases(self, address: SecretStr) -> tuple[BranchDatabase, ...]:
        """Query `pg_database`, without templates."""
        with open_session(address) as session:
            rows = session.execute(_DATABASES).fetchall()
        return tuple(BranchDatabase(name=name, can_connect=allowed) for name, allowed in rows)

    def relations(self, address: SecretStr, database: str) -> tuple[Relation, ...]:
        """Query `pg_class`, without the relations of Neon's roles, and `pg_largeobject_metadata`."""
        with open_session(address, database=database) as session:
            rows = session.execute(_RELATIONS.encode(), [list(NEON_OWN_ROLES)]).fetchall()
            (objects,) = session.execute(_LARGE_OBJECTS).fetchall()[0]
        relations = tuple(_relation(row) for row in rows)
        return (*relations, _large_objects()) if objects else relations

    def count(self, address: SecretStr, row_query: RowQuery) -> int:
        """Select the number of rows."""
        with _open_reader(address, row_query) as session:
            rows = session.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(_table(row_query))).fetchall()
        return int(rows[0][0])

    def buckets(self, address: SecretStr, row_query: RowQuery) -> Mapping[int, Bucket]:
        """Group by the hash of the key, or else of the row; a bucket without rows is left out."""
        query = sql.SQL("SELECT (h & {})::int, count(*), sum(d)::text FROM {} GROUP BY 1").format(
            sql.Literal(_LAST_BUCKET), _hash_rows_query(row_query)
        )
        with _open_reader(address, row_query) as session:
            bucket_rows = session.execute(query).fetchall()
        return {number: Bucket(rows=rows, digest=digest) for number, rows, digest in bucket_rows}

    def rows(
        self, address: SecretStr, row_query: RowQuery, buckets: tuple[int, ...]
    ) -> Generator[RowDigest, None, None]:
        """Order by hash and key, through a server-side cursor."""
        grouped = "h, k, d, 1" if row_query.key else "h, '', 0, count(*)"
        ordered = 'ORDER BY h, k COLLATE "C"' if row_query.key else "GROUP BY h ORDER BY h"
        where: sql.Composable = sql.SQL("")
        if len(buckets) <= _LAST_BUCKET // 2:  # both sides have one type, or Postgres would not look them up by hash
            bucket_list = sql.Literal(",".join(map(str, buckets)))
            where = sql.SQL("WHERE (h & {})::int = ANY(string_to_array({}, ',')::int[])").format(
                sql.Literal(_LAST_BUCKET), bucket_list
            )
        query = sql.SQL("SELECT {} FROM {} {} {}").format(
            sql.SQL(grouped), _hash_rows_query(row_query), where, sql.SQL(ordered)
        )
        with _open_reader(address, row_query) as session, session.cursor(name="rows") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(query)
            for row in cursor:
                yield RowDigest(*row)


def _relation(row: tuple[Any, ...]) -> Relation:
    schema, name, kind, persistence, populated, key, columns, may_read, hides_rows, role_that_sees_all, role = row
    reason = ""
    if kind == "f":
        reason = "a foreign table, whose rows are not on the branch"
    elif persistence == "u":
        reason = "unlogged, so that a branch and each start of a compute may find it empty"
    elif not populated:
        reason = "a materialized view that is not populated"
    elif hides_rows and role_that_sees_all is None:
        reason = f"row security hides rows from role {role}"
    elif not hides_rows and not may_read:
        reason = f"role {role} may not read it"
    return Relation(
        schema_name=schema,
        name=name,
        kind=_KINDS.get(kind, RelationKind.TABLE),
        key=tuple(key),
        columns=tuple(columns),
        why_not=reason,
        reads_as=role_that_sees_all if hides_rows else None,
    )


def _large_objects() -> Relation:
    return Relation(
        schema_name="pg_catalog",
        name="pg_largeobject_metadata",
        kind=RelationKind.LARGE_OBJECTS,
        key=("oid",),
        columns=("oid", "lomowner", "lomacl"),
    )


@contextmanager
def _open_reader(address: SecretStr, row_query: RowQuery) -> Iterator["psycopg.Connection[Any]"]:
    """Open a session in which equal values have equal texts on both branches, as a role that sees all rows."""
    with open_session(address, database=row_query.database, statement_seconds=row_query.seconds) as session:
        for setting in _SETTINGS.split("; "):
            session.execute(setting.encode())
        if row_query.reads_as is not None:
            session.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(row_query.reads_as)))
        yield session


def _table(row_query: RowQuery) -> sql.Identifier:
    return sql.Identifier(row_query.schema_name, row_query.name)


def _hash_rows_query(row_query: RowQuery) -> sql.Composable:
    """Return a query of rows with h (the order), k (the key) and d (the digest).

    The key is a JSON array, so that different keys have different texts.
    """
    values: list[sql.Composable] = [sql.Identifier("t", column) for column in row_query.columns]
    if row_query.kind is RelationKind.LARGE_OBJECTS:
        values.append(sql.SQL("md5(lo_get(t.oid))"))
    row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(values))
    if not row_query.key:
        query = sql.SQL('SELECT h, h AS d FROM (SELECT hashtextextended({} COLLATE "C", 1) AS h FROM ONLY {} t) o')
        return sql.SQL("({}) r").format(query.format(row, _table(row_query)))
    key = sql.SQL("json_build_array({})::text").format(
        sql.SQL(", ").join(sql.Identifier("t", column) for column in row_query.key)
    )
    query = sql.SQL(
        'SELECT hashtextextended(k COLLATE "C", 0) AS h, k, hashtextextended(k || v COLLATE "C", 1) AS d '
        "FROM (SELECT {} AS k, {} AS v FROM ONLY {} t) o"
    )
    return sql.SQL("({}) r").format(query.format(key, row, _table(row_query)))
