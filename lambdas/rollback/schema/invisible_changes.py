"""The part of a database's structure that decides: the application's, without Neon's schemas and partitions.

Neon changes its schemas without a migration of the application. Partitions come and go by a job that makes
them ahead of need and drops old ones. Neither says anything about a release.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from rollback.resources.database.postgres import Column, LiveSchema

# `neon_auth`: Neon Auth's users and sessions (https://neon.com/docs/guides/neon-auth-how-it-works). `neon_migration`:
# the compute's own, and `neon`: its extension's schema (neondatabase/neon, compute_tools/src/migration.rs and spec.rs).
NEON_SCHEMAS = ("neon", "neon_auth", "neon_migration")
_PREFIXES = tuple(f"{name}." for name in NEON_SCHEMAS)
_Value = TypeVar("_Value")


def drop_neon_schemas(schema: LiveSchema) -> LiveSchema:
    """The schema without Neon's: a snapshot of an older version has them."""
    changes = {
        "tables": _own(schema.tables),
        "views": _own(schema.views),
        "constraints": _own(schema.constraints),
        "enums": _own(schema.enums),
        "objects": tuple(one for one in schema.objects if not one.name.startswith(_PREFIXES)),
    }
    return schema.model_copy(update=changes)


def _own(named: Mapping[str, _Value]) -> dict[str, _Value]:
    return {name: value for name, value in named.items() if not name.startswith(_PREFIXES)}


def not_compared(told: Iterable[str], recorded_schema: LiveSchema, live: LiveSchema) -> tuple[str, ...]:
    """What a classification names, and a comparison of the two leaves out: no difference there says nothing.

    Partitions and Neon's schemas are never compared, and the query of a view not with a snapshot of an older version.

    Args:
        told: reasons of the classification, and what it says to be removed.
    """
    text = "\n".join(told)
    return tuple(dict.fromkeys(name for name, shape in _left_out(recorded_schema, live) if re.search(shape, text)))


def _left_out(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[tuple[str, str]]:
    for name in (*(recorded_schema.partitions or {}), *(live.partitions or {})):
        yield f"partition {name}", rf"(?<![\w$]){re.escape(name.split('.', maxsplit=1)[-1])}(?![\w$])"
    for name in NEON_SCHEMAS:
        yield f"schema {name}", rf"(?<![\w$.]){name}\."
    for name in recorded_schema.views if recorded_schema.view_bodies is None else ():
        yield f"view {name}", rf"view {re.escape(name.removeprefix('public.'))} may be replaced"


def find_twin(table: str, recorded_schema: LiveSchema, live: LiveSchema) -> str | None:
    """A table that is still there and has the columns of one that is gone, in a snapshot that tells no partitions.

    A partition has the columns of its parent, by name and type (Postgres, "CREATE TABLE": PARTITION OF). Its name
    tells nothing: so what is gone may have been a partition, or a table of its own.
    """
    if recorded_schema.partitions is not None:
        return None
    columns = _types(recorded_schema.tables[table])
    others = (name for name in recorded_schema.tables if name != table and name in live.tables)
    return next((name for name in others if _types(recorded_schema.tables[name]) == columns), None)


def _types(columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: column.type for name, column in columns.items()}
