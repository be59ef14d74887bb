"""Read the migrations that a version ships, of any supported tool."""

from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.detect_tool import detect_tool
from rollback_cli.migrations.impact.squawk import run_squawk
from rollback_cli.migrations.tools.alembic import read_alembic
from rollback_cli.migrations.tools.django import read_django
from rollback_cli.migrations.tools.drizzle import read_drizzle
from rollback_cli.migrations.tools.flyway import read_flyway
from rollback_cli.migrations.tools.knex import read_knex
from rollback_cli.migrations.tools.migration_file import SecondOpinion
from rollback_cli.migrations.tools.plain_sql import read_plain_sql
from rollback_cli.migrations.tools.prisma import read_prisma
from rollback_cli.migrations.tools.rails import read_rails

_READERS_OF_SQL = {
    MigrationTool.PRISMA: read_prisma,
    MigrationTool.FLYWAY: read_flyway,
    MigrationTool.SQL: read_plain_sql,
}
_READERS_OF_CODE = {
    MigrationTool.ALEMBIC: read_alembic,
    MigrationTool.DJANGO: read_django,
    MigrationTool.RAILS: read_rails,
    MigrationTool.KNEX: read_knex,
}
TOOLS = (
    *(MigrationTool.DRIZZLE, MigrationTool.PRISMA, MigrationTool.FLYWAY),
    *(*_READERS_OF_CODE, MigrationTool.SQL),
)


def read_migrations(
    folder: Path,
    tool: MigrationTool | None = None,
    sql: Path | None = None,
    second_opinion: SecondOpinion = run_squawk,
) -> tuple[ShippedMigration, ...]:
    """Read and classify all migrations of a version, in the order of their tool.

    Args:
        folder: folder with the migrations.
        tool: migration tool; None: detected from the files.
        sql: folder with the SQL of migrations that are code.
        second_opinion: second classifier of each text.

    Raises:
        InvalidRequest: the tool can't be detected or is not supported, or a file can't be read.
        ExternalServiceError: squawk did not answer.
    """
    tool = tool or detect_tool(folder)
    if sql is not None and tool not in _READERS_OF_CODE:
        raise InvalidRequest(
            f"--sql is for migrations that are code, and migrations of {tool} are SQL; leave --sql out"
        )
    if sql is not None and not sql.is_dir():
        raise InvalidRequest(f"--sql: {sql} is not a folder; name a folder with a file of SQL for each migration")
    if tool is MigrationTool.DRIZZLE:
        return read_drizzle(folder, second_opinion)
    if tool in _READERS_OF_CODE:
        migrations = _READERS_OF_CODE[tool](folder, sql, second_opinion)
    elif tool in _READERS_OF_SQL:
        migrations = _READERS_OF_SQL[tool](folder, second_opinion)
    else:
        raise InvalidRequest(f"migrations of {tool} can't be read; --tool is one of {', '.join(TOOLS)}")
    if not migrations:
        raise InvalidRequest(f"{folder} has no migrations of {tool}")
    return migrations
