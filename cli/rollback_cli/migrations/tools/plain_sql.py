"""A folder of `*.sql` files without a tool, and so without a journal."""

from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.migration_file import SecondOpinion, from_sql_file


def is_plain_sql(folder: Path) -> bool:
    """Whether the folder has files of SQL."""
    return any(folder.glob("*.sql"))


def read_plain_sql(folder: Path, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read all files in the order of their names, but those that end in `.down.sql`: nothing applies them."""
    files = sorted(path for path in folder.glob("*.sql") if not path.name.endswith(".down.sql"))
    return tuple(
        from_sql_file(MigrationTool.SQL, path.name, path, place, second_opinion)
        for place, path in enumerate(files, start=1)
    )
