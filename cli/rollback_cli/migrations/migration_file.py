"""Read a migration file, classify it, and describe it as a release ships it: shared by all readers of folders."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from rollback.domain.database.migration_impact import MigrationImpact, combine_impacts, unknown
from rollback.domain.database.migration_tools import MigrationTool
from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback_cli.migrations.migration_impact import classify
from rollback_cli.migrations.squawk import run_squawk

SecondReader = Callable[[str], MigrationImpact]


def read(path: Path) -> tuple[bytes, str]:
    """A file's bytes and its text.

    Raises:
        InvalidRequest: it can't be read, or is no UTF-8.
    """
    try:
        content = path.read_bytes()
        return content, content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} belongs to the release's migrations, and can't be read: {error}") from error


def classify_text(text: str, second: SecondReader = run_squawk) -> MigrationImpact:
    """The class of a text by both readers, of whom the worse one counts."""
    return combine_impacts((classify(text), second(text)))


def from_sql_file(
    tool: MigrationTool, name: str, path: Path, place: int, second: SecondReader, checksum: str | None = None
) -> ShippedMigration:
    """A migration that is a file of SQL."""
    content, text = read(path)
    return ShippedMigration(
        tag=name,
        created_at=place,
        hash=hashlib.sha256(content).hexdigest(),
        impact=classify_text(text, second),
        tool=tool,
        id=name,
        checksum=checksum,
    )


def from_code_file(
    tool: MigrationTool, name: str, path: Path, place: int, sql: Path | None, second: SecondReader
) -> ShippedMigration:
    """A migration that is code, judged by the SQL that its tool wrote for it, else unknown.

    Args:
        sql: that file; None: the pipeline offers none.
    """
    content, _ = read(path)
    impact = unknown(f"{path.name} is code: what it does can't be told without its SQL (--sql)")
    if sql is not None:
        impact = classify_text(read(sql)[1], second)
    return ShippedMigration(
        tag=name, created_at=place, hash=hashlib.sha256(content).hexdigest(), impact=impact, tool=tool, id=name
    )


def find_sql(offered: Path | None, *names: str) -> Path | None:
    """The offered SQL of a migration: `<name>.sql` in the offered folder; of the first name that is there."""
    if offered is None:
        return None
    return next((path for name in names if (path := offered / f"{name}.sql").is_file()), None)
