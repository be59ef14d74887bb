"""The folder that drizzle-kit writes.

0.x: `meta/_journal.json`, `<tag>.sql`, and by our convention `<tag>.down.sql`. 1.x: `<14 digits>_<name>/migration.sql`,
by our convention with a `down.sql` beside it; the digits are a time in UTC (drizzle-orm 1.0.0-rc.5, `migrator.js`).
"""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback_cli.migrations.folder import SecondReader, classify_text, read
from rollback_cli.migrations.squawk import run_squawk

_FOLDER = re.compile(r"(?P<time>\d{14})_.+")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tag: str
    when: int


class _Journal(BaseModel):
    model_config = ConfigDict(extra="ignore")

    dialect: str
    entries: list[_Entry]


def read_migrations(folder: Path, second: SecondReader = run_squawk) -> tuple[ShippedMigration, ...]:
    """All migrations of a repository, classified, oldest first.

    Args:
        second: a second reader of each text, whose word counts where it is the worse one.

    Raises:
        InvalidRequest: the folder is none of drizzle-kit's, or a file of its journal is missing.
        ExternalServiceError: the second reader can't be asked.
    """
    path = folder / "meta" / "_journal.json"
    if not path.exists() and drizzle_1_folders(folder):
        return tuple(_read_drizzle_1(one, second) for one in drizzle_1_folders(folder))
    try:
        journal = _Journal.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidRequest(f"{path} can't be read as drizzle-kit's journal: {error}") from error
    if journal.dialect != "postgresql":
        raise InvalidRequest(f"{path} is about {journal.dialect}; only postgresql is understood")
    entries = sorted(journal.entries, key=lambda one: one.when)
    return tuple(_read_entry(folder, one.tag, one.when, second) for one in entries)


def drizzle_1_folders(folder: Path) -> list[Path]:
    """The migrations of drizzle-kit 1.x, in their order; its snapshot tells them from Prisma's, which look alike."""
    there = sorted(path.parent for path in folder.glob("*/migration.sql") if _FOLDER.fullmatch(path.parent.name))
    return there if any((path / "snapshot.json").is_file() for path in there) else []


def _read_entry(folder: Path, tag: str, when: int, second: SecondReader) -> ShippedMigration:
    return _read_files(tag, when, folder / f"{tag}.sql", folder / f"{tag}.down.sql", second)


def _read_drizzle_1(folder: Path, second: SecondReader) -> ShippedMigration:
    try:
        at = datetime.strptime(folder.name[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequest(f"{folder} does not begin with a time, as drizzle-kit's folders do: {error}") from error
    when = int(at.timestamp()) * 1000
    return _read_files(folder.name, when, folder / "migration.sql", folder / "down.sql", second)


def _read_files(tag: str, when: int, up: Path, down: Path, second: SecondReader) -> ShippedMigration:
    content, text = read(up)
    has_down = down.is_file()
    return ShippedMigration(
        tag=tag,
        created_at=when,
        hash=hashlib.sha256(content).hexdigest(),
        impact=classify_text(text, second),
        has_down=has_down,
        down_impact=classify_text(read(down)[1], second) if has_down else None,
    )
