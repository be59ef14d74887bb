"""Each kind of difference between two structures: effect on the release, text and object."""

from typing import Any

import pytest

from rollback.domain.database.schema_verdict import Compatibility
from rollback.resources.database.live_schema import Column, Constraint, LiveSchema, SchemaObject
from rollback.schema.structure_diff import compare_structures

BREAKING, UNKNOWN, COMPATIBLE = Compatibility.BREAKING, Compatibility.UNKNOWN, Compatibility.COMPATIBLE
Expected = tuple[Compatibility, str, str]

T = "public.t"
TEXT = Column(type="text", nullable=True, has_default=False)


def column(**changes: Any) -> Column:
    return TEXT.model_copy(update=changes)


def table(**columns: Column) -> LiveSchema:
    """Build a schema with a table `public.t` of these columns and `id`."""
    return LiveSchema(tables={T: {"id": TEXT, **columns}}, partitions={})


def differences(recorded: LiveSchema, live: LiveSchema) -> list[Expected]:
    findings = compare_structures(recorded, live)
    return [(finding.compatibility, finding.difference, finding.object_name) for finding in findings]


@pytest.mark.parametrize(
    ("recorded_column", "live_column", "expected"),
    [
        (
            None,
            column(nullable=False),
            (BREAKING, "is new, NOT NULL and without a default: rows without it are refused"),
        ),
        (None, column(nullable=False, has_default=True), None),
        (None, column(), None),
        (column(), column(generated=True), (BREAKING, "is generated now: a value for it is refused")),
        (column(generated=True), column(), (UNKNOWN, "is no longer generated")),
        (column(generated=True), column(generated=True), None),
        (
            column(),
            column(nullable=False),
            (BREAKING, "is NOT NULL now, and rows without it were accepted before"),
        ),
        (
            column(has_default=True),
            column(nullable=False, has_default=True),
            (UNKNOWN, "is NOT NULL now, and rows without it were accepted before"),
        ),
        (column(nullable=False), column(), (UNKNOWN, "may hold NULL now, and never held NULL before")),
        (column(has_default=True), column(), (UNKNOWN, "has no default any more")),
        (
            column(nullable=False, has_default=True),
            column(nullable=False),
            (BREAKING, "has no default any more"),
        ),
    ],
)
def test_a_change_of_a_column(
    recorded_column: Column | None, live_column: Column, expected: tuple[Compatibility, str] | None
) -> None:
    recorded = table() if recorded_column is None else table(c=recorded_column)
    findings = differences(recorded, table(c=live_column))
    if expected is None:
        assert findings == []
        return
    effect, words = expected
    assert findings == [(effect, f"{T}.c {words}", f"{T}.c" if effect is BREAKING else "")]


@pytest.mark.parametrize(
    ("recorded_column", "live_column", "expected"),
    [
        (
            column(type="integer"),
            column(type="text"),
            (BREAKING, f"the type of {T}.c was integer and is text", f"{T}.c"),
        ),
        (
            column(type="integer"),
            column(type="bigint"),
            (UNKNOWN, f"the type of {T}.c was integer and is bigint", ""),
        ),
        (
            column(type="smallint"),
            column(type="integer"),
            (
                COMPATIBLE,
                f"the type of {T}.c was smallint and is integer, which accepts and returns the same values",
                "",
            ),
        ),
        (
            column(has_default=True, default="1"),
            column(has_default=True, default="2"),
            (UNKNOWN, f"the default of {T}.c was 1 and is 2: rows without the column get another value", ""),
        ),
        (
            column(has_default=True, default="a()", default_differs=True),
            column(has_default=True, default="b()", default_differs=True),
            (COMPATIBLE, f"the default of {T}.c was a() and is b()", ""),
        ),
        (
            column(has_default=True, default="a()", default_differs=True),
            column(has_default=True, default="b()"),
            (UNKNOWN, f"the default of {T}.c was a() and is b(): rows without the column get another value", ""),
        ),
        (
            column(has_default=True, default="('x'::text)"),
            column(has_default=True, default="'x'::character varying(9)"),
            None,
        ),
        (column(has_default=True, default="1"), column(has_default=True), None),
        (column(has_default=True), column(has_default=True, default="1"), None),
        (
            column(sequence="1 1"),
            column(sequence="1 2"),
            (UNKNOWN, f"the sequence of {T}.c was 1 1 and is 1 2: it gives other numbers", ""),
        ),
        (column(sequence="1 1"), column(), None),
        (column(), column(sequence="1 1"), None),
    ],
)
def test_a_change_of_a_columns_type_or_value(
    recorded_column: Column, live_column: Column, expected: Expected | None
) -> None:
    assert differences(table(c=recorded_column), table(c=live_column)) == ([] if expected is None else [expected])


