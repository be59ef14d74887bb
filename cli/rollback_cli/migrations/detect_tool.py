"""Detect the migration tool that a folder belongs to."""

from collections.abc import Callable
from pathlib import Path

from rollback.errors import InvalidRequest
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools import alembic, django, drizzle, flyway, knex, plain_sql, prisma, rails

_DETECTORS: dict[MigrationTool, Callable[[Path], bool]] = {
    MigrationTool.DRIZZLE: drizzle.is_drizzle,
    MigrationTool.PRISMA: prisma.is_prisma,
    MigrationTool.FLYWAY: flyway.is_flyway,
    MigrationTool.ALEMBIC: alembic.is_alembic,
    MigrationTool.DJANGO: django.is_django,
    MigrationTool.RAILS: rails.is_rails,
    MigrationTool.KNEX: knex.is_knex,
}


def detect_tool(folder: Path) -> MigrationTool:
    """Detect the tool by the files of a folder.

    A folder that fits no tool is taken for Drizzle's, whose reader says what is missing.

    Raises:
        InvalidRequest: the folder doesn't exist, or fits several tools.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is not a folder")
    tools = [tool for tool, is_folder_of in _DETECTORS.items() if is_folder_of(folder)]
    if len(tools) > 1:
        raise InvalidRequest(
            f"the files in {folder} fit {' and '.join(tools)}; name the tool, for example with --tool {tools[0]}"
        )
    if tools:
        return tools[0]
    return MigrationTool.SQL if plain_sql.is_plain_sql(folder) else MigrationTool.DRIZZLE
