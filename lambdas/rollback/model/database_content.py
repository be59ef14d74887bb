"""What SQL tells of a database: who is connected, what its tables look like, and what a restore took out of it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.model.database_position import LsnText


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Head(_Frozen):
    """The end of a database's log, and its own clock: the two that a restore point is made of."""

    lsn: LsnText
    at: AwareDatetime


class ClientSession(_Frozen):
    """A connection that is neither ours nor Neon's own; `state` is None if we may not see it."""

    pid: int
    role: str
    application: str = ""
    address: str | None = None
    state: str | None = None
    connected_at: datetime | None = None


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
    """A row of Drizzle's journal in the database: SHA-256 of the file, and the journal's `when` (milliseconds)."""

    hash: str
    created_at: int


class TableContent(_Frozen):
    """How many rows a table has; primary key → digest of the row, unless it has no key or more rows than asked for."""

    rows: int
    digests: dict[str, str] | None = None


class LostWrites(BaseModel):
    """What a backup's table has and the restored one has not; keys are None if only rows could be counted.

    Attributes:
        is_gone: the whole table is.
        removed_columns: with all their values; rows are compared without them.
        returned_columns: only the restored table has them; rows are compared without them too.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    table: str
    rows_before: int
    rows_after: int
    removed_keys: tuple[str, ...] | None = None
    changed_keys: tuple[str, ...] | None = None
    is_gone: bool = False
    removed_columns: tuple[str, ...] = ()
    returned_columns: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether the backup has something that the table has not, or other rows, as far as it can be told."""
        differs = bool(self.removed_keys or self.changed_keys) or self.rows_before != self.rows_after
        return differs or self.is_gone or bool(self.removed_columns)


Columns = Mapping[str, Collection[str]]  # of each `schema.table`


def lost_writes(
    backup: Mapping[str, TableContent],
    restored: Mapping[str, TableContent],
    columns: tuple[Columns, Columns] = ({}, {}),
) -> tuple[LostWrites, ...]:
    """Per table of the backup that differs, sorted by name: rows that are gone, and rows that are back as they were.

    Args:
        columns: the backup's and the restored branch's: those of one side only are told.
    """
    compared = (
        _compared(name, backup[name], restored.get(name), (columns[0].get(name, ()), columns[1].get(name, ())))
        for name in sorted(backup)
    )
    return tuple(lost for lost in compared if lost.anything)


def _compared(
    table: str, backup: TableContent, restored: TableContent | None, columns: tuple[Collection[str], Collection[str]]
) -> LostWrites:
    if restored is None:
        counted = LostWrites(table=table, rows_before=backup.rows, rows_after=0, is_gone=True)
        restored = TableContent(rows=0)
    else:
        before, after = columns
        counted = LostWrites(
            table=table,
            rows_before=backup.rows,
            rows_after=restored.rows,
            removed_columns=tuple(column for column in before if column not in after),
            returned_columns=tuple(column for column in after if column not in before),
        )
    if backup.digests is None or (restored.digests is None and restored.rows):
        return counted
    there = restored.digests or {}
    removed = tuple(sorted(key for key in backup.digests if key not in there))
    changed = tuple(sorted(key for key, digest in backup.digests.items() if there.get(key, digest) != digest))
    return counted.model_copy(update={"removed_keys": removed, "changed_keys": changed})
