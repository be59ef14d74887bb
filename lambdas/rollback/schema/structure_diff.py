"""Compare the structure that a release ran on with the live one.

The comparison holds for statements that name their columns, as Drizzle writes them, and that ran on the recorded
structure. Everything such a statement may read must exist, and everything that it may write must be accepted.
    - Breaking: the live structure refuses a statement that the recorded one accepted, whether or not the release
      sends it.
    - Unknown: a snapshot of the structure can't show it.

Neon's schemas and partitions are left out. Neon changes its schemas without a migration of the application. A job
makes partitions ahead of need, and drops old ones. Neither says anything about a release.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from rollback.domain.database.schema_verdict import (
    GONE,
    Compatibility,
    Finding,
    breaking_finding,
    harmless_finding,
    unknown_finding,
)
from rollback.resources.database.live_schema import NEON_SCHEMAS, Column, Constraint, LiveSchema, SchemaObject
from rollback.schema.column_types import judge_type

_ValueT = TypeVar("_ValueT")
_NAME = r'(?:"[^"]+"|\w+)'
_CAST = re.compile(
    rf"::{_NAME}(?:\.{_NAME})?(?: varying| precision)?(?:\([\d, ]*\))?(?: with(?:out)? time zone)?(?:\[\])*"
)


def compare_structures(recorded_schema: LiveSchema, live: LiveSchema) -> tuple[Finding, ...]:
    """List the differences that matter to the release; none means compatible.

    Args:
        recorded_schema: the structure while the release ran and was found to be good.
        live: the structure now.
    """
    recorded_schema, live = drop_neon_schemas(recorded_schema), drop_neon_schemas(live)
    return (
        *_tables(recorded_schema, live),
        *_views(recorded_schema, live),
        *_constraints(recorded_schema, live),
        *_enums(recorded_schema, live),
        *_objects(recorded_schema, live),
    )


def drop_neon_schemas(schema: LiveSchema) -> LiveSchema:
    """Leave Neon's schemas out; a snapshot of an older version has them."""
    prefixes = tuple(f"{name}." for name in NEON_SCHEMAS)

    def keep(named: Mapping[str, _ValueT]) -> dict[str, _ValueT]:
        return {name: value for name, value in named.items() if not name.startswith(prefixes)}

    changes = {
        "tables": keep(schema.tables),
        "views": keep(schema.views),
        "constraints": keep(schema.constraints),
        "enums": keep(schema.enums),
        "objects": tuple(item for item in schema.objects if not item.name.startswith(prefixes)),
    }
    return schema.model_copy(update=changes)


