"""The migrations of Knex: `<14 digits>_name.js` or another module, named by their file in its journal."""

import re
from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.migration_file import SecondOpinion, find_sql, from_code_file

_FILE = re.compile(r"\d{14}_.+\.(?:js|cjs|mjs|ts|cts|mts)")


def is_knex(folder: Path) -> bool:
    """Whether the folder has a migration of Knex."""
    return any(_FILE.fullmatch(path.name) for path in folder.iterdir())


def read_knex(folder: Path, sql: Path | None, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read all migrations, in the order of their files' names.

    Args:
        folder: folder with the migrations.
        sql: folder with `<name>.sql`.
        second_opinion: second classifier of the SQL.
    """
    files = sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))
    return tuple(
        from_code_file(MigrationTool.KNEX, path.name, path, place, find_sql(sql, path.name, path.stem), second_opinion)
        for place, path in enumerate(files, start=1)
    )
