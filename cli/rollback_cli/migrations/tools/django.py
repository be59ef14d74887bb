"""The migrations of Django: `<app>/migrations/NNNN_name.py`, named `<app>.<name>` in its journal."""

import re
from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.migration_file import SecondOpinion, find_sql, from_code_file

_FILE = re.compile(r"\d{4}_\w+\.py")


def is_django(folder: Path) -> bool:
    """Whether a migration of Django is in the folder, in its `migrations`, or in that of an app in it."""
    return any(
        _FILE.fullmatch(path.name) and "migrations.Migration" in path.read_text(errors="replace")
        for path in (*folder.glob("*.py"), *folder.glob("migrations/*.py"), *folder.glob("*/migrations/*.py"))
    )


def read_django(folder: Path, sql: Path | None, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read the migrations of all apps below a folder.

    Args:
        folder: folder of the project or of an app, or a folder `migrations`. The name of an app's folder counts as its
            label.
        sql: folder with `<app>.<name>.sql`, the output of `sqlmigrate`.
        second_opinion: second classifier of the SQL.
    """
    own_files = folder.glob("*.py") if folder.name == "migrations" else ()
    files = sorted(path for path in (*folder.rglob("migrations/*.py"), *own_files) if _FILE.fullmatch(path.name))
    files_by_name = {f"{path.parent.resolve().parent.name}.{path.stem}": path for path in files}
    return tuple(
        from_code_file(MigrationTool.DJANGO, name, path, place, find_sql(sql, name), second_opinion)
        for place, (name, path) in enumerate(files_by_name.items(), start=1)
    )
