"""The tools whose journals and files are known, and the rows of their journals, told without what changes by itself."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from rollback.canonical_json import sha256_of
from rollback.resources.database.postgres import Migration

Row = Mapping[str, Any]
_State = Literal["applied", "failed", "rolled back", "missing"]


class MigrationTool(StrEnum):
    """A tool by its journal; `sql` is a plain folder, which has none, and `unknown` a table of another layout."""

    DRIZZLE = "drizzle"
    PRISMA = "prisma"
    FLYWAY = "flyway"
    ALEMBIC = "alembic"
    DJANGO = "django"
    RAILS = "rails"
    KNEX = "knex"
    GOLANG_MIGRATE = "golang-migrate"
    SQL = "sql"
    UNKNOWN = "unknown"


# Tables of these names are journals, in whichever schema. `schema_migrations` is Rails's, and that of tools after it.
JOURNAL_NAMES = (
    "__drizzle_migrations",
    "_prisma_migrations",
    "flyway_schema_history",
    "alembic_version",
    "django_migrations",
    "schema_migrations",
    "knex_migrations",
)


def journal_rows(table: str, columns: Iterable[str], rows: Iterable[Row]) -> tuple[Migration, ...]:
    """The rows of one journal, oldest first, without times, durations and names of people.

    Args:
        table: `schema.name`.
        columns: those of the table, by which its tool is known; of any other layout each row has a digest.
    """
    there = set(columns)
    for tool, needed, order, read in _LAYOUTS:
        if needed <= there:
            return tuple(read(tool, table, row) for row in sorted(rows, key=order))
    return tuple(sorted((_unknown(table, row) for row in rows), key=lambda one: one.hash))


def missing_journal(table: str) -> Migration:
    """The settings name a journal, and the database has no such table."""
    return _row(MigrationTool.UNKNOWN, table, "", state="missing")


def _row(
    tool: MigrationTool, table: str, name: object, checksum: object = "", rank: int = 0, state: _State = "applied"
) -> Migration:
    told = "" if checksum is None else str(checksum)
    return Migration(tool=tool, table=table, id=str(name), hash=told, created_at=rank, state=state)


def _drizzle(tool: MigrationTool, table: str, row: Row) -> Migration:
    """0.x has `hash` and `created_at`; 1.x adds `name` and `applied_at` (drizzle-orm, `up-migrations/pg.ts`)."""
    return Migration(tool=tool, table=table, hash=row["hash"], created_at=row["created_at"] or 0)


def _prisma(tool: MigrationTool, table: str, row: Row) -> Migration:
    """Unfinished until `finished_at`; a person may have called it rolled back (`prisma migrate resolve`)."""
    state: _State = "applied" if row["finished_at"] else "failed"
    state = "rolled back" if row["rolled_back_at"] else state
    return _row(tool, table, row["migration_name"], row["checksum"], state=state)


def _flyway(tool: MigrationTool, table: str, row: Row) -> Migration:
    """Repeated, undone and deleted ones are rows of their own, so that the rank is part of what a row is."""
    state: _State = "applied" if row["success"] else "failed"
    return _row(tool, table, row["script"], row["checksum"], row["installed_rank"], state)


def _version(tool: MigrationTool, table: str, row: Row) -> Migration:
    return _row(tool, table, row["version"], state="failed" if row.get("dirty") else "applied")


def _alembic(tool: MigrationTool, table: str, row: Row) -> Migration:
    return _row(tool, table, row["version_num"])


def _django(tool: MigrationTool, table: str, row: Row) -> Migration:
    return _row(tool, table, f"{row['app']}.{row['name']}")


def _knex(tool: MigrationTool, table: str, row: Row) -> Migration:
    return _row(tool, table, row["name"])


def _unknown(table: str, row: Row) -> Migration:
    return _row(MigrationTool.UNKNOWN, table, "", sha256_of(dict(row)))


def _by(*names: str) -> Callable[[Row], tuple[Any, ...]]:
    return lambda row: tuple((row[name] is not None, row[name]) for name in names)


_Read = Callable[[MigrationTool, str, Row], Migration]
# tool, the columns that tell it, the order of its rows, and how one is read; the first that fits.
_LAYOUTS: tuple[tuple[MigrationTool, set[str], Callable[[Row], tuple[Any, ...]], _Read], ...] = (
    (MigrationTool.DRIZZLE, {"id", "hash", "created_at"}, _by("created_at", "id"), _drizzle),
    (
        MigrationTool.PRISMA,
        {"migration_name", "checksum", "started_at", "finished_at", "rolled_back_at"},
        _by("started_at", "migration_name"),
        _prisma,
    ),
    (MigrationTool.FLYWAY, {"installed_rank", "script", "checksum", "success"}, _by("installed_rank"), _flyway),
    (MigrationTool.ALEMBIC, {"version_num"}, _by("version_num"), _alembic),
    (MigrationTool.DJANGO, {"id", "app", "name", "applied"}, _by("id"), _django),
    (MigrationTool.KNEX, {"id", "name", "batch", "migration_time"}, _by("id"), _knex),
    (MigrationTool.GOLANG_MIGRATE, {"version", "dirty"}, _by("version"), _version),
    (MigrationTool.RAILS, {"version"}, _by("version"), _version),
)
