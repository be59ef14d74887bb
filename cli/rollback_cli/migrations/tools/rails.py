"""The migrations of Rails: `db/migrate/<version>_name.rb`, named by their version in its journal."""

import re
from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.migration_file import SecondOpinion, find_sql, from_code_file

_FILE = re.compile(r"(?P<version>\d{14}|\d{3,})_\w+\.rb")


def is_rails(folder: Path) -> bool:
    """Whether the folder has a migration of Rails."""
    return any(_FILE.fullmatch(path.name) for path in folder.iterdir())


def read_rails(folder: Path, sql: Path | None, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read all migrations, in the order of their files' names.

    Args:
        folder: the folder `db/migrate`.
        sql: folder with `<version>.sql`.
        second_opinion: second classifier of the SQL.
    """
    files = sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))
    versions = {path.name.split("_")[0]: path for path in files}
    return tuple(
        from_code_file(MigrationTool.RAILS, version, path, place, find_sql(sql, version, path.stem), second_opinion)
        for place, (version, path) in enumerate(versions.items(), start=1)
    )
