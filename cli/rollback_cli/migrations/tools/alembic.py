"""The revisions of Alembic: Python files that name the revisions before them. Their constants are read, not run."""

import ast
import re
from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.migration_file import SecondOpinion, find_sql, from_code_file, read_file


def is_alembic(folder: Path) -> bool:
    """Whether the folder has revisions."""
    return bool(_revision_files(folder))


def read_alembic(folder: Path, sql: Path | None, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read all revisions in an order in which each revision follows its parents.

    Args:
        folder: the folder `versions`, or the one above it.
        sql: folder with `<revision>.sql`, the output of `alembic upgrade a:b --sql`.
        second_opinion: second classifier of the SQL.

    Raises:
        InvalidRequest: a file has no `revision` that is a string, or the revisions depend on one another in a circle.
    """
    files: dict[str, Path] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for path in sorted(_revision_files(folder)):
        constants = _module_constants(path)
        revision = constants.get("revision")
        if not isinstance(revision, str):
            raise InvalidRequest(f"{path} has no `revision` that is a string")
        files[revision] = path
        parents[revision] = (*_names(constants.get("down_revision")), *_names(constants.get("depends_on")))
    return tuple(
        from_code_file(
            MigrationTool.ALEMBIC,
            revision,
            files[revision],
            place,
            find_sql(sql, revision, files[revision].stem),
            second_opinion,
        ).model_copy(update={"after": parents[revision]})
        for place, revision in enumerate(_parents_first(parents, folder), start=1)
    )


def _parents_first(parents: dict[str, tuple[str, ...]], folder: Path) -> list[str]:
    """Order the revisions; a parent without a file is ignored."""
    ordered: list[str] = []
    while len(ordered) < len(parents):
        ready_revisions = [
            revision
            for revision, parent_revisions in parents.items()
            if revision not in ordered and not (set(parent_revisions) & parents.keys()) - {*ordered}
        ]
        if not ready_revisions:
            raise InvalidRequest(f"the revisions in {folder} depend on one another in a circle")
        ordered += ready_revisions
    return ordered


def _revision_files(folder: Path) -> list[Path]:
    return [
        path
        for path in (*folder.glob("*.py"), *folder.glob("versions/*.py"))
        if re.search(r"^down_revision\b", path.read_text(errors="replace"), re.MULTILINE)
    ]


def _module_constants(path: Path) -> dict[str, object]:
    """Return what a module assigns to its names; None for a value that is no literal."""
    try:
        tree = ast.parse(read_file(path)[1])
    except SyntaxError as error:
        raise InvalidRequest(f"{path} is not valid Python: {error}") from error
    constants: dict[str, object] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                constants[target.id] = _literal(node.value)
    return constants


def _literal(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, tuple | list) else ()
