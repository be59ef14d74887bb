"""The final arbiter: a release that ran on one schema, judged against the one that is live.

It holds for statements that name their columns, as Drizzle writes them, and that ran on the schema before: what such
a statement may read is still there, and what it may write is still taken. Breaking is what is refused now and was not
before, whether or not the release happens to do it; unknown is what a snapshot of the structure can't tell.
"""

from collections.abc import Iterator

from rollback.model.column_types import judge_type
from rollback.model.database_content import Column, Constraint, LiveSchema, SchemaObject
from rollback.model.schema_finding import Compatibility, Finding, breaking, remark, unknown


def judge_structure(ran_on: LiveSchema, live: LiveSchema) -> tuple[Finding, ...]:
    """All that speaks against it, and what is worth knowing; nothing found is compatible.

    Args:
        ran_on: read while the release ran, and was found to be good.
        live: read now.
    """
    return (
        *_tables(ran_on, live),
        *_views(ran_on, live),
        *_constraints(ran_on, live),
        *_enums(ran_on, live),
        *_objects(ran_on, live),
    )


def _tables(ran_on: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for table, columns in ran_on.tables.items():
        now = live.tables.get(table)
        if now is None:
            if table in live.views:
                yield unknown(f"table {table} is a view now: it may not take what is written to it")
            else:
                yield breaking(f"table {table} is gone, or has another name")
            continue
        for name, column in columns.items():
            yield from _column(f"{table}.{name}", column, now.get(name))
        for name in now.keys() - columns.keys():
            if not now[name].nullable and not now[name].has_default:
                yield breaking(f"{table}.{name} is new, NOT NULL and without a default: rows without it are refused")


def _column(name: str, was: Column, now: Column | None) -> Iterator[Finding]:
    if now is None:
        yield breaking(f"column {name} is gone, or has another name")
        return
    yield from _type(name, was, now)
    if now.generated and not was.generated:
        yield breaking(f"{name} is generated now: a value for it is refused")
    elif was.generated and not now.generated:
        yield unknown(f"{name} is no longer generated")
    if was.nullable and not now.nullable:
        # A row that leaves it out is given the default; one that says NULL is refused.
        told = unknown if now.has_default else breaking
        yield told(f"{name} is NOT NULL now, and rows without it were taken before")
    elif not was.nullable and now.nullable:
        yield unknown(f"{name} may hold NULL now, which could never be read from it")
    if was.has_default and not now.has_default:
        told = unknown if now.nullable else breaking
        yield told(f"{name} has no default any more")


def _type(name: str, was: Column, now: Column) -> Iterator[Finding]:
    verdict = judge_type(was.type, now.type)
    told = f"the type of {name} was {was.type} and is {now.type}"
    if verdict is Compatibility.BREAKING:
        yield breaking(told)
    elif verdict is Compatibility.UNKNOWN:
        yield unknown(told)
    elif was.type != now.type:
        yield remark(f"{told}, which takes and gives the same")


def _views(ran_on: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """What is read from; a table in the place of a view gives the same."""
    for view, columns in ran_on.views.items():
        now = live.views.get(view) or live.tables.get(view)
        if now is None:
            yield breaking(f"view {view} is gone, or has another name")
            continue
        for name, column in columns.items():
            if name not in now:
                yield breaking(f"column {view}.{name} is gone, or has another name")
            else:
                yield from _type(f"{view}.{name}", column, now[name])


def _constraints(ran_on: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for table in live.tables:
        was, now = ran_on.constraints.get(table, ()), live.constraints.get(table, ())
        if table not in ran_on.tables:
            yield from _deletes_refused(now, ran_on)
            continue
        gone = [one for one in was if one not in now]
        for constraint in now:
            if constraint not in was:
                yield from _new_constraint(table, constraint, ran_on, live, gone)
            else:
                yield from _default_in(table, constraint, ran_on, live)
        for constraint in gone:
            if constraint.kind in ("unique", "exclusion"):
                # INSERT: there must be a constraint that matches what ON CONFLICT names
                yield breaking(f"{table} is no longer {_said(constraint)}: an ON CONFLICT that names it is refused")


def _new_constraint(
    table: str, constraint: Constraint, ran_on: LiveSchema, live: LiveSchema, gone: list[Constraint]
) -> Iterator[Finding]:
    if _never_refused(table, constraint, ran_on, live):
        yield from _deletes_refused((constraint,), ran_on)
        return
    told = f"{table} is now {_said(constraint)}"
    if constraint.kind != "unique" and any(one.kind == constraint.kind for one in gone):
        yield unknown(f"{told}, and was another: which of the two takes more can't be told")
    elif constraint.kind == "check" and not set(constraint.columns) & ran_on.tables[table].keys():
        yield unknown(f"{told}: whether a row without its columns passes can't be told")
    else:
        yield breaking(f"{told}: rows are refused that were taken before")


def _default_in(table: str, constraint: Constraint, ran_on: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    for name in constraint.columns:
        was, now = ran_on.tables[table].get(name), live.tables[table].get(name)
        if was is not None and now is not None and now.has_default and not was.has_default and not now.default_differs:
            yield unknown(f"{table}.{name} has a default now, which may be refused by {_said(constraint)}")


def _never_refused(table: str, constraint: Constraint, ran_on: LiveSchema, live: LiveSchema) -> bool:
    """Whether rows of the release leave out one of its columns, and pass by what they get there: NULL, or its own."""
    fresh = [live.tables[table][name] for name in constraint.columns if name not in ran_on.tables[table]]
    left_null = any(column.nullable and not column.has_default for column in fresh)
    own_value = constraint.kind == "unique" and any(column.default_differs for column in fresh)
    return constraint.null_passes and (left_null or own_value)


def _deletes_refused(constraints: tuple[Constraint, ...], ran_on: LiveSchema) -> Iterator[Finding]:
    """Rows of another release's table may hold rows of this one's; nothing of what it reads or inserts is refused."""
    for constraint in constraints:
        if constraint.refuses_deletes_in in ran_on.tables:
            yield remark(f"rows of {constraint.refuses_deletes_in} may not be deletable: {constraint.definition}")


def _said(constraint: Constraint) -> str:
    return f"{constraint.kind}: {constraint.definition}"


def _enums(ran_on: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    """A type that is gone shows in the columns that had it."""
    for enum, values in ran_on.enums.items():
        now = live.enums.get(enum)
        if now is None:
            yield unknown(f"enum {enum} is gone: a cast to it is refused")
            continue
        for value in values:
            if value not in now:
                yield breaking(f"enum {enum} has no value {value!r} any more")
        added = [value for value in now if value not in values]
        if added:
            yield remark(f"enum {enum} may give values that the release never saw: {', '.join(added)}")
        if [value for value in now if value in values] != [value for value in values if value in now]:
            yield unknown(f"the values of enum {enum} have another order")


def _objects(ran_on: LiveSchema, live: LiveSchema) -> Iterator[Finding]:
    was, now = _by_name(ran_on), _by_name(live)
    for key, one in was.items():
        if one.table is None and key not in now:
            told = breaking if one.kind in ("sequence", "function") else unknown
            yield told(f"{one.kind} {one.name} is gone, or has another name")
        elif _is_there(one.table, live) and now.get(key) != one:
            yield unknown(f"{one.kind} on {one.name} is gone or changed: what it did to rows can't be told")
        elif one.table is None and now[key] != one:
            yield unknown(f"{one.kind} {one.name} was changed: what it does can't be told")
    for key, one in now.items():
        if key not in was and _is_there(one.table, ran_on):
            yield unknown(f"{one.kind} on {one.name} is new: what it does to rows can't be told")


def _is_there(relation: str | None, schema: LiveSchema) -> bool:
    return relation in schema.tables or relation in schema.views


def _by_name(schema: LiveSchema) -> dict[tuple[str, str], SchemaObject]:
    return {(one.kind, one.name): one for one in schema.objects}
