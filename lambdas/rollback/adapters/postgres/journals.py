"""Journals of migration tools in a database, in any schema, with their rows."""

from typing import Any

import psycopg
from psycopg import sql

from rollback.adapters.postgres.catalog import NOT_SYSTEM_SCHEMA
from rollback.resources.database.errors import QueryFailed
from rollback.resources.database.migration_journal import JOURNAL_NAMES, Migration, journal_rows, missing_journal

_MAX_ROWS = 20_000  # far more than any project has migrations

# Neon itself migrates its schema `neon_auth`.
_JOURNALS = f"""
SELECT n.nspname, c.relname, ARRAY(SELECT a.attname::text FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND {NOT_SYSTEM_SCHEMA.replace("%", "%%")} AND n.nspname <> 'neon_auth'
  AND (c.relname = ANY (%(names)s) OR n.nspname || '.' || c.relname = %(named)s)
ORDER BY 1, 2
"""  # noqa: S608 - put together from constants
_ROWS = sql.SQL("SELECT to_jsonb(j) FROM {} j LIMIT {}")


def read_journals(session: "psycopg.Connection[Any]", journal_table: str | None) -> tuple[Migration, ...] | None:
    """Read all known journals and the journal that the settings name, or return None without any journal.

    Args:
        session: session with the database.
        journal_table: `schema.table`; a bare name is a table in `public`.

    Raises:
        QueryFailed: a table has too many rows for a journal.
        psycopg.Error: the role may not read a journal.
    """
    table = journal_table if journal_table is None or "." in journal_table else f"public.{journal_table}"
    tables = session.execute(_JOURNALS.encode(), {"names": list(JOURNAL_NAMES), "named": table}).fetchall()
    migrations: list[Migration] = []
    for schema, name, columns in tables:
        rows = session.execute(_ROWS.format(sql.Identifier(schema, name), _MAX_ROWS + 1)).fetchall()
        if len(rows) > _MAX_ROWS:
            raise QueryFailed(f"{schema}.{name} has more than {_MAX_ROWS} rows: the table is no journal of migrations")
        migrations += journal_rows(f"{schema}.{name}", columns, (row for (row,) in rows))
    if table is not None and table not in {f"{schema}.{name}" for schema, name, _ in tables}:
        migrations.append(missing_journal(table))
    return tuple(migrations) if tables or migrations else None
