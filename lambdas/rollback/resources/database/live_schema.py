"""Structure of an application's database, as Postgres's catalogs describe it at one moment."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# `neon_auth`: Neon Auth's users and sessions (https://neon.com/docs/guides/neon-auth-how-it-works). `neon_migration`:
# the compute's own, and `neon`: its extension's schema (neondatabase/neon, compute_tools/src/migration.rs and spec.rs).
NEON_SCHEMAS = ("neon", "neon_auth", "neon_migration")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Frozen):
    """A column of a table or view.

    Attributes:
        type: as Postgres's `format_type` names it.
        nullable: a row may hold NULL.
        has_default: an INSERT may leave the column out: it has a default, an identity or a generation expression.
        generated: an INSERT must leave the column out: the database refuses any value (`GENERATED ALWAYS`).
        default_differs: the default gives each row another value, as a sequence does.
        default: expression of the default, a long one by its digest; None: there is none, or an older snapshot.
        sequence: start, increment and bounds of the column's own sequence; None: there is none, or an older snapshot.
    """

    type: str
    nullable: bool
    has_default: bool
    generated: bool = False
    default_differs: bool = False
    # Left out of the JSON where unknown: so the digest of an older document stays the same.
    default: str | None = Field(default=None, exclude_if=lambda value: value is None)
    sequence: str | None = Field(default=None, exclude_if=lambda value: value is None)


class Constraint(_Frozen):
    """A rule by which a table refuses rows, identified by its definition; its name does not count.

    Attributes:
        kind: kind of constraint; a unique index counts as `unique`, with or without a constraint.
        columns: columns of its own table that the constraint reads.
        definition: as Postgres prints it.
        null_passes: a row with NULL in one of the columns is never refused.
        refuses_deletes_in: `schema.table` whose rows can't be deleted while a row of this table refers to them.
    """

    kind: Literal["unique", "check", "foreign", "exclusion"]
    columns: tuple[str, ...]
    definition: str
    null_passes: bool = False
    refuses_deletes_in: str | None = None


class SchemaObject(_Frozen):
    """Another object that decides the effect of a statement, by the digest of its definition.

    Attributes:
        kind: kind of object.
        name: `schema.name`; for a trigger, policy or rule with its table.
        definition: digest of its definition.
        table: `schema.name` of the table that it belongs to; None: it stands alone.
    """

    kind: Literal["sequence", "function", "domain", "type", "trigger", "policy", "rule", "row security"]
    name: str
    definition: str
    table: str | None = None


class LiveSchema(_Frozen):
    """Structure of one database, without objects of the system and of extensions.

    Privileges, collations and the current values of sequences are no part of it.

    Attributes:
        tables: `schema.name` → column name → column.
        views: the same of views.
        constraints: table → its constraints.
        enums: type, as columns name it → its values in order.
        objects: all other objects that decide the effect of a statement.
        view_bodies: digest of each view's query; None: a snapshot of an older version.
        partitions: partition → its parent. Partitions come and go, and are not among `tables`. None: a snapshot of an
            older version, which has partitions among `tables`.
    """

    tables: dict[str, dict[str, Column]]
    views: dict[str, dict[str, Column]] = Field(default_factory=dict)
    constraints: dict[str, tuple[Constraint, ...]] = Field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    objects: tuple[SchemaObject, ...] = ()
    view_bodies: dict[str, str] | None = Field(default=None, exclude_if=lambda value: value is None)
    partitions: dict[str, str] | None = Field(default=None, exclude_if=lambda value: value is None)
