"""Journals of migration tools: which tables they are, and their rows without times, durations and names of persons.

A journal is the table in which a tool records the migrations that it applied.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rollback.canonical_json import sha256_of

Row = Mapping[str, Any]
_State = Literal["applied", "failed", "rolled back", "missing"]


class MigrationTool(StrEnum):
    """A migration tool, recognised by its journal.

    A plain folder of SQL files (`sql`) has no journal. A table of another layout is `unknown`.
    """

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


# Tables of these names are journals, in any schema. Rails and tools that follow it use `schema_migrations`.
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
    """A row of a journal; the defaults are Drizzle's.

    Attributes:
        hash: Drizzle's SHA-256 of the file; for other tools their checksum as text, or empty.
        created_at: Drizzle's `when` in milliseconds; Flyway's rank; 0 for other tools.
        tool: a `MigrationTool`; a newer version may know more.
        table: `schema.name` of the journal.
        id: the tool's own name of the migration; Drizzle 0.x has none.
        state: `failed` means begun and not ended. `missing` means that the settings name a journal that does not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    created_at: int
    # Left out of the JSON where they are Drizzle's: so the digest of an older document stays the same.
    tool: str = Field(default="drizzle", exclude_if=lambda value: value == "drizzle")
    table: str = Field(default=_DRIZZLE_JOURNAL, exclude_if=lambda value: value == _DRIZZLE_JOURNAL)
    id: str = Field(default="", exclude_if=lambda value: not value)
    state: Literal["applied", "failed", "rolled back", "missing"] = Field(
        default="applied", exclude_if=lambda value: value == "applied"
    )

    @property
    def key(self) -> tuple[str | int, ...]:
        """Identity of the row in a comparison of two journals.

        Drizzle's table may be moved to another schema, and Drizzle 1.x keeps whole seconds.
        """
        if self.tool == "drizzle":
            return (self.tool, self.created_at // 1000, self.hash, self.state)
        return (self.tool, self.table, self.id, self.created_at, self.hash, self.state)


def journal_rows(table: str, columns: Iterable[str], rows: Iterable[Row]) -> tuple[Migration, ...]:
    """Parse the rows of one journal, oldest first.

    Args:
        table: `schema.name`.
        columns: names of the table's columns, which identify the tool. Each row of an unknown layout becomes a digest.
        rows: the table's rows.
    """
    present = set(columns)
    for tool, needed, order, read in _LAYOUTS:
        if needed <= present:
            return tuple(read(tool, table, row) for row in sorted(rows, key=order))
    return tuple(sorted((_unknown(table, row) for row in rows), key=lambda migration: migration.hash))


def missing_journal(table: str) -> Migration:
    """The row that stands for a journal which the settings name and the database lacks."""
    return _row(MigrationTool.UNKNOWN, table, "", state="missing")


def _row(
    tool: MigrationTool, table: str, name: object, checksum: object = "", rank: int = 0, state: _State = "applied"
) -> Migration:
    text = "" if checksum is None else str(checksum)
    return Migration(tool=tool, table=table, id=str(name), hash=text, created_at=rank, state=state)


def _drizzle(tool: MigrationTool, table: str, row: Row) -> Migration:
    """Parse 0.x with `hash` and `created_at`; 1.x adds `name` and `applied_at` (drizzle-orm, `up-migrations/pg.ts`)."""
    return Migration(tool=tool, table=table, hash=row["hash"], created_at=row["created_at"] or 0)


def _prisma(tool: MigrationTool, table: str, row: Row) -> Migration:
    """Parse a row: unfinished until `finished_at`, rolled back once `prisma migrate resolve` says so."""
    state: _State = "applied" if row["finished_at"] else "failed"
    state = "rolled back" if row["rolled_back_at"] else state
    return _row(tool, table, row["migration_name"], row["checksum"], state=state)


def _flyway(tool: MigrationTool, table: str, row: Row) -> Migration:
    """Parse a row with its rank: repeated, undone and deleted migrations have rows of their own."""
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


def _order_by(*names: str) -> Callable[[Row], tuple[Any, ...]]:
    return lambda row: tuple((row[name] is not None, row[name]) for name in names)


_Read = Callable[[MigrationTool, str, Row], Migration]
# Tool, columns that identify it, order of its rows, and parser of a row. The first layout that fits is used.
_LAYOUTS: tuple[tuple[MigrationTool, set[str], Callable[[Row], tuple[Any, ...]], _Read], ...] = (
    (MigrationTool.DRIZZLE, {"id", "hash", "created_at"}, _order_by("created_at", "id"), _drizzle),
    (
        MigrationTool.PRISMA,
        {"migration_name", "checksum", "started_at", "finished_at", "rolled_back_at"},
        _order_by("started_at", "migration_name"),
        _prisma,
    ),
    (MigrationTool.FLYWAY, {"installed_rank", "script", "checksum", "success"}, _order_by("installed_rank"), _flyway),
    (MigrationTool.ALEMBIC, {"version_num"}, _order_by("version_num"), _alembic),
    (MigrationTool.DJANGO, {"id", "app", "name", "applied"}, _order_by("id"), _django),
    (MigrationTool.KNEX, {"id", "name", "batch", "migration_time"}, _order_by("id"), _knex),
    (MigrationTool.GOLANG_MIGRATE, {"version", "dirty"}, _order_by("version"), _version),
    (MigrationTool.RAILS, {"version"}, _order_by("version"), _version),
)
