"""Read a migration file, classify it, and describe it as a release ships it, for the readers of all tools."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from rollback.domain.database.migration_impact import MigrationImpact, combine_impacts, unknown
from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.impact.classify_sql import classify
from rollback_cli.migrations.impact.squawk import run_squawk

SecondOpinion = Callable[[str], MigrationImpact]


def read_file(path: Path) -> tuple[bytes, str]:
    """Return the bytes and the text of a file.

    Raises:
        InvalidRequest: the file can't be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
        return content, content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"migration file {path} can't be read: {error}") from error


def classify_text(text: str, second_opinion: SecondOpinion = run_squawk) -> MigrationImpact:
    """Classify a text by Postgres's parser and by a second opinion; the worse class counts."""
    return combine_impacts((classify(text), second_opinion(text)))


def from_sql_file(
    tool: MigrationTool, name: str, path: Path, place: int, second_opinion: SecondOpinion, checksum: str | None = None
) -> ShippedMigration:
    """Describe a migration that is a file of SQL.

    Args:
        tool: migration tool that wrote the file.
        name: tag and id of the migration.
        path: path of the file.
        place: place of the migration among the release's files, from 1.
        second_opinion: second classifier of the text.
        checksum: checksum in the tool's journal; None: the journal has none.
    """
    content, text = read_file(path)
    return ShippedMigration(
        tag=name,
        created_at=place,
        hash=hashlib.sha256(content).hexdigest(),
        impact=classify_text(text, second_opinion),
        tool=tool,
        id=name,
        checksum=checksum,
    )


def from_code_file(
    tool: MigrationTool, name: str, path: Path, place: int, sql: Path | None, second_opinion: SecondOpinion
) -> ShippedMigration:
    """Describe a migration that is code: classify the SQL that the tool wrote for it; without SQL, unknown.

    Args:
        tool: migration tool that runs the file.
        name: tag and id of the migration.
        path: path of the file.
        place: place of the migration among the release's files, from 1.
        sql: file with the migration's SQL; None: the pipeline offers none.
        second_opinion: second classifier of the SQL.
    """
    content, _ = read_file(path)
    if sql is None:
        impact = unknown(f"{path.name} is code, and its SQL was not given (--sql): its effect is unknown")
    else:
        impact = classify_text(read_file(sql)[1], second_opinion)
    return ShippedMigration(
        tag=name, created_at=place, hash=hashlib.sha256(content).hexdigest(), impact=impact, tool=tool, id=name
    )


def find_sql(folder: Path | None, *names: str) -> Path | None:
    """Find `<name>.sql` in the folder that the pipeline offers, for the first of the names that has a file."""
    if folder is None:
        return None
    return next((path for name in names if (path := folder / f"{name}.sql").is_file()), None)
