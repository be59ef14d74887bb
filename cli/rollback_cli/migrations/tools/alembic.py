"""Tools whose migrations are code: Alembic, Django, Rails, Knex. Their ids are read; what they do is in their SQL."""

import ast
import re
from pathlib import Path

from rollback.domain.database.migration_tools import MigrationTool
from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback_cli.migrations.folder import SecondReader, find_sql, from_code_file, read

RAILS_FILE = re.compile(r"(?P<version>\d{14}|\d{3,})_\w+\.rb")
KNEX_FILE = re.compile(r"\d{14}_.+\.(?:js|cjs|mjs|ts|cts|mts)")
DJANGO_FILE = re.compile(r"\d{4}_\w+\.py")


def read_alembic(folder: Path, sql: Path | None, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """All revisions, each after those that it stands on. `sql`: `<revision>.sql` of `alembic upgrade a:b --sql`.

    Raises:
        InvalidRequest: a file does not say its revision as a constant, or the revisions go round in a circle.
    """
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    for path in sorted(alembic_versions(folder)):
        given = _assigned(path)
        revision = given.get("revision")
        if not isinstance(revision, str):
            raise InvalidRequest(f"{path} does not say its `revision` as a text")
        found[revision] = (path, (*_names(given.get("down_revision")), *_names(given.get("depends_on"))))
    ordered: list[str] = []
    while len(ordered) < len(found):
        due = [
            r for r, (_, after) in found.items() if r not in ordered and not (set(after) & found.keys()) - {*ordered}
        ]
        if not due:
            raise InvalidRequest(f"the revisions in {folder} stand on one another in a circle")
        ordered += due
    return tuple(
        from_code_file(
            MigrationTool.ALEMBIC, name, found[name][0], place, find_sql(sql, name, found[name][0].stem), second
        ).model_copy(update={"after": found[name][1]})
        for place, name in enumerate(ordered, start=1)
    )


def alembic_versions(folder: Path) -> list[Path]:
    """The revisions in a `versions` folder, or in the one above it."""
    return [
        path
        for path in (*folder.glob("*.py"), *folder.glob("versions/*.py"))
        if re.search(r"^down_revision\b", path.read_text(errors="replace"), re.MULTILINE)
    ]


def read_django(folder: Path, sql: Path | None, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """`<app>/migrations/NNNN_name.py` of all apps below a folder; `sql`: `<app>.<name>.sql` of `sqlmigrate`.

    Args:
        folder: the project's, an app's, or one `migrations`. An app's label is taken to be its folder's name.
    """
    files = sorted(
        path for path in (*folder.rglob("migrations/*.py"), *_own_files(folder)) if DJANGO_FILE.fullmatch(path.name)
    )
    named = {f"{path.parent.resolve().parent.name}.{path.stem}": path for path in files}
    return tuple(
        from_code_file(MigrationTool.DJANGO, name, path, place, find_sql(sql, name), second)
        for place, (name, path) in enumerate(named.items(), start=1)
    )


def read_rails(folder: Path, sql: Path | None, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """`db/migrate/<version>_name.rb`; `sql`: `<version>.sql`."""
    files = sorted(path for path in folder.iterdir() if RAILS_FILE.fullmatch(path.name))
    versions = {path.name.split("_")[0]: path for path in files}
    return tuple(
        from_code_file(MigrationTool.RAILS, name, path, place, find_sql(sql, name, path.stem), second)
        for place, (name, path) in enumerate(versions.items(), start=1)
    )


def read_knex(folder: Path, sql: Path | None, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """`<14 digits>_name.js`, by its whole name; `sql`: `<name>.sql`."""
    files = sorted(path for path in folder.iterdir() if KNEX_FILE.fullmatch(path.name))
    return tuple(
        from_code_file(MigrationTool.KNEX, path.name, path, place, find_sql(sql, path.name, path.stem), second)
        for place, path in enumerate(files, start=1)
    )


def _own_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.py")) if folder.name == "migrations" else []


def _assigned(path: Path) -> dict[str, object]:
    """The constants of a module; nothing of it is run."""
    try:
        tree = ast.parse(read(path)[1])
    except SyntaxError as error:
        raise InvalidRequest(f"{path} is no Python: {error}") from error
    given: dict[str, object] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                given[target.id] = _constant(node.value)
    return given


def _constant(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def _names(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    return tuple(one for one in given if isinstance(one, str)) if isinstance(given, tuple | list) else ()
