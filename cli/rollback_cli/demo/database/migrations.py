"""The migrations of the application that the stage ships, and what its pipeline does with them."""

import json
import shutil
from pathlib import Path
from typing import Any

import psycopg

from rollback.domain.database.migration_impact import NO_IMPACT
from rollback_cli.migrations.drizzle import read_migrations

_REPOSITORY = Path(__file__).with_name("drizzle")
_DOWN = ".down.sql"
_BREAKPOINT = "--> statement-breakpoint"
_JOURNAL = """
CREATE SCHEMA IF NOT EXISTS drizzle;
CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)
"""
_LATEST = "SELECT coalesce(max(created_at), 0) FROM drizzle.__drizzle_migrations"
_RECORD = "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (%s, %s)"
# by our convention a step down forgets its migration in the same transaction, alone
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('drizzle.__drizzle_migrations'))"
_FORGET = "DELETE FROM drizzle.__drizzle_migrations WHERE created_at = {when}"


def check_out(into: Path, migrations: int, *, with_down: bool = False) -> Path:
    """Drizzle's folder as it is in the repository at a release that has the first so many migrations.

    Args:
        with_down: the release ships `<tag>.down.sql`, too.
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
    """What `drizzle-kit migrate` does: all migrations that are newer than the newest applied one, in one transaction.

    Source: drizzle-orm, `PgDialect.migrate`: it compares times, never hashes.

    Returns:
        The tags of those that were applied, oldest first.
    """
    shipped = read_migrations(folder, second=lambda _: NO_IMPACT)  # classified elsewhere, by `rollback checkpoint`
    with psycopg.connect(uri) as session:
        session.execute(_JOURNAL.encode())
        (latest,) = session.execute(_LATEST).fetchone() or (0,)
        due = tuple(one for one in shipped if one.created_at > latest)
        for migration in due:
            for statement in _statements(folder / f"{migration.tag}.sql"):
                session.execute(statement.encode())
            session.execute(_RECORD, (migration.hash, migration.created_at))
    return tuple(migration.tag for migration in due)


def down_commands(folder: Path) -> dict[str, Any]:
    """The `commands` of an image that ships these down files: one for each, as `pnpm db:migrate:down TAG`."""
    shipped = {one.tag: one.created_at for one in read_migrations(folder, second=lambda _: NO_IMPACT) if one.has_down}
    return {
        f"pnpm db:migrate:down {tag}": {
            "says": f"stepping down {tag}",
            "sql": ";\n".join([_ALONE, *_statements(folder / f"{tag}{_DOWN}"), _FORGET.format(when=when)]),
        }
        for tag, when in shipped.items()
    }


def _statements(file: Path) -> list[str]:
    return [statement.strip().rstrip(";") for statement in file.read_text().split(_BREAKPOINT)]
