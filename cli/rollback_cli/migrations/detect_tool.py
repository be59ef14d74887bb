"""The migrations that a version ships, by whichever tool: known by its files, or named."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from rollback.domain.database.migration_tools import MigrationTool
from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback_cli.migrations import code, drizzle, flyway
from rollback_cli.migrations.folder import SecondReader, from_sql_file, read
from rollback_cli.migrations.squawk import run_squawk

_CODE = {
    MigrationTool.ALEMBIC: code.read_alembic,
    MigrationTool.DJANGO: code.read_django,
    MigrationTool.RAILS: code.read_rails,
    MigrationTool.KNEX: code.read_knex,
}
TOOLS = (MigrationTool.DRIZZLE, MigrationTool.PRISMA, MigrationTool.FLYWAY, *_CODE, MigrationTool.SQL)


def read_shipped(
    folder: Path, tool: MigrationTool | None = None, sql: Path | None = None, second: SecondReader = run_squawk
) -> tuple[ShippedMigration, ...]:
    """All migrations of a version, classified, in the order of their tool.

    Args:
        tool: None: it is told by the files.
        sql: a folder with the SQL of migrations that are code.

    Raises:
        InvalidRequest: no tool is told, or several are; a file can't be read; the tool can't be used here.
        ExternalServiceError: the second reader can't be asked.
    """
    known = tool or detect_tool(folder)
    if sql is not None and known not in _CODE:
        raise InvalidRequest(f"--sql is for migrations that are code, and those of {known} are SQL: leave it out")
    if sql is not None and not sql.is_dir():
        raise InvalidRequest(f"{sql} is no folder: --sql takes one, with a file for each migration")
    if known in _CODE:
        found = _CODE[known](folder, sql, second)
    elif known is MigrationTool.DRIZZLE:
        return drizzle.read_migrations(folder, second)
    elif known is MigrationTool.PRISMA:
        found = _prisma(folder, second)
    elif known is MigrationTool.FLYWAY:
        found = flyway.read_flyway(folder, second)
    elif known is MigrationTool.SQL:
        found = _plain(folder, second)
    else:
        raise InvalidRequest(f"files of {known} can't be read; --tool is one of {', '.join(TOOLS)}")
    if not found:
        raise InvalidRequest(f"{folder} has no migrations of {known}")
    return found


def detect_tool(folder: Path) -> MigrationTool:
    """The tool whose files these are.

    Raises:
        InvalidRequest: none's, or several tools'.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is no folder")
    told = [tool for tool, has in _DETECTORS if has(folder)]
    if len(told) > 1:
        raise InvalidRequest(f"{folder} may be of {' or of '.join(told)}: say which, such as --tool {told[0]}")
    if told:
        return told[0]
    if any(folder.glob("*.sql")):
        return MigrationTool.SQL
    return MigrationTool.DRIZZLE  # whose reader says what it misses


def _is_prisma(folder: Path) -> bool:
    return (folder / "migration_lock.toml").is_file() or (
        any(folder.glob("*/migration.sql")) and not drizzle.drizzle_1_folders(folder)
    )


def _is_django(folder: Path) -> bool:
    return any(
        code.DJANGO_FILE.fullmatch(path.name) and "migrations.Migration" in path.read_text(errors="replace")
        for path in (*folder.glob("*.py"), *folder.glob("migrations/*.py"), *folder.glob("*/migrations/*.py"))
    )


def _any_of(matches: Callable[[str], object]) -> Callable[[Path], bool]:
    return lambda folder: any(matches(path.name) for path in folder.iterdir())


_DETECTORS: tuple[tuple[MigrationTool, Callable[[Path], bool]], ...] = (
    (
        MigrationTool.DRIZZLE,
        lambda folder: (folder / "meta" / "_journal.json").is_file() or bool(drizzle.drizzle_1_folders(folder)),
    ),
    (MigrationTool.PRISMA, _is_prisma),
    (MigrationTool.FLYWAY, _any_of(flyway.FILE.fullmatch)),
    (MigrationTool.ALEMBIC, lambda folder: bool(code.alembic_versions(folder))),
    (MigrationTool.DJANGO, _is_django),
    (MigrationTool.RAILS, _any_of(code.RAILS_FILE.fullmatch)),
    (MigrationTool.KNEX, _any_of(code.KNEX_FILE.fullmatch)),
)


def _prisma(folder: Path, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """`<time>_<name>/migration.sql`; the checksum is the file's SHA-256 (prisma-engines, `checksum.rs`)."""
    files = sorted(folder.glob("*/migration.sql"))
    return tuple(
        from_sql_file(
            MigrationTool.PRISMA, path.parent.name, path, place, second, hashlib.sha256(read(path)[0]).hexdigest()
        )
        for place, path in enumerate(files, start=1)
    )


def _plain(folder: Path, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """`*.sql`, in the order of their names; those that end in `.down.sql` are not applied."""
    files = sorted(path for path in folder.glob("*.sql") if not path.name.endswith(".down.sql"))
    return tuple(
        from_sql_file(MigrationTool.SQL, path.name, path, place, second) for place, path in enumerate(files, start=1)
    )
