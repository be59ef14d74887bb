"""SQL on a branch, to look at it only. Imported late: psycopg takes 0.3 s to load, and few functions need it.

Each call is a session of its own on the direct host (a pooler keeps sessions of its own, and hides the application's),
read-only and of one snapshot. A compute that sleeps is woken by it: a first call may fail, and is made again.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from pydantic import SecretStr

from rollback.adapters.postgres.background_work import read_background_work
from rollback.adapters.postgres.catalog import read_schema
from rollback.adapters.postgres.journals import read_journals
from rollback.adapters.postgres.rows import NEON_OWN_ROLES, PostgresRows
from rollback.adapters.postgres.sequences import PostgresSequences
from rollback.adapters.postgres.session import open_session
from rollback.resources.database.background_work import BackgroundWork
from rollback.resources.database.errors import QueryFailed
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.postgres import ClientSession, WalPosition
from rollback.resources.database.wal_position import Lsn

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


class PostgresSql(PostgresRows, PostgresSequences):
    """Adapter; stateless. Addresses are connection URIs with a password: they are never shown.

    Args:
        journal_table: a journal under a name of its own, `schema.table`; the usual names are found by themselves.
    """

    def __init__(self, journal_table: str | None = None) -> None:
        self._journal_table = journal_table

    def head(self, address: SecretStr) -> WalPosition:
        """The end of the log, the database's clock, and Neon's timeline that both are about.

        Raises:
            Unreachable: no session came about; the compute may still be waking up.
            QueryFailed: Postgres refused, or took too long.
        """
        with open_session(address) as session:
            lsn, at, timeline = _one(session.execute(_HEAD))
        return WalPosition(lsn=Lsn.parse(lsn), at=at, timeline=timeline)

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        """Who else may write to any database of the branch, background workers too. Raises as `head`."""
        names = ("pid", "role", "application", "address", "state", "connected_at", "database", "kind")
        with open_session(address) as session:
            found = session.execute(_SESSIONS, [list(NEON_OWN_ROLES), list(_NO_WRITERS)]).fetchall()
        return tuple(ClientSession(**dict(zip(names, row, strict=True))) for row in found)

    def background_work(self, address: SecretStr) -> BackgroundWork:
        """Replication and scheduled jobs of the whole branch. Raises as `head`."""
        with open_session(address) as session:
            return read_background_work(session, lambda database: open_session(address, database=database))

    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        """`application_name` → seconds since a session of that name last began or did something. Raises as `head`."""
        with open_session(address) as session:
            return {str(name): float(age) for name, age in session.execute(_ACTIVITY.encode()).fetchall()}

    def live_schema(self, address: SecretStr) -> LiveSchema:
        """All that decides what a statement may do. Raises as `head`."""
        with open_session(address) as session:
            return read_schema(session)

    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        """The rows of all known journals, each oldest first; None: the database has none. Raises as `head`."""
        with open_session(address) as session:
            return read_journals(session, self._journal_table)


def _one(cursor: "psycopg.Cursor[Any]") -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise QueryFailed("the database told nothing")
    return tuple(row)
