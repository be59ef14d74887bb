"""SQL on a branch, to look at it only. Imported late: psycopg takes 0.3 s to load, and few functions need it.

Each call is a session of its own on the direct host (a pooler keeps sessions of its own, and hides the application's),
read-only and of one snapshot. A compute that sleeps is woken by it: a first call may fail, and is made again.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rollback.model.background_work import BackgroundWork
from rollback.model.connection_failure import permanent_failure
from rollback.model.database_content import ClientSession, Head, LiveSchema, Migration, TableContent
from rollback.model.database_errors import QueryFailed, SessionRefused, Unreachable
from rollback.model.database_position import Lsn
from rollback.model.errors import RefusalKind
from rollback.model.text import service_message
from rollback.world.postgres_background import read_background_work
from rollback.world.postgres_journals import read_journals
from rollback.world.postgres_schema import OURS, read_schema

_CONNECT_SECONDS = 10
_STATEMENT_MILLISECONDS = 30_000
_CONTENT_SECONDS = 60
_APPLICATION = "rollback"
# PostgreSQL error codes (appendix A): connection exceptions, and shutdowns, as of a compute that goes to sleep.
_SESSION_ENDED, _MAY_NOT = ("08", "57P"), "42501"
_NEON_S_OWN = ("cloud_admin",)  # its monitoring and its management of the compute

# Of other roles' sessions Postgres tells no `backend_type`, only that they are there: they count as clients. No writers
# are those that read only (`walsender`), whose leader is listed (`parallel worker`), or that write no rows.
_NO_WRITERS = (
    "parallel worker",
    "walsender",
    "autovacuum worker",
    "autovacuum launcher",
    "logical replication launcher",
    "pg_cron launcher",
)
_SESSIONS = """
SELECT pid, usename, coalesce(application_name, ''), host(client_addr), state, backend_start, coalesce(datname, ''),
  coalesce(backend_type, 'client backend')
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND usename IS NOT NULL AND usename <> ALL(%s)
  AND coalesce(backend_type, 'client backend') <> ALL(%s)
