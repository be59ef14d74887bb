"""The tools whose journals and files are known, and the rows of their journals, told without what changes by itself."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rollback.canonical_json import sha256_of

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
_DRIZZLE_JOURNAL = "drizzle.__drizzle_migrations"


class Migration(BaseModel):
    """A row of a migration tool's journal in the database; the defaults are Drizzle's, which came first.

    Attributes:
        hash: Drizzle's SHA-256 of the file; of others their checksum, as text, or nothing.
        created_at: Drizzle's `when` (milliseconds); Flyway's rank; 0 of others.
        tool: a `MigrationTool`; a newer version may know more.
        table: `schema.name` of the journal.
        id: the tool's own name of the migration; Drizzle 0.x has none.
        state: `failed`: begun, and not ended; `missing`: a journal that the settings name is not there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    created_at: int
    # Left out where they are Drizzle's: the digest of what an older version stored stays what it was.
    tool: str = Field(default="drizzle", exclude_if=lambda value: value == "drizzle")
    table: str = Field(default=_DRIZZLE_JOURNAL, exclude_if=lambda value: value == _DRIZZLE_JOURNAL)
    id: str = Field(default="", exclude_if=lambda value: not value)
    state: Literal["applied", "failed", "rolled back", "missing"] = Field(
        default="applied", exclude_if=lambda value: value == "applied"
    )

    @property
    def key(self) -> tuple[str | int, ...]:
        """By which it is told from others; Drizzle's table may have been moved, and 1.x keeps whole seconds."""
        if self.tool == "drizzle":
            return (self.tool, self.created_at // 1000, self.hash, self.state)
        return (self.tool, self.table, self.id, self.created_at, self.hash, self.state)


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
