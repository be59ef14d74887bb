"""The migrations of the demo's application, and what its pipeline does with them."""

import json
import shutil
from pathlib import Path

import psycopg

from rollback.domain.database.migration_impact import NO_IMPACT
from rollback_cli.migrations.tools.drizzle import read_drizzle

_REPOSITORY = Path(__file__).with_name("drizzle")
_BREAKPOINT = "--> statement-breakpoint"
_JOURNAL = """
CREATE SCHEMA IF NOT EXISTS drizzle;
CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)
"""
_LATEST = "SELECT coalesce(max(created_at), 0) FROM drizzle.__drizzle_migrations"
_RECORD = "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (%s, %s)"


def check_out(into: Path, migrations: int) -> Path:
    """Copy the repository's drizzle folder as it is at a release.

    Args:
        into: folder that the copy becomes.
        migrations: number of the repository's migrations that the release has.
    """
    shutil.copytree(_REPOSITORY, into)
    path = into / "meta" / "_journal.json"
    journal = json.loads(path.read_text())
    later_entries = journal["entries"][migrations:]
    journal["entries"] = journal["entries"][:migrations]
    path.write_text(json.dumps(journal, indent=2))
    for entry in later_entries:
        (into / f"{entry['tag']}.sql").unlink()
    return into


def apply(uri: str, folder: Path) -> tuple[str, ...]:
    """Apply all migrations that are newer than the newest applied one, in one transaction, as `drizzle-kit migrate`.

    Source: drizzle-orm, `PgDialect.migrate`: it compares times, never hashes.

    Returns:
        The tags of the applied migrations, oldest first.
    """
    shipped = read_drizzle(folder, second_opinion=lambda _: NO_IMPACT)  # `rollback checkpoint` classifies them
    with psycopg.connect(uri) as session:
        session.execute(_JOURNAL.encode())
        (latest_created_at,) = session.execute(_LATEST).fetchone() or (0,)
        due_migrations = tuple(migration for migration in shipped if migration.created_at > latest_created_at)
        for migration in due_migrations:
            for statement in _statements(folder / f"{migration.tag}.sql"):
                session.execute(statement.encode())
            session.execute(_RECORD, (migration.hash, migration.created_at))
    return tuple(migration.tag for migration in due_migrations)


def _statements(file: Path) -> list[str]:
    return [statement.strip().rstrip(";") for statement in file.read_text().split(_BREAKPOINT)]