ORDER BY pid
"""
# Times of other roles' sessions are NULL without `pg_read_all_stats`; GREATEST passes NULLs over.
_ACTIVITY = """
SELECT application_name, extract(epoch FROM clock_timestamp() - max(greatest(backend_start, state_change)))::float8
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND application_name <> '' AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY application_name HAVING max(greatest(backend_start, state_change)) IS NOT NULL
"""
# Neon's identity of the history that the log is of; NULL or empty on another Postgres (`model.branch_history`).
_HEAD = """
SELECT pg_current_wal_lsn()::text, clock_timestamp(), nullif(current_setting('neon.timeline_id', true), '')
"""
_KEY = """ARRAY(
  SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
  WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum))"""
_TABLES = f"""
SELECT n.nspname, c.relname, {_KEY}
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {OURS} ORDER BY 1, 2
"""  # noqa: S608 - put together from constants


class PostgresSql:
    """Adapter; stateless. Addresses are connection URIs with a password: they are never shown.

    Args:
        journal_table: a journal under a name of its own, `schema.table`; the usual names are found by themselves.
    """

    def __init__(self, journal_table: str | None = None) -> None:
        self._journal_table = journal_table

    def head(self, address: SecretStr) -> Head:
        """The end of the log, the database's clock, and Neon's timeline that both are about.

        Raises:
            Unreachable: no session came about; the compute may still be waking up.
            QueryFailed: Postgres refused, or took too long.
        """
        with _session(address) as session:
            lsn, at, timeline = _one(session.execute(_HEAD))
        return Head(lsn=Lsn.parse(lsn), at=at, timeline=timeline)

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        """Who else may write to any database of the branch, background workers too. Raises as `head`."""
        names = ("pid", "role", "application", "address", "state", "connected_at", "database", "kind")
        with _session(address) as session:
            found = session.execute(_SESSIONS, [list(_NEON_S_OWN), list(_NO_WRITERS)]).fetchall()
        return tuple(ClientSession(**dict(zip(names, row, strict=True))) for row in found)

    def background_work(self, address: SecretStr) -> BackgroundWork:
        """Replication and scheduled jobs of the whole branch. Raises as `head`."""
        with _session(address) as session:
            return read_background_work(session, lambda database: _connected(address, dbname=database))

    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        """`application_name` → seconds since a session of that name last began or did something. Raises as `head`."""
        with _session(address) as session:
            return {str(name): float(age) for name, age in session.execute(_ACTIVITY.encode()).fetchall()}

    def live_schema(self, address: SecretStr) -> LiveSchema:
        """All that decides what a statement may do. Raises as `head`."""
        with _session(address) as session:
            return read_schema(session)

    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        """The rows of all known journals, each oldest first; None: the database has none. Raises as `head`."""
        with _session(address) as session:
            return read_journals(session, self._journal_table)

    def content(
        self, address: SecretStr, digests_up_to_rows: int, columns: Mapping[str, tuple[str, ...]] | None = None
    ) -> Mapping[str, TableContent]:
        """`schema.table` → its rows, all as of one moment; digests of each row only of tables that are small enough.

        Args:
            columns: of which a row's digest is made, by table; of all, where a table is not named.

        Raises as `head`; services stand still meanwhile, so what takes longer than a minute in all is given up.
        """
        found: dict[str, TableContent] = {}
        until = time.monotonic() + _CONTENT_SECONDS
        with _session(address) as session:
            for schema, name, key in session.execute(_TABLES.encode()).fetchall():
                if time.monotonic() > until:
                    raise QueryFailed(f"the rows of all tables could not be read within {_CONTENT_SECONDS} s")
                table = f"{schema}.{name}"
                compared = (columns or {}).get(table)
                found[table] = _content(session, (schema, name), key, compared, digests_up_to_rows)
        return found


def _content(
    session: "psycopg.Connection[Any]",
    named: tuple[str, str],
    key: list[str],
    compared: tuple[str, ...] | None,
    limit: int,
) -> TableContent:
    table = sql.Identifier(*named)
    (rows,) = _one(session.execute(sql.SQL("SELECT count(*) FROM {}").format(table)))
    if not key or rows > limit:
        return TableContent(rows=rows)
    identity = sql.SQL(", ").join(sql.Identifier("t", column) for column in key)
    row: sql.Composable = sql.Identifier("t")
    if compared is not None:
        row = sql.SQL("ROW({})").format(sql.SQL(", ").join(sql.Identifier("t", column) for column in compared))
    digest = sql.SQL("SELECT concat_ws(',', {}), md5({}::text) FROM {} t").format(identity, row, table)
    return TableContent(rows=rows, digests=dict(session.execute(digest).fetchall()))


def _connected(address: SecretStr, **other: str) -> "psycopg.Connection[Any]":
    """A session; `other`: parts of the address that are not as it says."""
    return psycopg.connect(
        address.get_secret_value(),
        connect_timeout=_CONNECT_SECONDS,
        application_name=_APPLICATION,
        options=f"-c statement_timeout={_STATEMENT_MILLISECONDS}",
        **other,  # type: ignore[arg-type]
    )


@contextmanager
def _session(address: SecretStr) -> Iterator["psycopg.Connection[Any]"]:
    try:
        session = _connected(address)
    except psycopg.OperationalError as error:
        told = f"no session with the database: {service_message(str(error))}"
        permanent = permanent_failure(str(error), error.sqlstate)
        if permanent is not None:
            raise SessionRefused(f"{told}; {permanent.mend}", kind=permanent.kind) from error
        raise Unreachable(f"{told}; it may be waking up, connect again") from error
    except psycopg.Error:  # its text quotes the address
        raise QueryFailed("the address of the database can't be read; look at the secret it came from") from None
    with session:
        session.read_only = True
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            yield session
        except psycopg.Error as error:
            told = f"{type(error).__name__}: {service_message(str(error))}"
            if session.broken or (error.sqlstate or "").startswith(_SESSION_ENDED):
                raise Unreachable(f"the session with the database ended: {told}; it only read, ask again") from error
            mend = "; grant what it names to the role of the connection" if error.sqlstate == _MAY_NOT else ""
            kind = RefusalKind.ACCESS if mend else RefusalKind.REQUEST
            raise QueryFailed(f"the database refused to tell: {told}{mend}", kind=kind) from error


def _one(cursor: "psycopg.Cursor[Any]") -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise QueryFailed("the database told nothing")
    return tuple(row)