def test_a_missing_column_is_breaking() -> None:
    expected_finding = (BREAKING, f"column {T}.c is gone, or has another name", f"{T}.c")
    assert differences(table(c=TEXT), table()) == [expected_finding]


MISSING_TABLE = (BREAKING, f"table {T} is gone, or has another name", T)


@pytest.mark.parametrize(
    ("recorded", "live", "expected"),
    [
        (table(), LiveSchema(tables={}), MISSING_TABLE),
        (
            table(),
            LiveSchema(tables={}, views={T: {"id": TEXT}}),
            (UNKNOWN, f"table {T} is a view now: it may refuse the rows that are written to it", ""),
        ),
        (
            table(),
            LiveSchema(tables={}, partitions={T: "public.whole"}),
            (UNKNOWN, f"table {T} is a partition now: rows outside of its bounds are refused", ""),
        ),
        (
            table().model_copy(update={"partitions": None}),
            LiveSchema(tables={}, partitions={T: "public.whole"}),
            None,
        ),
        (table().model_copy(update={"partitions": None}), LiveSchema(tables={}), MISSING_TABLE),
    ],
)
def test_a_missing_table(recorded: LiveSchema, live: LiveSchema, expected: Expected | None) -> None:
    assert differences(recorded, live) == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("parent", "is_twin"),
    [({"id": TEXT}, True), ({"id": column(nullable=False)}, True), ({"id": column(type="integer")}, False)],
)
def test_a_missing_table_of_an_older_snapshot_may_have_been_a_partition(
    parent: dict[str, Column], is_twin: bool
) -> None:
    recorded = LiveSchema(tables={T: {"id": TEXT}, "public.whole": parent})
    live = LiveSchema(tables={"public.whole": parent}, partitions={})
    text = f"table {T} is gone; the snapshot does not show whether it was a partition of public.whole"
    assert differences(recorded, live) == [(UNKNOWN, text, "") if is_twin else MISSING_TABLE]


def view(body: str | None = None, **columns: Column) -> LiveSchema:
    bodies = None if body is None else {"public.v": body}
    return LiveSchema(tables={}, views={"public.v": columns}, view_bodies=bodies)


@pytest.mark.parametrize(
    ("recorded", "live", "expected"),
    [
        (view(c=TEXT), LiveSchema(tables={}), [(BREAKING, "view public.v is gone, or has another name", "public.v")]),
        (view(c=TEXT), LiveSchema(tables={"public.v": {"c": TEXT}}), []),
        (view("a", c=TEXT), view("a", c=TEXT), []),
        (
            view("a", c=TEXT),
            view("b", c=TEXT),
            [(UNKNOWN, "view public.v has another query, and may return other rows", "")],
        ),
        (view(c=TEXT), view("b", c=TEXT), []),
        (view("a", c=TEXT), view(c=TEXT), []),
        (
            view(c=TEXT, d=TEXT),
            view(d=column(type="uuid")),
            [
                (BREAKING, "column public.v.c is gone, or has another name", "public.v.c"),
                (BREAKING, "the type of public.v.d was text and is uuid", "public.v.d"),
            ],
        ),
    ],
)
def test_a_change_of_a_view(recorded: LiveSchema, live: LiveSchema, expected: list[Expected]) -> None:
    assert differences(recorded, live) == expected


def constraint(kind: Any, *columns: str, **changes: Any) -> Constraint:
    return Constraint(kind=kind, columns=columns, definition=changes.pop("definition", "d"), **changes)


def schema_with_constraints(*constraints: Constraint, **columns: Column) -> LiveSchema:
    return table(**columns).model_copy(update={"constraints": {T: constraints}})


