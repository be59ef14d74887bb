"""Journals of migration tools: compare two of them, and match their rows with the files that releases shipped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rollback.canonical_json import sha256_of
from rollback.domain.database.migration_impact import MigrationImpact, unknown
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_verdict import JournalRelation
from rollback.resources.database.migration_journal import Migration, MigrationTool


@dataclass(frozen=True)
class JournalComparison:
    """The live journal, compared with the one that the target was good with.

    Attributes:
        relation: the relation, as far as both sides are known.
        extra_rows: rows that only the live journal has, in its order; empty unless it is ahead or diverged.
        is_absent: neither side has a journal. The target's record may have searched for Drizzle's alone.
    """

    relation: JournalRelation
    extra_rows: tuple[Migration, ...] = ()
    is_absent: bool = False


def compare_journals(
    target: ReleaseSchema, journal: tuple[Migration, ...] | None, shipped: tuple[ShippedMigration, ...]
) -> JournalComparison:
    """Compare the live journal with the target's.

    Args:
        target: the schema recorded for the target.
        journal: the live journal; None: the database has none.
        shipped: all files that are known. They list the ancestors of Alembic's heads.
    """
    if target.expected_journal is None or journal is None:
        is_absent = target.expected_journal is None and journal is None
        is_proven = is_absent and target.has_searched_all_journals
        relation = JournalRelation.ABSENT if is_proven else JournalRelation.ONE_SIDED
        return JournalComparison(relation, is_absent=is_absent)
    live_rows = with_ancestors(journal, shipped)
    expected_keys = {row.key for row in with_ancestors(target.expected_journal, shipped)}
    live_keys = {row.key for row in live_rows}
    if live_keys <= expected_keys:
        is_equal = live_keys == expected_keys
        return JournalComparison(JournalRelation.EQUAL if is_equal else JournalRelation.BEHIND)
    extra_rows = tuple(row for row in live_rows if row.key not in expected_keys)
    is_ahead = live_keys > expected_keys
    return JournalComparison(JournalRelation.AHEAD if is_ahead else JournalRelation.DIVERGED, extra_rows)


def impact_of_row(row: Migration, files: Iterable[ShippedMigration]) -> MigrationImpact:
    """Class of an applied migration; unknown if no release shipped it, or if the shipped file differs."""
    files_of_row = tuple(file for file in files if _has_same_name(row, file))
    applied_file = next((file for file in files_of_row if _has_same_content(row, file)), None)
    if applied_file is not None:
        return applied_file.impact
    if files_of_row:
        return unknown(f"the shipped file of {migration_label(row)} differs from the one that was applied")
    return unknown(f"migration {migration_label(row)} was recorded by no release")


def find_shipped_file(row: Migration, files: Iterable[ShippedMigration]) -> ShippedMigration | None:
    """Find the file that a row applied, as a release shipped it; None: no release shipped it."""
    return next((file for file in files if _has_same_name(row, file) and _has_same_content(row, file)), None)


def migration_label(row: Migration) -> str:
    """Name of a row for an operator: the tool's own, else the beginning of its hash, else its table."""
    return row.id or row.hash[:12] or row.table


def is_applied(
    file: ShippedMigration, journal: Iterable[Migration] | None, release_files: Iterable[ShippedMigration]
) -> bool:
    """Whether the journal lists the file with its present content; a file that changed since is not applied.

    Args:
        file: the file.
        journal: rows of all tools' journals; None: the database has no journal.
        release_files: all files of the release. Alembic's journal lists only the newest revision.
    """
    rows = with_ancestors(tuple(journal or ()), release_files)
    return any(row.state == "applied" and _has_same_name(row, file) and _has_same_content(row, file) for row in rows)


def with_ancestors(journal: tuple[Migration, ...], files: Iterable[ShippedMigration]) -> tuple[Migration, ...]:
    """Add the ancestors of Alembic's heads, as far as files name them; rows of other tools stay as they are."""
    parents = {file.id: file.after for file in files if file.tool == MigrationTool.ALEMBIC}
    heads = tuple(row for row in journal if row.tool == MigrationTool.ALEMBIC)
    rows: dict[str, Migration] = {row.id: row for row in heads}
    pending = list(heads)
    while pending:
        row = pending.pop()
        for name in parents.get(row.id, ()):
            if name not in rows:
                rows[name] = row.model_copy(update={"id": name})
                pending.append(rows[name])
    return (*journal, *(row for row in rows.values() if row not in heads))


def list_unfinished(journal: Iterable[Migration] | None) -> tuple[str, ...]:
    """Sentences about migrations that a tool began and did not end, and about journals that the database lacks."""
    return tuple(_unfinished(journal or ()))


def _unfinished(journal: Iterable[Migration]) -> Iterator[str]:
    for row in journal:
        if row.state == "failed":
            yield f"migration {migration_label(row)} of {row.tool} did not finish ({row.table})"
        elif row.state == "missing":
            yield f"the journal {row.table} of the settings is not in the database"


def summarize_journals(journal: Iterable[Migration] | None) -> tuple[str, ...]:
    """A line for each journal: its tool, its table, the number of rows, and their digest."""
    tables: dict[tuple[str, str], list[Migration]] = {}
    for row in journal or ():
        tables.setdefault((row.tool, row.table), []).append(row)
    return tuple(
        f"{tool}, {table}: {len(rows)} rows, {sha256_of({'rows': [row.key for row in rows]})[:12]}"
        for (tool, table), rows in tables.items()
    )


def has_plain_files(shipped: Iterable[ShippedMigration]) -> bool:
    """Whether some release shipped a plain folder of SQL."""
    return any(file.tool == MigrationTool.SQL for file in shipped)


def find_plain_files_absent_from(
    target: Iterable[ShippedMigration], shipped: Iterable[ShippedMigration]
) -> tuple[ShippedMigration, ...]:
    """Plain SQL files that some release shipped and the target did not: no journal lists which are applied."""
    target_keys = {(file.id, file.hash) for file in target}
    return tuple(file for file in shipped if file.tool == MigrationTool.SQL and (file.id, file.hash) not in target_keys)


def _has_same_name(row: Migration, file: ShippedMigration) -> bool:
    if row.tool != file.tool:
        return False
    return row.hash == file.hash if row.tool == MigrationTool.DRIZZLE else row.id == file.id


def _has_same_content(row: Migration, file: ShippedMigration) -> bool:
    """Compare checksums; Drizzle's hash has matched already, and its time distinguishes equal files.

    Drizzle 1.x keeps whole seconds of that time.
    """
    if row.tool == MigrationTool.DRIZZLE:
        return row.created_at // 1000 == file.created_at // 1000
    return not row.hash or file.checksum is None or row.hash == file.checksum
