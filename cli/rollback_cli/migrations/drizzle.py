"""The folder that drizzle-kit writes: `meta/_journal.json`, `<tag>.sql`, and by our convention `<tag>.down.sql`."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rollback.model.errors import InvalidRequest
from rollback.model.migration_impact import classify
from rollback.model.release_schema import ShippedMigration
from rollback.model.statement_impact import MigrationImpact, together
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
    path = folder / f"{entry.tag}.sql"
    try:
        content = path.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the journal names {path}, which can't be read: {error}") from error
    return ShippedMigration(
        tag=entry.tag,
        created_at=entry.when,
        hash=hashlib.sha256(content).hexdigest(),
        impact=together((classify(text), second(text))),
        has_down=(folder / f"{entry.tag}.down.sql").is_file(),
    )
