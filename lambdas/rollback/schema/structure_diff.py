"""The final arbiter: a release that ran on one schema, judged against the one that is live.

It holds for statements that name their columns, as Drizzle writes them, and that ran on the schema before: what such
a statement may read is still there, and what it may write is still taken. Breaking is what is refused now and was not
before, whether or not the release happens to do it; unknown is what a snapshot of the structure can't tell.
"""

import re
from collections.abc import Iterator

from rollback.domain.database.schema_finding import GONE, Compatibility, Finding, breaking, remark, unknown
from rollback.resources.database.application_schema import drop_neon_schemas, find_twin
from rollback.resources.database.postgres import Column, Constraint, LiveSchema, SchemaObject
from rollback.schema.column_types import judge_type

_NAME = r'(?:"[^"]+"|\w+)'
_CAST = re.compile(
    rf"::{_NAME}(?:\.{_NAME})?(?: varying| precision)?(?:\([\d, ]*\))?(?: with(?:out)? time zone)?(?:\[\])*"
)


def judge_structure(recorded_schema: LiveSchema, live: LiveSchema) -> tuple[Finding, ...]:
    """All that speaks against it, and what is worth knowing; nothing found is compatible.

    Args:
        recorded_schema: read while the release ran, and was found to be good.
        live: read now.
    """
    recorded_schema, live = drop_neon_schemas(recorded_schema), drop_neon_schemas(live)
    return (
        *_tables(recorded_schema, live),
        *_views(recorded_schema, live),
        *_constraints(recorded_schema, live),
        *_enums(recorded_schema, live),
        *_objects(recorded_schema, live),
    )


