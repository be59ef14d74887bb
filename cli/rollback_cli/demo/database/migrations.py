"""The migrations of the demo's application, and what its pipeline does with them."""

import json
import shutil
from pathlib import Path
from typing import Any

import psycopg

from rollback.domain.database.migration_impact import NO_IMPACT
from rollback_cli.migrations.tools.drizzle import read_drizzle

_REPOSITORY = Path(__file__).with_name("drizzle")
_DOWN = ".down.sql"
_BREAKPOINT = "--> statement-breakpoint"
_JOURNAL = """
CREATE SCHEMA IF NOT EXISTS drizzle;
CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)
"""
_LATEST = "SELECT coalesce(max(created_at), 0) FROM drizzle.__drizzle_migrations"
_RECORD = "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (%s, %s)"
# Our convention: a down migration deletes its migration's journal row in the same transaction, under this lock.
_LOCK_JOURNAL = "SELECT pg_advisory_xact_lock(hashtext('drizzle.__drizzle_migrations'))"
_DELETE_FROM_JOURNAL = "DELETE FROM drizzle.__drizzle_migrations WHERE created_at = {when}"


def check_out(into: Path, migrations: int, *, with_down: bool = False) -> Path:
    """Copy the repository's drizzle folder as it is at a release.

    Args:
        into: folder that the copy becomes.
        migrations: how many of the repository's migrations the release has.
        with_down: whether the release ships `<tag>.down.sql` too.
    """
    shutil.copytree(_REPOSITORY, into)
    path = into / "meta" / "_journal.json"
    journal = json.loads(path.read_text())
    later = journal["entries"][migrations:]
    journal["entries"] = journal["entries"][:migrations]
    path.write_text(json.dumps(journal, indent=2))
    for entry in later:
        for file in into.glob(f"{entry['tag']}.*"):
            file.unlink()
    for file in into.glob(f"*{_DOWN}") if not with_down else ():
        file.unlink()
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
        (latest,) = session.execute(_LATEST).fetchone() or (0,)
        due = tuple(migration for migration in shipped if migration.created_at > latest)
        for migration in due:
            for statement in _statements(folder / f"{migration.tag}.sql"):
                session.execute(statement.encode())
            session.execute(_RECORD, (migration.hash, migration.created_at))
    return tuple(migration.tag for migration in due)


def down_commands(folder: Path) -> dict[str, Any]:
    """Return the `commands` of an image that ships down files: `pnpm db:migrate:down TAG` for each of them."""
    shipped = read_drizzle(folder, second_opinion=lambda _: NO_IMPACT)
    return {
        f"pnpm db:migrate:down {migration.tag}": {
            "says": f"stepping down {migration.tag}",
            "sql": ";\n".join(
                [
                    _LOCK_JOURNAL,
                    *_statements(folder / f"{migration.tag}{_DOWN}"),
                    _DELETE_FROM_JOURNAL.format(when=migration.created_at),
                ]
            ),
        }
        for migration in shipped
        if migration.has_down
    }


def _statements(file: Path) -> list[str]:
    return [statement.strip().rstrip(";") for statement in file.read_text().split(_BREAKPOINT)]