def _tables(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for table, columns in recorded_schema.tables.items():
        current_columns = live.tables.get(table)
        if current_columns is None:
            yield from _gone(table, recorded_schema, live)
            continue
        for name, column in columns.items():
            yield from _column(f"{table}.{name}", column, current_columns.get(name))
        for name in sorted(current_columns.keys() - columns.keys()):
            if not current_columns[name].nullable and not current_columns[name].has_default:
                text = f"{table}.{name} is new, NOT NULL and without a default: rows without it are refused"
                yield breaking_finding(text, f"{table}.{name}")


def _gone(table: str, recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """Judge a missing table; in a snapshot of an older version a table may be a partition that still exists."""
    twin = find_twin(table, recorded_schema, live)
    if table in live.views:
        yield unknown_finding(f"table {table} is a view now: it may refuse the rows that are written to it")
    elif table in (live.partitions or {}):
        if recorded_schema.partitions is not None:
            yield unknown_finding(f"table {table} is a partition now: rows outside of its bounds are refused")
    elif twin is not None:
        yield unknown_finding(f"table {table} is gone; the snapshot does not show whether it was a partition of {twin}")
    else:
        yield breaking_finding(f"table {table} {GONE}", table)


def find_twin(table: str, recorded_schema: LiveSchema, live: LiveSchema) -> str | None:
    """Find an existing table with the columns of a missing one, where the snapshot does not list partitions.

    A partition has the columns of its parent, by name and type (Postgres, "CREATE TABLE": PARTITION OF). Its name
    proves nothing. So the missing table was either a partition or a table of its own.
    """
    if recorded_schema.partitions is not None:
        return None
    columns = _types(recorded_schema.tables[table])
    others = (name for name in recorded_schema.tables if name != table and name in live.tables)
    return next((name for name in others if _types(recorded_schema.tables[name]) == columns), None)


def _types(columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: column.type for name, column in columns.items()}


def _column(name: str, recorded: Column, current: Column | None) -> Iterator[Finding]:
    if current is None:
        yield breaking_finding(f"column {name} {GONE}", name)
        return
    yield from _type(name, recorded, current)
    if current.generated and not recorded.generated:
        yield breaking_finding(f"{name} is generated now: a value for it is refused", name)
    elif recorded.generated and not current.generated:
        yield unknown_finding(f"{name} is no longer generated")
    yield from _nullability(name, recorded, current)
    yield from _value_left_out(name, recorded, current)


def _nullability(name: str, recorded: Column, current: Column) -> Iterator[Finding]:
    """Compare whether rows may lack the column or hold NULL in it."""
    if recorded.nullable and not current.nullable:
        # A row without the column gets the default; a row with an explicit NULL is refused.
        text = f"{name} is NOT NULL now, and rows without it were accepted before"
        yield unknown_finding(text) if current.has_default else breaking_finding(text, name)
    elif not recorded.nullable and current.nullable:
        yield unknown_finding(f"{name} may hold NULL now, and never held NULL before")
    if recorded.has_default and not current.has_default:
        text = f"{name} has no default any more"
        yield unknown_finding(text) if current.nullable else breaking_finding(text, name)


def _value_left_out(name: str, recorded: Column, current: Column) -> Iterator[Finding]:
    """Compare the values of rows that leave the column out; a snapshot of an older version does not have them."""
    if (
        recorded.default is not None
        and current.default is not None
        and _without_casts(recorded.default) != _without_casts(current.default)
    ):
        text = f"the default of {name} was {recorded.default} and is {current.default}"
        is_unique_per_row = recorded.default_differs and current.default_differs
        changes_rows = unknown_finding(f"{text}: rows without the column get another value")
        yield harmless_finding(text) if is_unique_per_row else changes_rows
    if recorded.sequence is not None and current.sequence is not None and recorded.sequence != current.sequence:
        yield unknown_finding(
            f"the sequence of {name} was {recorded.sequence} and is {current.sequence}: it gives other numbers"
        )


def _without_casts(expression: str) -> str:
    """Drop the casts of an expression: Postgres writes other casts for the same value after a change of the type."""
    return re.sub(r"[()]", "", _CAST.sub("", expression))


def _type(name: str, recorded: Column, current: Column) -> Iterator[Finding]:
    verdict = judge_type(recorded.type, current.type)
    text = f"the type of {name} was {recorded.type} and is {current.type}"
    if verdict is Compatibility.BREAKING:
        yield breaking_finding(text, name)
    elif verdict is Compatibility.UNKNOWN:
        yield unknown_finding(text)
    elif recorded.type != current.type:
        yield harmless_finding(f"{text}, which accepts and returns the same values")


def _views(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """Compare views; a table in the place of a view returns the same rows."""
    for view, columns in recorded_schema.views.items():
        current_columns = live.views.get(view) or live.tables.get(view)
        if current_columns is None:
            yield breaking_finding(f"view {view} {GONE}", view)
            continue
        recorded_body, current_body = (recorded_schema.view_bodies or {}).get(view), (live.view_bodies or {}).get(view)
        if recorded_body is not None and current_body is not None and recorded_body != current_body:
            yield unknown_finding(f"view {view} has another query, and may return other rows")
        for name, column in columns.items():
            if name not in current_columns:
                yield breaking_finding(f"column {view}.{name} {GONE}", f"{view}.{name}")
            else:
                yield from _type(f"{view}.{name}", column, current_columns[name])


def _constraints(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for table in live.tables:
        recorded, current = recorded_schema.constraints.get(table, ()), live.constraints.get(table, ())
        if table not in recorded_schema.tables:
            yield from _deletes_refused(current, recorded_schema)
            continue
        removed_constraints = [former for former in recorded if former not in current]
        for constraint in current:
            if constraint not in recorded:
                yield from _new_constraint(table, constraint, recorded_schema, live, removed_constraints)
            else:
                yield from _default_in(table, constraint, recorded_schema, live)
        for constraint in removed_constraints:
            if constraint.kind in ("unique", "exclusion"):
                # An INSERT is refused if no constraint matches the columns of its ON CONFLICT.
                text = f"{table} lost {_said(constraint)}: an ON CONFLICT that names it is refused"
                yield breaking_finding(text, table)


def _new_constraint(
    table: str,
    constraint: Constraint,
    recorded_schema: LiveSchema,
    live: LiveSchema,
    removed_constraints: list[Constraint],
) -> Iterator[Finding]:
    if _never_refused(table, constraint, recorded_schema, live):
        yield from _deletes_refused((constraint,), recorded_schema)
        return
    text = f"{table} now has {_said(constraint)}"
    if constraint.kind != "unique" and any(former.kind == constraint.kind for former in removed_constraints):
        yield unknown_finding(f"{text} in place of another, and may refuse rows that the other accepted")
    elif constraint.kind == "check" and not set(constraint.columns) & recorded_schema.tables[table].keys():
        yield unknown_finding(f"{text}, and may refuse rows without its columns")
    else:
        yield breaking_finding(f"{text}: rows are refused that were accepted before", table)


def _default_in(table: str, constraint: Constraint, recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for name in constraint.columns:
        recorded, current = recorded_schema.tables[table].get(name), live.tables[table].get(name)
        if (
            recorded is not None
            and current is not None
            and current.has_default
            and not recorded.has_default
            and not current.default_differs
        ):
            yield unknown_finding(f"{table}.{name} has a default now, which may be refused by {_said(constraint)}")


def _never_refused(table: str, constraint: Constraint, recorded_schema: LiveSchema, live: LiveSchema) -> bool:
    """Whether the release's rows lack one of the columns, and pass with the value they get: NULL, or a unique one."""
    new_columns = [live.tables[table][name] for name in constraint.columns if name not in recorded_schema.tables[table]]
    has_null = any(column.nullable and not column.has_default for column in new_columns)
    has_unique_value = constraint.kind == "unique" and any(column.default_differs for column in new_columns)
    return constraint.null_passes and (has_null or has_unique_value)


def _deletes_refused(constraints: tuple[Constraint, ...], recorded_schema: LiveSchema) -> Iterator[Finding]:
    """Report deletes that a new foreign key may refuse; reads and inserts of the release go through."""
    for constraint in constraints:
        if constraint.refuses_deletes_in in recorded_schema.tables:
            yield harmless_finding(
                f"rows of {constraint.refuses_deletes_in} may not be deletable: {constraint.definition}"
            )


def _said(constraint: Constraint) -> str:
    return f"{constraint.kind}: {constraint.definition}"


def _enums(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """Compare enums; a missing type also shows in the columns that had it."""
    for enum, values in recorded_schema.enums.items():
        current_values = live.enums.get(enum)
        if current_values is None:
            yield unknown_finding(f"enum {enum} is gone: a cast to it is refused")
            continue
        for value in values:
            if value not in current_values:
                yield breaking_finding(f"enum {enum} has no value {value!r} any more", enum)
        new_values = [value for value in current_values if value not in values]
        if new_values:
            yield harmless_finding(f"enum {enum} may return values that the release never saw: {', '.join(new_values)}")
        if [value for value in current_values if value in values] != [
            value for value in values if value in current_values
        ]:
            yield unknown_finding(f"the values of enum {enum} have another order")


def _objects(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    recorded_objects, current_objects = _by_name(recorded_schema), _by_name(live)
    for key, item in recorded_objects.items():
        if item.table is None and key not in current_objects:
            text = f"{item.kind} {item.name} {GONE}"
            yield breaking_finding(text, item.name) if item.kind in ("sequence", "function") else unknown_finding(text)
        elif _has_relation(item.table, live) and current_objects.get(key) != item:
            yield unknown_finding(f"{item.kind} on {item.name} is gone or changed, and rows may be treated differently")
        elif item.table is None and current_objects[key] != item:
            yield unknown_finding(f"{item.kind} {item.name} was changed, and may act differently")
    for key, item in current_objects.items():
        if key not in recorded_objects and _has_relation(item.table, recorded_schema):
            yield unknown_finding(f"{item.kind} on {item.name} is new, and may change or refuse rows")


def _has_relation(relation: str | None, schema: LiveSchema) -> bool:
    return relation in schema.tables or relation in schema.views


def _by_name(schema: LiveSchema) -> dict[tuple[str, str], SchemaObject]:
    return {(item.kind, item.name): item for item in schema.objects}
