"""Structure of an application's database, as Postgres's catalogs tell it at one moment."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# `neon_auth`: Neon Auth's users and sessions (https://neon.com/docs/guides/neon-auth-how-it-works). `neon_migration`:
# the compute's own, and `neon`: its extension's schema (neondatabase/neon, compute_tools/src/migration.rs and spec.rs).
NEON_SCHEMAS = ("neon", "neon_auth", "neon_migration")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
