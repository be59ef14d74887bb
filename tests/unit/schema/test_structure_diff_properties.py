"""The comparison of structures, beyond the cases of `contract/postgres/test_schema_compatibility.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.database.schema_verdict import Compatibility, find_worst
from rollback.resources.database.live_schema import Column, Constraint, LiveSchema, SchemaObject
from rollback.schema.column_types import judge_type
from rollback.schema.structure_diff import compare_structures

BREAKING, UNKNOWN, COMPATIBLE = Compatibility.BREAKING, Compatibility.UNKNOWN, Compatibility.COMPATIBLE

TYPES = (
    ("text", "text", COMPATIBLE),
    ("text", "character varying", COMPATIBLE),
    ("text", "character varying(9)", BREAKING),
    ("character varying(9)", "character varying(9)[]", BREAKING),
    ("character varying(9)[]", "character varying(10)[]", UNKNOWN),
    ("character varying(9)", "character varying", COMPATIBLE),
    ("character varying", "character varying(9)", BREAKING),
    ("character(3)", "text", UNKNOWN),
    ("smallint", "integer", COMPATIBLE),
    ("smallint", "bigint", UNKNOWN),
    ("integer", "bigint", UNKNOWN),
    ("bigint", "integer", BREAKING),
    ("integer", "numeric", UNKNOWN),
    ("integer", "text", BREAKING),
    ("text", "integer", BREAKING),
    ("numeric(6,2)", "numeric", UNKNOWN),
    ("numeric", "numeric(6,2)", BREAKING),
    ("numeric(6,2)", "numeric(7,2)", COMPATIBLE),
    ("numeric(6,2)", "numeric(6,3)", BREAKING),
    ("numeric(6,2)", "numeric(9,4)", UNKNOWN),
    ("timestamp without time zone", "timestamp with time zone", UNKNOWN),
    ("timestamp(3) with time zone", "timestamp(6) with time zone", UNKNOWN),
    ("json", "jsonb", UNKNOWN),
    ("boolean", "text", BREAKING),
    ("mood", "text", UNKNOWN),
    ("text", "mood", BREAKING),
    ("mood", "humour", BREAKING),
    ("vector(3)", "vector(4)", UNKNOWN),
)


@pytest.mark.parametrize(
    ("recorded_type", "live_type", "verdict"), TYPES, ids=[f"{was} to {now}" for was, now, _ in TYPES]
)
def test_a_change_of_type_is_judged(recorded_type: str, live_type: str, verdict: Compatibility) -> None:
    assert judge_type(recorded_type, live_type) is verdict


_NAMES = st.sampled_from(["a", "b", "c", "d"])
_COLUMNS = st.builds(
    Column,
    type=st.sampled_from(["text", "integer", "mood", "numeric(6,2)"]),
    nullable=st.booleans(),
    has_default=st.booleans(),
    generated=st.booleans(),
)
_TABLES = st.dictionaries(_NAMES.map("public.{}".format), st.dictionaries(_NAMES, _COLUMNS, min_size=1), max_size=3)
_CONSTRAINTS = st.builds(
    Constraint,
    kind=st.sampled_from(["unique", "check", "foreign", "exclusion"]),
    columns=st.tuples(_NAMES),
    definition=st.sampled_from(["x", "y"]),
    null_passes=st.booleans(),
    refuses_deletes_in=st.none() | _NAMES.map("public.{}".format),
)


@st.composite
def _schemas(draw: st.DrawFn) -> LiveSchema:
    """Draw a schema whose constraints are on existing columns only, as in a database."""
    tables = draw(_TABLES)
    constraints = {
        table: tuple(
            constraint
            for constraint in draw(st.lists(_CONSTRAINTS, max_size=3))
            if set(constraint.columns) <= columns.keys()
        )
        for table, columns in tables.items()
    }
    enums = draw(st.dictionaries(st.just("mood"), st.permutations(["happy", "sad"]).map(tuple)))
    kinds = st.sampled_from(["sequence", "function", "domain"])
    objects = draw(st.lists(st.builds(SchemaObject, kind=kinds, name=_NAMES, definition=_NAMES), max_size=2))
    return LiveSchema(
        tables=tables, views=draw(_TABLES), constraints=constraints, enums=enums, objects=tuple(objects[:1])
    )


@given(_schemas())
def test_a_release_can_work_with_the_schema_that_it_ran_on(schema: LiveSchema) -> None:
    assert compare_structures(schema, schema) == ()


@given(_schemas(), _schemas())
def test_a_release_that_needs_nothing_can_work_with_any_schema(empty: LiveSchema, live: LiveSchema) -> None:
    assert find_worst(compare_structures(LiveSchema(tables={}), live)) is COMPATIBLE


@given(_schemas(), st.data())
def test_a_missing_column_or_table_is_breaking(schema: LiveSchema, data: st.DataObject) -> None:
    if not schema.tables:
        return
    table = data.draw(st.sampled_from(sorted(schema.tables)))
    column = data.draw(st.sampled_from(sorted(schema.tables[table])))
    columns = {name: live_column for name, live_column in schema.tables[table].items() if name != column}
    schema_without_column = schema.model_copy(update={"tables": {**schema.tables, table: columns}})
    assert find_worst(compare_structures(schema, schema_without_column)) is BREAKING
    remaining_tables = {name: live_column for name, live_column in schema.tables.items() if name != table}
    views = {name: live_column for name, live_column in schema.views.items() if name != table}
    schema_without_table = schema.model_copy(update={"tables": remaining_tables, "views": views})
    schema = schema.model_copy(update={"partitions": {}})  # else the table may have been a partition
    assert find_worst(compare_structures(schema.model_copy(update={"views": views}), schema_without_table)) is BREAKING


@given(_schemas(), _COLUMNS)
def test_a_new_column_is_breaking_exactly_if_rows_can_not_omit_the_column(schema: LiveSchema, new: Column) -> None:
    extended_schema = schema.model_copy(
        update={"tables": {name: {**columns, "new": new} for name, columns in schema.tables.items()}}
    )
    blocks = bool(schema.tables) and not new.nullable and not new.has_default
    assert find_worst(compare_structures(schema, extended_schema)) is (BREAKING if blocks else COMPATIBLE)


@given(_schemas(), _schemas(), _schemas())
def test_a_release_that_needs_more_tables_is_never_more_compatible(
    recorded_schema: LiveSchema, additional_schema: LiveSchema, live: LiveSchema
) -> None:
    combined_schema = recorded_schema.model_copy(
        update={
            "tables": {**additional_schema.tables, **recorded_schema.tables},
            "views": {**additional_schema.views, **recorded_schema.views},
        }
    )
    if find_worst(compare_structures(recorded_schema, live)) is BREAKING and not set(additional_schema.tables) & set(
        live.tables
    ):
        assert find_worst(compare_structures(combined_schema, live)) is BREAKING


def test_the_foreign_key_of_a_new_table_is_reported_and_is_not_breaking() -> None:
    column = Column(type="integer", nullable=False, has_default=False)
    recorded_schema = LiveSchema(tables={"public.users": {"id": column}})
    key = Constraint(
        kind="foreign", columns=("author",), definition="FOREIGN KEY (author) REFERENCES users(id)", null_passes=True,
        refuses_deletes_in="public.users",
    )  # fmt: skip
    tables = {**recorded_schema.tables, "public.notes": {"author": column}}
    (difference,) = compare_structures(recorded_schema, LiveSchema(tables=tables, constraints={"public.notes": (key,)}))
    assert difference.compatibility is COMPATIBLE
    assert "rows of public.users may not be deletable" in difference.difference
