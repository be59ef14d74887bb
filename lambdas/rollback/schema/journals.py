"""The journals in a database, held against what releases shipped: which row is whose file, and what is not finished."""

from collections.abc import Iterable, Iterator

from rollback.canonical_json import sha256_of
from rollback.domain.database.migration_impact import MigrationImpact, unknown
from rollback.domain.database.migration_tools import MigrationTool
from rollback.domain.database.release_schema import ShippedMigration
from rollback.resources.database.postgres import Migration


def impact_of(row: Migration, known: Iterable[ShippedMigration]) -> MigrationImpact:
    """The class of what was applied; unknown, if no release shipped it, or one shipped another file by its name."""
    found = tuple(one for one in known if _is_of(row, one))
    same = next((one for one in found if _same_file(row, one)), None)
    if same is not None:
        return same.impact
    if found:
        return unknown(f"the file of {migration_label(row)} is another one than was applied")
    return unknown(f"migration {migration_label(row)} was recorded by no release")


def find_shipped_file(row: Migration, known: Iterable[ShippedMigration]) -> ShippedMigration | None:
    """The file that was applied, as a release shipped it."""
    return next((one for one in known if _is_of(row, one) and _same_file(row, one)), None)


def migration_label(row: Migration) -> str:
    """A row's name for people: its tool's own, or the beginning of a hash."""
    return row.id or row.hash[:12] or row.table


def is_applied(
    shipped: ShippedMigration, journal: Iterable[Migration] | None, among: Iterable[ShippedMigration]
) -> bool:
    """Whether the journal has the file as it is; a file that was changed since is not.

    Args:
        among: all files of the release: Alembic's journal has the newest revision only.
    """
    rows = with_ancestors(tuple(journal or ()), among)
    return any(_is_of(row, shipped) and _same_file(row, shipped) and row.state == "applied" for row in rows)


def with_ancestors(journal: tuple[Migration, ...], known: Iterable[ShippedMigration]) -> tuple[Migration, ...]:
    """The journal with what lies below Alembic's heads, as far as files tell it; others' journals are as they are."""
    below = {one.id: one.after for one in known if one.tool == MigrationTool.ALEMBIC}
    heads = tuple(row for row in journal if row.tool == MigrationTool.ALEMBIC)
    found: dict[str, Migration] = {row.id: row for row in heads}
    due = list(heads)
    while due:
        row = due.pop()
        for name in below.get(row.id, ()):
            if name not in found:
                found[name] = row.model_copy(update={"id": name})
                due.append(found[name])
    return (*journal, *(row for name, row in found.items() if row not in heads))


def unfinished(journal: Iterable[Migration] | None) -> tuple[str, ...]:
    """What a tool began and did not end, and journals that the settings name and the database lacks."""
    return tuple(_unfinished(tuple(journal or ())))


def _unfinished(journal: tuple[Migration, ...]) -> Iterator[str]:
    for row in journal:
        if row.state == "failed":
            yield f"migration {migration_label(row)} of {row.tool} did not finish ({row.table})"
        elif row.state == "missing":
            yield f"the journal {row.table} of the settings is not in the database"


def summarize_journals(journal: Iterable[Migration] | None) -> tuple[str, ...]:
    """Each journal on a line: its tool, its table, how many rows, and their digest."""
    tables: dict[tuple[str, str], list[Migration]] = {}
    for row in journal or ():
        tables.setdefault((row.tool, row.table), []).append(row)
    return tuple(
        f"{tool}, {table}: {len(rows)} rows, {sha256_of({'rows': [row.key for row in rows]})[:12]}"
        for (tool, table), rows in tables.items()
    )


def find_files_absent_from(
    target: Iterable[ShippedMigration], known: Iterable[ShippedMigration]
) -> tuple[ShippedMigration, ...]:
    """Files of plain SQL folders that releases shipped, and a target did not: no journal tells which are applied."""
    had = {(one.id, one.hash) for one in target}
    return tuple(one for one in known if one.tool == MigrationTool.SQL and (one.id, one.hash) not in had)


def _is_of(row: Migration, shipped: ShippedMigration) -> bool:
    if row.tool != shipped.tool:
        return False
    return row.hash == shipped.hash if row.tool == MigrationTool.DRIZZLE else row.id == shipped.id


def _same_file(row: Migration, shipped: ShippedMigration) -> bool:
    """Drizzle's hash is the match itself; its time tells equal files apart, but 1.x keeps whole seconds of it."""
    if row.tool == MigrationTool.DRIZZLE:
        return row.created_at // 1000 == shipped.created_at // 1000
    return not row.hash or shipped.checksum is None or row.hash == shipped.checksum
