"""Driver of SQL: psycopg."""

from rollback.domain.settings.environment import Settings
from rollback.ports.postgres import Sql


def make_sql(settings: Settings) -> Sql:
    """Make the port of SQL."""
    from rollback.adapters.postgres.sql import PostgresSql  # noqa: PLC0415 - psycopg takes 330 ms to import

    return PostgresSql(settings.database.journal_table if settings.database is not None else None)