def _tables(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for table, columns in recorded_schema.tables.items():
        now = live.tables.get(table)
        if now is None:
            yield from _gone(table, recorded_schema, live)
            continue
        for name, column in columns.items():
            yield from _column(f"{table}.{name}", column, now.get(name))
        for name in now.keys() - columns.keys():
            if not now[name].nullable and not now[name].has_default:
                told = f"{table}.{name} is new, NOT NULL and without a default: rows without it are refused"
                yield breaking(told, f"{table}.{name}")


def _gone(table: str, recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """A snapshot of an older version has partitions among its tables: one that is there still is no difference."""
    twin = find_twin(table, recorded_schema, live)
    if table in live.views:
        yield unknown(f"table {table} is a view now: it may not take what is written to it")
    elif table in (live.partitions or {}):
        if recorded_schema.partitions is not None:
            yield unknown(f"table {table} is a partition now: rows outside of its bounds are refused")
    elif twin is not None:
        yield unknown(
            f"table {table} is gone; it may have been a partition of {twin}, which this snapshot does not tell"
        )
    else:
        yield breaking(f"table {table} {GONE}", table)


def _column(name: str, was: Column, now: Column | None) -> Iterator[Finding]:
    if now is None:
        yield breaking(f"column {name} {GONE}", name)
        return
    yield from _type(name, was, now)
    if now.generated and not was.generated:
        yield breaking(f"{name} is generated now: a value for it is refused", name)
    elif was.generated and not now.generated:
        yield unknown(f"{name} is no longer generated")
    if was.nullable and not now.nullable:
        # A row that leaves it out is given the default; one that says NULL is refused.
        told = f"{name} is NOT NULL now, and rows without it were taken before"
        yield unknown(told) if now.has_default else breaking(told, name)
    elif not was.nullable and now.nullable:
        yield unknown(f"{name} may hold NULL now, which could never be read from it")
    if was.has_default and not now.has_default:
        told = f"{name} has no default any more"
        yield unknown(told) if now.nullable else breaking(told, name)
    yield from _value_left_out(name, was, now)


def _value_left_out(name: str, was: Column, now: Column) -> Iterator[Finding]:
    """The value in a row that leaves the column out. A snapshot of an older version has none of it, and differs not."""
    if was.default is not None and now.default is not None and _plain(was.default) != _plain(now.default):
        told = f"the default of {name} was {was.default} and is {now.default}"
        each_its_own = was.default_differs and now.default_differs
        yield remark(told) if each_its_own else unknown(f"{told}: rows that leave it out are other ones")
    if was.sequence is not None and now.sequence is not None and was.sequence != now.sequence:
        yield unknown(f"the sequence of {name} was {was.sequence} and is {now.sequence}: its numbers are other ones")


def _plain(expression: str) -> str:
    """The expression without its casts: Postgres writes others for the same value when the column's type is changed."""
    return re.sub(r"[()]", "", _CAST.sub("", expression))


def _type(name: str, was: Column, now: Column) -> Iterator[Finding]:
    verdict = judge_type(was.type, now.type)
    told = f"the type of {name} was {was.type} and is {now.type}"
    if verdict is Compatibility.BREAKING:
        yield breaking(told, name)
    elif verdict is Compatibility.UNKNOWN:
        yield unknown(told)
    elif was.type != now.type:
        yield remark(f"{told}, which takes and gives the same")


def _views(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """What is read from; a table in the place of a view gives the same."""
    for view, columns in recorded_schema.views.items():
        now = live.views.get(view) or live.tables.get(view)
        if now is None:
            yield breaking(f"view {view} {GONE}", view)
            continue
        body, body_now = (recorded_schema.view_bodies or {}).get(view), (live.view_bodies or {}).get(view)
        if body is not None and body_now is not None and body != body_now:
            yield unknown(f"view {view} has another query: what it gives can't be told")
        for name, column in columns.items():
            if name not in now:
                yield breaking(f"column {view}.{name} {GONE}", f"{view}.{name}")
            else:
                yield from _type(f"{view}.{name}", column, now[name])


def _constraints(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for table in live.tables:
        was, now = recorded_schema.constraints.get(table, ()), live.constraints.get(table, ())
        if table not in recorded_schema.tables:
            yield from _deletes_refused(now, recorded_schema)
            continue
        gone = [one for one in was if one not in now]
        for constraint in now:
            if constraint not in was:
                yield from _new_constraint(table, constraint, recorded_schema, live, gone)
            else:
                yield from _default_in(table, constraint, recorded_schema, live)
        for constraint in gone:
            if constraint.kind in ("unique", "exclusion"):
                # INSERT: there must be a constraint that matches what ON CONFLICT names
                told = f"{table} is no longer {_said(constraint)}: an ON CONFLICT that names it is refused"
                yield breaking(told, table)


def _new_constraint(
    table: str, constraint: Constraint, recorded_schema: LiveSchema, live: LiveSchema, gone: list[Constraint]
) -> Iterator[Finding]:
    if _never_refused(table, constraint, recorded_schema, live):
        yield from _deletes_refused((constraint,), recorded_schema)
        return
    told = f"{table} is now {_said(constraint)}"
    if constraint.kind != "unique" and any(one.kind == constraint.kind for one in gone):
        yield unknown(f"{told}, and was another: which of the two takes more can't be told")
    elif constraint.kind == "check" and not set(constraint.columns) & recorded_schema.tables[table].keys():
        yield unknown(f"{told}: whether a row without its columns passes can't be told")
    else:
        yield breaking(f"{told}: rows are refused that were taken before", table)


def _default_in(table: str, constraint: Constraint, recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for name in constraint.columns:
        was, now = recorded_schema.tables[table].get(name), live.tables[table].get(name)
        if was is not None and now is not None and now.has_default and not was.has_default and not now.default_differs:
            yield unknown(f"{table}.{name} has a default now, which may be refused by {_said(constraint)}")


def _never_refused(table: str, constraint: Constraint, recorded_schema: LiveSchema, live: LiveSchema) -> bool:
    """Whether rows of the release leave out one of its columns, and pass by what they get there: NULL, or its own."""
    fresh = [live.tables[table][name] for name in constraint.columns if name not in recorded_schema.tables[table]]
    left_null = any(column.nullable and not column.has_default for column in fresh)
    own_value = constraint.kind == "unique" and any(column.default_differs for column in fresh)
    return constraint.null_passes and (left_null or own_value)


def _deletes_refused(constraints: tuple[Constraint, ...], recorded_schema: LiveSchema) -> Iterator[Finding]:
    """Rows of another release's table may hold rows of this one's; nothing of what it reads or inserts is refused."""
    for constraint in constraints:
        if constraint.refuses_deletes_in in recorded_schema.tables:
            yield remark(f"rows of {constraint.refuses_deletes_in} may not be deletable: {constraint.definition}")


def _said(constraint: Constraint) -> str:
    return f"{constraint.kind}: {constraint.definition}"


def _enums(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """A type that is gone shows in the columns that had it."""
    for enum, values in recorded_schema.enums.items():
        now = live.enums.get(enum)
        if now is None:
            yield unknown(f"enum {enum} is gone: a cast to it is refused")
            continue
        for value in values:
            if value not in now:
                yield breaking(f"enum {enum} has no value {value!r} any more", enum)
        added = [value for value in now if value not in values]
        if added:
            yield remark(f"enum {enum} may give values that the release never saw: {', '.join(added)}")
        if [value for value in now if value in values] != [value for value in values if value in now]:
            yield unknown(f"the values of enum {enum} have another order")


def _objects(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    was, now = _by_name(recorded_schema), _by_name(live)
    for key, one in was.items():
        if one.table is None and key not in now:
            told = f"{one.kind} {one.name} {GONE}"
            yield breaking(told, one.name) if one.kind in ("sequence", "function") else unknown(told)
        elif _is_there(one.table, live) and now.get(key) != one:
            yield unknown(f"{one.kind} on {one.name} is gone or changed: what it did to rows can't be told")
        elif one.table is None and now[key] != one:
            yield unknown(f"{one.kind} {one.name} was changed: what it does can't be told")
    for key, one in now.items():
        if key not in was and _is_there(one.table, recorded_schema):
            yield unknown(f"{one.kind} on {one.name} is new: what it does to rows can't be told")


def _is_there(relation: str | None, schema: LiveSchema) -> bool:
    return relation in schema.tables or relation in schema.views


def _by_name(schema: LiveSchema) -> dict[tuple[str, str], SchemaObject]:
    return {(one.kind, one.name): one for one in schema.objects}
