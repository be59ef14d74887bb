"""SQL on a branch, to look at it only. Imported late: psycopg takes 0.3 s to load, and few functions need it.

Each call is a session of its own on the direct host (a pooler keeps sessions of its own, and hides the application's),
read-only and of one snapshot. A compute that sleeps is woken by it: a first call may fail, and is made again.
"""

from typing import Any

import psycopg
from pydantic import SecretStr

from rollback.model.database_content import ClientSession, Head, LiveSchema, Migration
from rollback.model.database_errors import QueryFailed
from rollback.model.database_position import Lsn
from rollback.world.postgres_rows import NEON_S_OWN, PostgresRows
from rollback.world.postgres_schema import read_schema
from rollback.world.postgres_sequences import PostgresSequences
from rollback.world.postgres_session import session_with

# Of other roles' sessions Postgres tells no `backend_type`, only that they are there: they count as clients.
_SESSIONS = """
SELECT pid, usename, coalesce(application_name, ''), host(client_addr), state, backend_start
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND usename IS NOT NULL AND usename <> ALL(%s)
  AND coalesce(backend_type, 'client backend') = 'client backend'
ORDER BY pid
"""


class PostgresSql(PostgresRows, PostgresSequences):
    """Adapter; stateless. Addresses are connection URIs with a password: they are never shown."""

    def head(self, address: SecretStr) -> Head:
        """The end of the log, and the database's clock.

        Raises:
            Unreachable: no session came about; the compute may still be waking up.
            QueryFailed: Postgres refused, or took too long.
        """
        with session_with(address) as session:
            lsn, at = _one(session.execute("SELECT pg_current_wal_lsn()::text, clock_timestamp()"))
        return Head(lsn=Lsn.parse(lsn), at=at)

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        """Who else is connected to any database of the branch. Raises as `head`."""
        names = ("pid", "role", "application", "address", "state", "connected_at")
        with session_with(address) as session:
            found = session.execute(_SESSIONS, [list(NEON_S_OWN)]).fetchall()
        return tuple(ClientSession(**dict(zip(names, row, strict=True))) for row in found)

    def live_schema(self, address: SecretStr) -> LiveSchema:
        """All that decides what a statement may do. Raises as `head`."""
        with session_with(address) as session:
            return read_schema(session)

    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        """Drizzle's journal, oldest first; None: the database has none. Raises as `head`."""
        with session_with(address) as session:
            (there,) = _one(session.execute("SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL"))
            if not there:
                return None
            rows = session.execute("SELECT hash, created_at FROM drizzle.__drizzle_migrations ORDER BY created_at, id")
            return tuple(Migration(hash=digest, created_at=created) for digest, created in rows)


def _one(cursor: "psycopg.Cursor[Any]") -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise QueryFailed("the database told nothing")
    return tuple(row)
