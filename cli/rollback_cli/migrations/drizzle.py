"""The folder that drizzle-kit writes: `meta/_journal.json`, `<tag>.sql`, and by our convention `<tag>.down.sql`."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rollback.model.errors import InvalidRequest
from rollback.model.release_schema import ShippedMigration
from rollback.model.statement_impact import MigrationImpact, together
from rollback_cli.migrations.migration_impact import classify
from rollback_cli.migrations.squawk import second_reading


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tag: str
    when: int


class _Journal(BaseModel):
    model_config = ConfigDict(extra="ignore")

    dialect: str
    entries: list[_Entry]


def read_migrations(
    folder: Path, second: Callable[[str], MigrationImpact] = second_reading
) -> tuple[ShippedMigration, ...]:
    """All migrations of a repository, classified, oldest first.

    Args:
        second: a second reader of each text, whose word counts where it is the worse one.

    Raises:
        InvalidRequest: the folder is none of drizzle-kit's, or a file of its journal is missing.
        OutsideFailure: the second reader can't be asked.
    """
    path = folder / "meta" / "_journal.json"
    try:
        journal = _Journal.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidRequest(f"{path} can't be read as drizzle-kit's journal: {error}") from error
    if journal.dialect != "postgresql":
        raise InvalidRequest(f"{path} is about {journal.dialect}; only postgresql is understood")
    return tuple(_shipped(folder, entry, second) for entry in sorted(journal.entries, key=lambda one: one.when))


def _shipped(folder: Path, entry: _Entry, second: Callable[[str], MigrationImpact]) -> ShippedMigration:
    content, text = _read(folder / f"{entry.tag}.sql")
    down = folder / f"{entry.tag}.down.sql"
    has_down = down.is_file()
    return ShippedMigration(
        tag=entry.tag,
        created_at=entry.when,
        hash=hashlib.sha256(content).hexdigest(),
        impact=_judged(text, second),
        has_down=has_down,
        down_impact=_judged(_read(down)[1], second) if has_down else None,
    )


def _judged(text: str, second: Callable[[str], MigrationImpact]) -> MigrationImpact:
    return together((classify(text), second(text)))


def _read(path: Path) -> tuple[bytes, str]:
    try:
        content = path.read_bytes()
        return content, content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} belongs to the journal's migrations, and can't be read: {error}") from error