FOREIGN = constraint("foreign", "new", null_passes=True, refuses_deletes_in=T)
DELETES = (COMPATIBLE, f"rows of {T} may not be deletable: d", "")


@pytest.mark.parametrize(
    ("recorded", "live", "expected"),
    [
        (
            table(),
            schema_with_constraints(constraint("unique", "id")),
            (BREAKING, f"{T} now has unique: d: rows are refused that were accepted before", T),
        ),
        (
            schema_with_constraints(constraint("unique", "id")),
            schema_with_constraints(constraint("unique", "id", definition="e"), constraint("unique", "id")),
            (BREAKING, f"{T} now has unique: e: rows are refused that were accepted before", T),
        ),
        (
            schema_with_constraints(constraint("check", "id")),
            schema_with_constraints(constraint("check", "id", definition="e")),
            (UNKNOWN, f"{T} now has check: e in place of another, and may refuse rows that the other accepted", ""),
        ),
        (
            schema_with_constraints(constraint("check", "id")),
            schema_with_constraints(constraint("foreign", "id")),
            (BREAKING, f"{T} now has foreign: d: rows are refused that were accepted before", T),
        ),
        (
            table(),
            schema_with_constraints(constraint("check", "new"), new=TEXT),
            (UNKNOWN, f"{T} now has check: d, and may refuse rows without its columns", ""),
        ),
        (
            table(),
            schema_with_constraints(constraint("check", "new", "id"), new=TEXT),
            (BREAKING, f"{T} now has check: d: rows are refused that were accepted before", T),
        ),
        (
            table(),
            schema_with_constraints(constraint("foreign", "new"), new=TEXT),
            (BREAKING, f"{T} now has foreign: d: rows are refused that were accepted before", T),
        ),
        (table(), schema_with_constraints(FOREIGN, new=TEXT), DELETES),
        (
            table(),
            schema_with_constraints(FOREIGN, new=column(has_default=True)),
            (BREAKING, f"{T} now has foreign: d: rows are refused that were accepted before", T),
        ),
        (
            table(),
            schema_with_constraints(
                constraint("unique", "new", null_passes=True), new=column(has_default=True, default_differs=True)
            ),
            None,
        ),
        (
            table(),
            schema_with_constraints(constraint("unique", "new"), new=column(has_default=True, default_differs=True)),
            (BREAKING, f"{T} now has unique: d: rows are refused that were accepted before", T),
        ),
        (
            schema_with_constraints(constraint("unique", "id")),
            table(),
            (BREAKING, f"{T} lost unique: d: an ON CONFLICT that names it is refused", T),
        ),
        (
            schema_with_constraints(constraint("exclusion", "id")),
            table(),
            (BREAKING, f"{T} lost exclusion: d: an ON CONFLICT that names it is refused", T),
        ),
        (schema_with_constraints(constraint("check", "id")), table(), None),
        (
            schema_with_constraints(constraint("check", "c"), c=TEXT),
            schema_with_constraints(constraint("check", "c"), c=column(has_default=True)),
            (UNKNOWN, f"{T}.c has a default now, which may be refused by check: d", ""),
        ),
        (
            schema_with_constraints(constraint("check", "c"), c=TEXT),
            schema_with_constraints(constraint("check", "c"), c=column(has_default=True, default_differs=True)),
            None,
        ),
        (
            schema_with_constraints(constraint("check", "c"), c=column(has_default=True)),
            schema_with_constraints(constraint("check", "c"), c=column(has_default=True)),
            None,
        ),
    ],
)
def test_a_change_of_a_constraint(recorded: LiveSchema, live: LiveSchema, expected: Expected | None) -> None:
    assert differences(recorded, live) == ([] if expected is None else [expected])


def test_a_constraint_of_a_new_table_is_reported_only_if_deletes_of_the_releases_rows_fail() -> None:
    other_table = "public.other"
    live = LiveSchema(
        tables={T: {"id": TEXT}, other_table: {"new": TEXT}},
        partitions={},
        constraints={other_table: (constraint("unique", "new"), FOREIGN)},
    )
    assert differences(table(), live) == [DELETES]


def enum(*values: str) -> LiveSchema:
    return LiveSchema(tables={}, enums={"mood": values})


