"""State of a database, read by SQL: sessions, schema, migrations, and the rows that a restore removed."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.resources.database.wal_position import LsnText

_DRIZZLE_S = "drizzle.__drizzle_migrations"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WalPosition(BaseModel):
    """End of a database's log with the database's time, the two parts of a restore point.

    Attributes:
        timeline: Neon's identity of the history in which the LSN is a position; None for another Postgres.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # part of a document: a newer version may have written it

    lsn: LsnText
    at: AwareDatetime
    timeline: str | None = None


CLIENT = "client backend"


class ClientSession(_Frozen):
    """Session that is neither the rollback's nor Neon's own.

    Attributes:
        state: None if the role may not see it.
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
        """Whether a program connected; False for a background worker of Postgres."""
        return self.kind == CLIENT

    @property
    def in_words(self) -> str:
        """Description by which an operator finds the session's owner."""
        where = f" in database {self.database}" if self.database else ""
        since = f", since {self.connected_at:%H:%M:%S} UTC" if self.connected_at is not None else ""
        if not self.is_client:
            return f"{self.kind} as {self.role}{where}{since}"
        return f"{self.application or 'unnamed'} as {self.role} from {self.address or 'unknown'}{where}{since}"


class Column(_Frozen):
    """Column of a table or view.

    Attributes:
        has_default: an INSERT may leave the column out: it has a default, an identity or a generation expression.
        generated: an INSERT must leave the column out (`GENERATED ALWAYS`).
        default_differs: the default has another value for each row, as a sequence does.
        default: default expression, a long one by its digest; None if there is none, or in an older snapshot.
        sequence: start, increment and bounds of the identity's or the column's own sequence; None as above.
    """

    type: str
    nullable: bool
    has_default: bool
    generated: bool = False
    default_differs: bool = False
    # Left out where not known, so that the digest of a document of an older version stays the same.
    default: str | None = Field(default=None, exclude_if=lambda value: value is None)
    sequence: str | None = Field(default=None, exclude_if=lambda value: value is None)


class Constraint(_Frozen):
    """Constraint of a table, identified by its definition without its name.

    Attributes:
        columns: columns of its own table that the constraint reads.
        null_passes: the constraint never refuses a row with NULL in one of the columns.
        refuses_deletes_in: `schema.table` whose rows can't be deleted while a row of this table refers to them.
    """

    kind: Literal["unique", "check", "foreign", "exclusion"]
    columns: tuple[str, ...]
    definition: str
    null_passes: bool = False
    refuses_deletes_in: str | None = None


class SchemaObject(_Frozen):
    """Any other object that decides what a statement does.

    Attributes:
        definition: digest of the definition.
        table: table that the object belongs to; None if there is none.
    """

    kind: Literal["sequence", "function", "domain", "type", "trigger", "policy", "rule", "row security"]
    name: str
    definition: str
    table: str | None = None


class LiveSchema(_Frozen):
    """Schema of a database, without objects of Postgres and of extensions.

    Privileges, collations and the present values of sequences are left out.

    Attributes:
        tables: `schema.name` → column name → column.
        views: the same for views.
        enums: name of the type, as columns have it → values.
        view_bodies: digest of each view's query; None in a snapshot of an older version.
        partitions: partition → parent; partitions are not among `tables`. None in a snapshot of an older version, which
            has them among `tables`.
    """

    tables: dict[str, dict[str, Column]]
    views: dict[str, dict[str, Column]] = Field(default_factory=dict)
    constraints: dict[str, tuple[Constraint, ...]] = Field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    objects: tuple[SchemaObject, ...] = ()
    view_bodies: dict[str, str] | None = Field(default=None, exclude_if=lambda value: value is None)
    partitions: dict[str, str] | None = Field(default=None, exclude_if=lambda value: value is None)


class Migration(_Frozen):
    """Row of a migration tool's journal; the defaults are Drizzle's, the first supported tool.

    Attributes:
        hash: Drizzle's SHA-256 of the file; another tool's checksum as text, or nothing.
        created_at: Drizzle's `when` (milliseconds); Flyway's rank; 0 for other tools.
        tool: a `migration_tools.MigrationTool`; a newer version may have more.
        table: `schema.name` of the journal.
        id: the tool's name of the migration; Drizzle 0.x has none.
        state: `failed` for a migration that was begun and not ended; `missing` for a journal that the settings name
            and the database does not have.
    """

    hash: str
    created_at: int
    # Left out where they are Drizzle's, so that the digest of a document of an older version stays the same.
    tool: str = Field(default="drizzle", exclude_if=lambda value: value == "drizzle")
    table: str = Field(default=_DRIZZLE_S, exclude_if=lambda value: value == _DRIZZLE_S)
    id: str = Field(default="", exclude_if=lambda value: not value)
    state: Literal["applied", "failed", "rolled back", "missing"] = Field(
        default="applied", exclude_if=lambda value: value == "applied"
    )

    @property
    def key(self) -> tuple[str | int, ...]:
        """Identity of the migration; Drizzle's table may have been moved, and Drizzle 1.x keeps whole seconds."""
        if self.tool == "drizzle":
            return (self.tool, self.created_at // 1000, self.hash, self.state)
        return (self.tool, self.table, self.id, self.created_at, self.hash, self.state)


class TableDataLoss(BaseModel):
    """Table that differs between the backup and the restored branch.

    Attributes:
        rows_before: number of rows in the backup.
        rows_after: number of rows on the restored branch.
        removed_rows: rows that only the backup has; None if rows were only counted, or an older version wrote this.
        changed_rows: rows with the same key and other values.
        returned_rows: rows that only the restored branch has, since they were deleted after the restore point.
        removed_keys: examples, as a JSON array where the key has several columns; None if none are kept.
        changed_keys: examples, as above.
        has_key: False without a primary key. Rows were then compared as a multiset: a changed row counts as a removed
            and a returned row.
        is_gone: the restored branch does not have the table.
        removed_columns: columns that only the backup has; rows are compared without them.
        returned_columns: columns that only the restored table has; rows are compared without them.
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
        """Whether the restore removed or replaced rows or columns, as far as the comparison shows."""
        counts = (self.removed_rows, self.changed_rows, self.returned_rows, self.removed_keys, self.changed_keys)
        differs = any(counts) or self.rows_before != self.rows_after
        return differs or self.is_gone or bool(self.removed_columns)
