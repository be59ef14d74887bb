"""What SQL tells of a database: who is connected, what its tables look like, and what a restore took out of it."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

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
    """`has_default`: an INSERT may leave it out, by a default, an identity or a generation expression."""

    type: str
    nullable: bool
    has_default: bool


class LiveSchema(_Frozen):
    """`schema.table` → column → what it is. Views and the system's own tables are left out."""

    tables: dict[str, dict[str, Column]]


class Migration(_Frozen):
    """A row of Drizzle's journal in the database: SHA-256 of the file, and the journal's `when` (milliseconds)."""

    hash: str
    created_at: int


class TableContent(_Frozen):
    """How many rows a table has; primary key → digest of the row, unless it has no key or more rows than asked for."""

    rows: int
    digests: dict[str, str] | None = None


class LostWrites(_Frozen):
    """What a backup's table has and the restored one has not; keys are None if only rows could be counted."""

    table: str
    rows_before: int
    rows_after: int
    removed_keys: tuple[str, ...] | None = None
    changed_keys: tuple[str, ...] | None = None

    @property
    def anything(self) -> bool:
        """Whether the table differs, as far as it can be told."""
        return bool(self.removed_keys or self.changed_keys) or self.rows_before != self.rows_after


def lost_writes(backup: Mapping[str, TableContent], restored: Mapping[str, TableContent]) -> tuple[LostWrites, ...]:
    """Per table of the backup that differs, sorted by name: rows that are gone, and rows that are back as they were."""
    compared = (_compared(name, backup[name], restored.get(name, TableContent(rows=0))) for name in sorted(backup))
    return tuple(lost for lost in compared if lost.anything)


def _compared(table: str, backup: TableContent, restored: TableContent) -> LostWrites:
    counted = LostWrites(table=table, rows_before=backup.rows, rows_after=restored.rows)
    if backup.digests is None or (restored.digests is None and restored.rows):
        return counted
    there = restored.digests or {}
    removed = tuple(sorted(key for key in backup.digests if key not in there))
    changed = tuple(sorted(key for key, digest in backup.digests.items() if there.get(key, digest) != digest))
    return counted.model_copy(update={"removed_keys": removed, "changed_keys": changed})
