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
from rollback_cli.migrations.impact.squawk import run_squawk
from rollback_cli.migrations.tools.migration_file import SecondOpinion, classify_text, read_file

_FOLDER = re.compile(r"(?P<time>\d{14})_.+")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tag: str
    when: int


class _Journal(BaseModel):
    model_config = ConfigDict(extra="ignore")

    dialect: str
    entries: list[_Entry]


def is_drizzle(folder: Path) -> bool:
    """Whether drizzle-kit wrote the folder."""
    return _journal_path(folder).is_file() or bool(drizzle_1_folders(folder))


def read_drizzle(folder: Path, second_opinion: SecondOpinion = run_squawk) -> tuple[ShippedMigration, ...]:
    """Read and classify all migrations, oldest first.

    Raises:
        InvalidRequest: drizzle-kit did not write the folder, or a file of its journal is missing.
        ExternalServiceError: squawk did not answer.
    """
    path = _journal_path(folder)
    if not path.exists() and drizzle_1_folders(folder):
        return tuple(_read_drizzle_1(path, second_opinion) for path in drizzle_1_folders(folder))
    try:
        journal = _Journal.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidRequest(f"{path} can't be read as drizzle-kit's journal: {error}") from error
    if journal.dialect != "postgresql":
        raise InvalidRequest(f"{path} is for {journal.dialect}; only postgresql is supported")
    entries = sorted(journal.entries, key=lambda entry: entry.when)
    return tuple(_read_entry(folder, entry.tag, entry.when, second_opinion) for entry in entries)


def drizzle_1_folders(folder: Path) -> list[Path]:
    """List the migrations of drizzle-kit 1.x in order; a `snapshot.json` tells its folders from Prisma's."""
    folders = sorted(path.parent for path in folder.glob("*/migration.sql") if _FOLDER.fullmatch(path.parent.name))
    return folders if any((path / "snapshot.json").is_file() for path in folders) else []


def _journal_path(folder: Path) -> Path:
    return folder / "meta" / "_journal.json"


def _read_entry(folder: Path, tag: str, when: int, second_opinion: SecondOpinion) -> ShippedMigration:
    return _read_files(tag, when, folder / f"{tag}.sql", folder / f"{tag}.down.sql", second_opinion)


def _read_drizzle_1(folder: Path, second_opinion: SecondOpinion) -> ShippedMigration:
    try:
        at = datetime.strptime(folder.name[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequest(
            f"the name of {folder} does not begin with a time, as names of drizzle-kit's folders do: {error}"
        ) from error
    when = int(at.timestamp()) * 1000
    return _read_files(folder.name, when, folder / "migration.sql", folder / "down.sql", second_opinion)


def _read_files(tag: str, when: int, up: Path, down: Path, second_opinion: SecondOpinion) -> ShippedMigration:
    content, text = read_file(up)
    has_down = down.is_file()
    return ShippedMigration(
        tag=tag,
        created_at=when,
        hash=hashlib.sha256(content).hexdigest(),
        impact=classify_text(text, second_opinion),
        has_down=has_down,
        down_impact=classify_text(read_file(down)[1], second_opinion) if has_down else None,
    )