@pytest.mark.parametrize(
    ("recorded", "live", "expected"),
    [
        (enum("a"), LiveSchema(tables={}), (UNKNOWN, "enum mood is gone: a cast to it is refused", "")),
        (enum("a", "b"), enum("a"), (BREAKING, "enum mood has no value 'b' any more", "mood")),
        (
            enum("a"),
            enum("a", "b", "c"),
            (COMPATIBLE, "enum mood may return values that the release never saw: b, c", ""),
        ),
        (enum("a", "b"), enum("b", "a"), (UNKNOWN, "the values of enum mood have another order", "")),
        (enum("a", "b"), enum("a", "b"), None),
    ],
)
def test_a_change_of_an_enum(recorded: LiveSchema, live: LiveSchema, expected: Expected | None) -> None:
    assert differences(recorded, live) == ([] if expected is None else [expected])


def schema_with_objects(*objects: SchemaObject) -> LiveSchema:
    return table().model_copy(update={"objects": objects})


def other_object(kind: Any, definition: str = "d") -> SchemaObject:
    return SchemaObject(kind=kind, name="public.f", definition=definition)


def trigger(definition: str = "d", on: str = T) -> SchemaObject:
    return SchemaObject(kind="trigger", name=f"{on} audit", definition=definition, table=on)


@pytest.mark.parametrize(
    ("recorded", "live", "expected"),
    [
        (
            schema_with_objects(other_object("function")),
            table(),
            (BREAKING, "function public.f is gone, or has another name", "public.f"),
        ),
        (
            schema_with_objects(other_object("sequence")),
            table(),
            (BREAKING, "sequence public.f is gone, or has another name", "public.f"),
        ),
        (
            schema_with_objects(other_object("domain")),
            table(),
            (UNKNOWN, "domain public.f is gone, or has another name", ""),
        ),
        (
            schema_with_objects(other_object("function")),
            schema_with_objects(other_object("function", "e")),
            (UNKNOWN, "function public.f was changed, and may act differently", ""),
        ),
        (schema_with_objects(other_object("function")), schema_with_objects(other_object("function")), None),
        (table(), schema_with_objects(other_object("function")), None),
        (
            schema_with_objects(trigger()),
            table(),
            (UNKNOWN, f"trigger on {T} audit is gone or changed, and rows may be treated differently", ""),
        ),
        (
            schema_with_objects(trigger()),
            schema_with_objects(trigger("e")),
            (UNKNOWN, f"trigger on {T} audit is gone or changed, and rows may be treated differently", ""),
        ),
        (schema_with_objects(trigger()), schema_with_objects(trigger()), None),
        (
            table(),
            schema_with_objects(trigger()),
            (UNKNOWN, f"trigger on {T} audit is new, and may change or refuse rows", ""),
        ),
        (table(), schema_with_objects(trigger(on="public.other")), None),
    ],
)
def test_a_change_of_another_object(recorded: LiveSchema, live: LiveSchema, expected: Expected | None) -> None:
    assert differences(recorded, live) == ([] if expected is None else [expected])


def test_a_trigger_of_a_missing_table_is_no_additional_difference() -> None:
    live = LiveSchema(tables={}, partitions={})
    assert differences(schema_with_objects(trigger()), live) == [MISSING_TABLE]


def test_a_trigger_of_a_view_counts_like_a_trigger_of_a_table() -> None:
    recorded = view(c=TEXT).model_copy(update={"objects": (trigger(on="public.v"),)})
    (finding,) = differences(recorded, view(c=TEXT))
    assert finding[:2] == (UNKNOWN, "trigger on public.v audit is gone or changed, and rows may be treated differently")


@pytest.mark.parametrize("schema", ["neon", "neon_auth", "neon_migration"])
def test_neons_own_schemas_are_not_compared(schema: str) -> None:
    name = f"{schema}.users"
    neon_objects = LiveSchema(
        tables={name: {"id": TEXT}},
        views={f"{name}_v": {"id": TEXT}},
        constraints={name: (constraint("unique", "id"),)},
        enums={f"{schema}.mood": ("a",)},
        objects=(SchemaObject(kind="function", name=f"{schema}.f", definition="d"),),
        partitions={},
    )
    assert compare_structures(neon_objects, LiveSchema(tables={}, partitions={})) == ()
