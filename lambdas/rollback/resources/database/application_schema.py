"""Structure of a database that belongs to the application, without Neon's schemas and partitions.

Neon changes its schemas without a migration of the application. A job creates partitions ahead of need and drops old
partitions. Neither says anything about a release.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from rollback.resources.database.postgres import Column, LiveSchema

# `neon_auth` holds Neon Auth's users and sessions (https://neon.com/docs/guides/neon-auth-how-it-works). The compute
# has `neon_migration`, and its extension has `neon` (neondatabase/neon, compute_tools/src/migration.rs and spec.rs).
NEON_SCHEMAS = ("neon", "neon_auth", "neon_migration")
_PREFIXES = tuple(f"{name}." for name in NEON_SCHEMAS)
_Value = TypeVar("_Value")


def drop_neon_schemas(schema: LiveSchema) -> LiveSchema:
    """Drop Neon's schemas, which a snapshot of an older version still has."""
    changes = {
        "tables": _own(schema.tables),
        "views": _own(schema.views),
        "constraints": _own(schema.constraints),
        "enums": _own(schema.enums),
        "objects": tuple(found for found in schema.objects if not found.name.startswith(_PREFIXES)),
    }
    return schema.model_copy(update=changes)


def _own(named: Mapping[str, _Value]) -> dict[str, _Value]:
    return {name: value for name, value in named.items() if not name.startswith(_PREFIXES)}


def not_compared(statements: Iterable[str], recorded_schema: LiveSchema, live: LiveSchema) -> tuple[str, ...]:
    """List objects that a classification names and a comparison of the two schemas leaves out.

    The absence of a difference says nothing about such objects. Partitions and Neon's schemas are never compared. A
    view's query is not compared with a snapshot of an older version.

    Args:
        statements: reasons of the classification, and the objects that it says are removed.
        recorded_schema: schema that the release worked with.
        live: schema of the branch now.
    """
    text = "\n".join(statements)
    return tuple(dict.fromkeys(name for name, shape in _left_out(recorded_schema, live) if re.search(shape, text)))


def _left_out(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[tuple[str, str]]:
    for name in (*(recorded_schema.partitions or {}), *(live.partitions or {})):
        yield f"partition {name}", rf"(?<![\w$]){re.escape(name.split('.', maxsplit=1)[-1])}(?![\w$])"
    for name in NEON_SCHEMAS:
        yield f"schema {name}", rf"(?<![\w$.]){name}\."
    for name in recorded_schema.views if recorded_schema.view_bodies is None else ():
        yield f"view {name}", rf"view {re.escape(name.removeprefix('public.'))} may be replaced"


def find_twin(table: str, recorded_schema: LiveSchema, live: LiveSchema) -> str | None:
    """Find an existing table with the columns of a missing table, in a snapshot that does not tell partitions apart.

    A partition has the columns of its parent, by name and type (Postgres, "CREATE TABLE": PARTITION OF). Its name says
    nothing. So the missing table may have been a partition or a table of its own.
    """
    if recorded_schema.partitions is not None:
        return None
    columns = _types(recorded_schema.tables[table])
    others = (name for name in recorded_schema.tables if name != table and name in live.tables)
    return next((name for name in others if _types(recorded_schema.tables[name]) == columns), None)


def _types(columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: column.type for name, column in columns.items()}
