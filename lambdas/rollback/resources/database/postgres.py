"""What SQL tells of a database: who is connected, what its tables look like, and what a restore took out of it."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.resources.database.wal_position import LsnText

_DRIZZLE_S = "drizzle.__drizzle_migrations"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WalPosition(BaseModel):
    """The end of a database's log, and its own clock: the two that a restore point is made of.

    Attributes:
        timeline: Neon's identity of the history that the LSN is a position in; None: this Postgres tells none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # part of a document: a newer version may have written it

    lsn: LsnText
    at: AwareDatetime
    timeline: str | None = None


CLIENT = "client backend"


class ClientSession(_Frozen):
    """A connection that is neither ours nor Neon's own; `state` is None if we may not see it.

    Attributes:
        kind: Postgres's `backend_type`; a background worker is no client.
    """

    pid: int
    role: str
    application: str = ""
    address: str | None = None
    state: str | None = None
    connected_at: datetime | None = None
    database: str = ""
    kind: str = CLIENT

    @property
    def is_client(self) -> bool:
        """Whether a program connected to the database; False: the database itself started it."""
        return self.kind == CLIENT

    @property
    def in_words(self) -> str:
        """Who it is, for whoever has to end it."""
        where = f" in database {self.database}" if self.database else ""
        since = f", since {self.connected_at:%H:%M:%S} UTC" if self.connected_at is not None else ""
        if not self.is_client:
            return f"{self.kind} as {self.role}{where}{since}"
        return f"{self.application or 'unnamed'} as {self.role} from {self.address or 'unknown'}{where}{since}"


class Column(_Frozen):
    """`has_default`: an INSERT may leave it out, by a default, an identity or a generation expression.

    `generated`: an INSERT must leave it out: the database refuses any value (`GENERATED ALWAYS`).
    `default_differs`: each row that leaves it out is given another value, as by a sequence.
    `default`: the expression that gives it, a long one by its digest; None: there is none, or an older snapshot.
    `sequence`: start, increment and bounds of the identity's or the column's own sequence; None: as above.
    """

    type: str
    nullable: bool
    has_default: bool
    generated: bool = False
    default_differs: bool = False
    # Left out where they are not known: the digest of what an older version stored stays what it was.
    default: str | None = Field(default=None, exclude_if=lambda value: value is None)
    sequence: str | None = Field(default=None, exclude_if=lambda value: value is None)


class Constraint(_Frozen):
    """What a table refuses, by what it says; its name is no part of it.

    Attributes:
        columns: of its own table, those that it looks at.
        null_passes: a row with NULL in one of the columns is never refused.
        refuses_deletes_in: `schema.table` whose rows can't be deleted while one here points to them.
    """

    kind: Literal["unique", "check", "foreign", "exclusion"]
    columns: tuple[str, ...]
    definition: str
    null_passes: bool = False
    refuses_deletes_in: str | None = None


class SchemaObject(_Frozen):
    """Anything else that decides what a statement does, by the digest of its definition; `table` that it sits on."""

    kind: Literal["sequence", "function", "domain", "type", "trigger", "policy", "rule", "row security"]
    name: str
    definition: str
    table: str | None = None


class LiveSchema(_Frozen):
    """Relations are `schema.name` → column → what it is. What the system or an extension owns is left out.

    `enums` are called as columns call their type. Not told: privileges, collations, where a sequence stands.

    Attributes:
        view_bodies: digest of each view's query; None: a snapshot of an older version.
        partitions: each partition and its parent: they come and go, and are not among `tables`. None: a snapshot of an
            older version, which has them among `tables`.
    """

    tables: dict[str, dict[str, Column]]
    views: dict[str, dict[str, Column]] = Field(default_factory=dict)
    constraints: dict[str, tuple[Constraint, ...]] = Field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    objects: tuple[SchemaObject, ...] = ()
    view_bodies: dict[str, str] | None = Field(default=None, exclude_if=lambda value: value is None)
    partitions: dict[str, str] | None = Field(default=None, exclude_if=lambda value: value is None)


class Migration(_Frozen):
    """A row of a migration tool's journal in the database; the defaults are Drizzle's, which came first.

    Attributes:
        hash: Drizzle's SHA-256 of the file; of others their checksum, as text, or nothing.
        created_at: Drizzle's `when` (milliseconds); Flyway's rank; 0 of others.
        tool: a `migration_tools.MigrationTool`; a newer version may know more.
        table: `schema.name` of the journal.
        id: the tool's own name of the migration; Drizzle 0.x has none.
        state: `failed`: begun, and not ended; `missing`: a journal that the settings name is not there.
    """

    hash: str
    created_at: int
    # Left out where they are Drizzle's: the digest of what an older version stored stays what it was.
    tool: str = Field(default="drizzle", exclude_if=lambda value: value == "drizzle")
    table: str = Field(default=_DRIZZLE_S, exclude_if=lambda value: value == _DRIZZLE_S)
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


class TableDataLoss(BaseModel):
    """A table that differs between the backup and the restored branch.

    Attributes:
        rows_before: in the backup. rows_after: on the restored branch.
        removed_rows: only the backup has them; None: rows were only counted, or an older version wrote it.
        changed_rows: both have the key, with other values.
        returned_rows: only the restored branch has them: they were deleted after the restore point.
        removed_keys, changed_keys: examples, as a JSON array where the key has several columns; None: none are kept.
        has_key: without a primary key, rows were compared as a multiset: a changed row is one gone and one back.
        is_gone: the whole table is.
        removed_columns: with all their values; rows are compared without them.
        returned_columns: only the restored table has them; rows are compared without them too.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    table: str
    rows_before: int
    rows_after: int
    removed_rows: int | None = None
    changed_rows: int | None = None
    returned_rows: int | None = None
    has_key: bool = True
    removed_keys: tuple[str, ...] | None = None
    changed_keys: tuple[str, ...] | None = None
    is_gone: bool = False
    removed_columns: tuple[str, ...] = ()
    returned_columns: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether the restore took something out of it, or put other rows in, as far as it can be told."""
        told = (self.removed_rows, self.changed_rows, self.returned_rows, self.removed_keys, self.changed_keys)
        differs = any(told) or self.rows_before != self.rows_after
        return differs or self.is_gone or bool(self.removed_columns)
