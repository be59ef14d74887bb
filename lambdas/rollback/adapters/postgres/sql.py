"""SQL that reads a branch. `bootstrap` imports this module late: psycopg takes 0.3 s and few functions need it.

Each call is a read-only session of its own, with one snapshot, on the direct host. A pooler keeps sessions of its own
and hides the application's. A session starts a suspended compute, so a first call may fail and is repeated.
"""

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from pydantic import SecretStr

from rollback.adapters.postgres.background_work import read_background_work
from rollback.adapters.postgres.catalog import read_schema
from rollback.adapters.postgres.journals import read_journals
from rollback.adapters.postgres.rows import NEON_OWN_ROLES, PostgresRows
from rollback.adapters.postgres.sequences import PostgresSequences
from rollback.adapters.postgres.session import open_session, translate_error
from rollback.resources.database.background_work import BackgroundWork
from rollback.resources.database.errors import QueryFailed, Unreachable
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.postgres import ClientSession, WalPosition
from rollback.resources.database.probe import SessionTimes
from rollback.resources.database.statement import StatementResult
from rollback.resources.database.wal_position import Lsn

# Postgres hides `backend_type` of other roles' sessions, so they count as clients. Backends that only read
# (`walsender`), that have a listed leader (`parallel worker`) or that write no rows are no writers.
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
# Times of other roles' sessions are NULL without `pg_read_all_stats`; GREATEST ignores NULL.
_ACTIVITY = """
SELECT application_name, extract(epoch FROM clock_timestamp() - max(greatest(backend_start, state_change)))::float8
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND application_name <> '' AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY application_name HAVING max(greatest(backend_start, state_change)) IS NOT NULL
"""
# Neon's timeline identifies the history of the log; another Postgres has NULL or an empty text.
_HEAD = """
SELECT pg_current_wal_lsn()::text, clock_timestamp(), nullif(current_setting('neon.timeline_id', true), '')
"""


class PostgresSql(PostgresRows, PostgresSequences):
    """Adapter without state. Addresses are connection URIs with a password and are never shown.

    Args:
        journal_table: journal with an unusual name, `schema.table`; journals with the usual names are always found.
    """

    def __init__(self, journal_table: str | None = None) -> None:
        self._journal_table = journal_table

    def head(self, address: SecretStr) -> WalPosition:
        """Query `pg_current_wal_lsn`, `clock_timestamp` and `neon.timeline_id`."""
        with open_session(address) as session:
            lsn, at, timeline = _one(session.execute(_HEAD))
        return WalPosition(lsn=Lsn.parse(lsn), at=at, timeline=timeline)

    def measure(self, address: SecretStr) -> SessionTimes:
        """Query `SELECT 1`."""
        began_at = time.monotonic()
        with open_session(address) as session:
            connected_at = time.monotonic()
            session.execute("SELECT 1").fetchone()
            answered_at = time.monotonic()
        return SessionTimes(
            connect_milliseconds=(connected_at - began_at) * 1000,
            query_milliseconds=(answered_at - connected_at) * 1000,
        )

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        """Query `pg_stat_activity`."""
        names = ("pid", "role", "application", "address", "state", "connected_at", "database", "kind")
        with open_session(address) as session:
            rows = session.execute(_SESSIONS, [list(NEON_OWN_ROLES), list(_NO_WRITERS)]).fetchall()
        return tuple(ClientSession(**dict(zip(names, row, strict=True))) for row in rows)

    def background_work(self, address: SecretStr) -> BackgroundWork:
        """Query each part by itself, and pg_cron's jobs in pg_cron's own database."""
        with open_session(address) as session:
            return read_background_work(session, lambda database: open_session(address, database=database))

    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        """Query `backend_start` and `state_change` in `pg_stat_activity`."""
        with open_session(address) as session:
            return {str(name): float(age) for name, age in session.execute(_ACTIVITY.encode()).fetchall()}

    def live_schema(self, address: SecretStr) -> LiveSchema:
        """Query the catalogue."""
        with open_session(address) as session:
            return read_schema(session)

    def answers(
        self, address: SecretStr, statements: tuple[str, ...], statement_seconds: float
    ) -> tuple[StatementResult, ...]:
        """Prepare each query: Postgres refuses several statements in one Parse message.

        Source: PostgreSQL documentation, "Extended Query"
        (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
        """
        with open_session(address, statement_seconds=statement_seconds) as session:
            return tuple(_answer(session, statement) for statement in statements)

    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        """Query the journals that the catalogue has."""
        with open_session(address) as session:
            return read_journals(session, self._journal_table)


def _one(cursor: "psycopg.Cursor[Any]") -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise QueryFailed("the database returned no row for the end of its log")
    return tuple(row)


def _answer(session: "psycopg.Connection[Any]", statement: str) -> StatementResult:
    """Run one query in a transaction of its own; its first value stays the text that Postgres sent."""
    try:
        cursor = session.execute(statement.encode(), prepare=True)
        result = cursor.pgresult
        if result is None or cursor.description is None:
            return StatementResult(error="the statement returned no table")
        raw = result.get_value(0, 0) if result.ntuples and result.nfields else None
        value = bytes(raw).decode(errors="replace") if raw is not None else None
        return StatementResult(rows=result.ntuples, value=value)
    except psycopg.Error as error:
        failure = translate_error(error, session)
        if isinstance(failure, Unreachable):
            raise failure from error
        return StatementResult(error=str(failure))
    finally:
        if not session.broken:
            session.rollback()
