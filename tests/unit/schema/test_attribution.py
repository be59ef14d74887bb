"""Attribution of differences to migrations: a similar name is no evidence that justifies an overwrite."""

import pytest

from rollback.domain.database.migration_impact import MigrationImpact, breaking
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.schema.compatibility import judge_schema
from rollback_cli.migrations.impact.classify_sql import classify

ID = Column(type="integer", nullable=False, has_default=True, default_differs=True)
TEXT = Column(type="text", nullable=True, has_default=False)
REQUIRED = TEXT.model_copy(update={"nullable": False})
ORDERS = {"id": ID, "status": TEXT, "users": TEXT}
BEFORE, SINCE = Migration(hash="a" * 64, created_at=1000), Migration(hash="b" * 64, created_at=2000)


def judge_migration(
    recorded_schema: dict[str, dict[str, Column]], live: dict[str, dict[str, Column]], impact: MigrationImpact
) -> SchemaVerdict:
    """Judge the schema after an additional migration with this impact."""
    shipped = ShippedMigration(tag="0002", created_at=2000, hash="b" * 64, impact=impact)
    target = ReleaseSchema(journal=(BEFORE,), recorded_schema=LiveSchema(tables=recorded_schema, partitions={}))
    return judge_schema(target, LiveSchema(tables=live, partitions={}), (BEFORE, SINCE), (shipped,))


@pytest.mark.parametrize(
    ("by_operator", "sql", "remaining_columns"),
    [
        ("public.users", "ALTER TABLE orders DROP COLUMN users", {"id": ID, "status": TEXT}),
        (
            "public.key",
            "ALTER TABLE orders ALTER status SET NOT NULL; CREATE UNIQUE INDEX ON orders (users)",
            {},
        ),
        ("audit.orders", "ALTER TABLE orders DROP COLUMN status, DROP COLUMN users", {"id": ID}),
        ("public.audit", "-- see audit\nALTER TABLE orders RENAME COLUMN status TO users_status", {}),
        ("public.Orders", "ALTER TABLE orders DROP COLUMN status", {"id": ID, "users": TEXT}),
        ("public.users", "ALTER TABLE users DROP CONSTRAINT users_name_key", {}),
        ("public.orders.status", "ALTER TABLE customers DROP COLUMN status; CREATE UNIQUE INDEX ON orders (id)", {}),
    ],
)
def test_a_migration_of_a_like_name_does_not_explain_an_object_that_an_operator_removed(
    by_operator: str, sql: str, remaining_columns: dict[str, Column]
) -> None:
    tables = {"public.orders": ORDERS, "public.customers": ORDERS}
    recorded_schema, live = dict(tables), {**tables, "public.orders": remaining_columns or ORDERS}
    if by_operator == "public.orders.status":
        live["public.orders"] = {"id": ID, "users": TEXT}
    else:
        recorded_schema[by_operator] = ORDERS
    verdict = judge_migration(recorded_schema, live, classify(sql))
    assert verdict.compatibility is Compatibility.BREAKING
    assert any(by_operator in difference for difference in verdict.unexplained), verdict
    assert not verdict.is_attributed


@pytest.mark.parametrize(
    ("sql", "remaining_columns"),
    [
        ('ALTER TABLE "public"."orders" DROP COLUMN "status"', {"id": ID, "users": TEXT}),
        ("ALTER TABLE orders RENAME COLUMN status TO state", {"id": ID, "users": TEXT, "state": REQUIRED}),
        ("ALTER TABLE orders ADD COLUMN state text NOT NULL", {**ORDERS, "state": REQUIRED}),
        ("ALTER TABLE orders ALTER COLUMN status SET NOT NULL", {**ORDERS, "status": REQUIRED}),
        ("ALTER TABLE orders ALTER status TYPE int USING 1", {**ORDERS, "status": ID}),
    ],
)
def test_a_migration_explains_its_change_of_a_column(sql: str, remaining_columns: dict[str, Column]) -> None:
    verdict = judge_migration({"public.orders": ORDERS}, {"public.orders": remaining_columns}, classify(sql))
    assert (verdict.attributed_to, verdict.unexplained) == (("0002",), ()), verdict


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("public.orders", "DROP TABLE orders"),
        ("public.Orders", 'DROP TABLE "Orders"'),
        ("app.orders", "ALTER TABLE app.orders RENAME TO old"),
        ("app.orders", "DROP TABLE orders"),  # the role has a search path of its own
    ],
)
def test_a_migration_explains_a_table_that_it_dropped_or_renamed(table: str, sql: str) -> None:
    verdict = judge_migration({table: ORDERS}, {}, classify(sql))
    assert (verdict.attributed_to, verdict.unexplained) == (("0002",), ())


@pytest.mark.parametrize(
    ("reason", "remaining_columns"),
    [
        ("orders: drop column status", {"id": ID, "users": TEXT}),
        ("orders: alter column status set not null", {**ORDERS, "status": REQUIRED}),
    ],
)
def test_a_classification_of_an_older_version_explains_a_difference_with_its_reasons(
    reason: str, remaining_columns: dict[str, Column]
) -> None:
    verdict = judge_migration({"public.orders": ORDERS}, {"public.orders": remaining_columns}, breaking(reason))
    assert verdict.is_attributed


def test_an_older_classification_treats_a_recreated_table_as_another_table() -> None:
    verdict = judge_migration({"public.orders": ORDERS}, {"public.orders": ORDERS}, breaking("drop table orders"))
    assert verdict.compatibility is Compatibility.BREAKING


def test_a_migration_explains_an_enum_whose_value_it_renamed() -> None:
    recorded_schema, live = (LiveSchema(tables={}, enums={'"Mood"': (value,)}) for value in ("sad", "low"))
    impact = classify("""ALTER TYPE "Mood" RENAME VALUE 'sad' TO 'low'""")
    shipped = ShippedMigration(tag="0002", created_at=2000, hash="b" * 64, impact=impact)
    target = ReleaseSchema(journal=(BEFORE,), recorded_schema=recorded_schema)
    assert judge_schema(target, live, (BEFORE, SINCE), (shipped,)).is_attributed


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("public.orders", "ALTER TABLE orders DROP COLUMN status"),  # and an operator created it again by hand
        ("audit.orders", "DROP TABLE orders"),  # it dropped another table, which the release never knew
    ],
)
def test_a_dropped_object_that_exists_again_refuses_the_rollback_and_overwrites_no_data(table: str, sql: str) -> None:
    verdict = judge_migration({table: ORDERS}, {table: ORDERS}, classify(sql))
    assert verdict.compatibility is Compatibility.BREAKING
    assert not verdict.is_attributed
    assert "was removed and created again" in str(verdict.unexplained)


def test_a_migration_explains_a_table_that_it_dropped_and_created_again() -> None:
    impact = classify("DROP TABLE orders; CREATE TABLE orders (id serial, status text, users text)")
    verdict = judge_migration({"public.orders": ORDERS}, {"public.orders": ORDERS}, impact)
    assert verdict.is_attributed


def plain_file(sql: str, name: str = "two.sql") -> ShippedMigration:
    return ShippedMigration(tag=name, created_at=2, hash="c" * 64, impact=classify(sql), tool="sql", id=name)


OLD = plain_file("UPDATE orders SET status = 'x'", "one.sql")
LIVE_SCHEMA = LiveSchema(tables={"public.orders": ORDERS}, partitions={})


@pytest.mark.parametrize("journal", [None, (BEFORE,)])
@pytest.mark.parametrize(
    ("sql", "compatibility"),
    [
        ("UPDATE orders SET status = lower(status)", Compatibility.UNKNOWN),
        ("TRUNCATE orders", Compatibility.BREAKING),
        ("ALTER TABLE orders ADD COLUMN note text", Compatibility.COMPATIBLE),
    ],
)
def test_a_plain_file_counts_beside_another_tools_journal_and_never_justifies_a_restore_alone(
    sql: str, compatibility: Compatibility, journal: tuple[Migration, ...] | None
) -> None:
    """No journal lists plain files as applied."""
    target = ReleaseSchema(shipped=(OLD,), journal=journal, recorded_schema=LIVE_SCHEMA, has_searched_all_journals=True)
    verdict = judge_schema(target, LIVE_SCHEMA, journal, (OLD, plain_file(sql)))
    assert verdict.compatibility is compatibility
    assert not verdict.is_attributed


def test_a_plain_file_explains_a_difference_if_the_target_recorded_its_own_files() -> None:
    live = LiveSchema(tables={}, partitions={})
    migration = plain_file("DROP TABLE orders")
    target = ReleaseSchema(shipped=(OLD,), recorded_schema=LIVE_SCHEMA, has_searched_all_journals=True)
    assert judge_schema(target, live, None, (OLD, migration)).is_attributed
    target_without_files = target.model_copy(update={"shipped": None})
    assert not judge_schema(target_without_files, live, None, (OLD, migration)).is_attributed


PARTITIONED = LiveSchema(
    tables={"public.ev": ORDERS}, partitions={"public.ev_1": "public.ev", "public.ev_2": "public.ev"}
)
WITHOUT_BODIES = LiveSchema(tables={}, views={"public.v": ORDERS})


@pytest.mark.parametrize(
    ("recorded_schema", "live", "sql"),
    [
        (PARTITIONED, PARTITIONED.model_copy(update={"partitions": {"public.ev_1": "public.ev"}}), "DROP TABLE ev_2"),
        (PARTITIONED, PARTITIONED, "CREATE UNIQUE INDEX ON ev_2 (status)"),
        (PARTITIONED, PARTITIONED, "ALTER TABLE public.ev_2 ALTER COLUMN status SET NOT NULL"),
        (PARTITIONED, PARTITIONED, "CREATE TRIGGER t BEFORE INSERT ON ev_2 EXECUTE FUNCTION f()"),
        (LIVE_SCHEMA, LIVE_SCHEMA, "ALTER TABLE neon_auth.users_sync DROP COLUMN name"),
        (
            WITHOUT_BODIES,
            WITHOUT_BODIES.model_copy(update={"view_bodies": {"public.v": "x"}, "partitions": {}}),
            "CREATE OR REPLACE VIEW v AS SELECT * FROM orders WHERE false",
        ),
    ],
)
def test_a_migration_of_an_object_outside_the_comparison_is_unknown(
    recorded_schema: LiveSchema, live: LiveSchema, sql: str
) -> None:
    """The absence of a difference is no evidence where no comparison was made."""
    shipped = ShippedMigration(tag="0002", created_at=2000, hash="b" * 64, impact=classify(sql))
    verdict = judge_schema(
        ReleaseSchema(journal=(BEFORE,), recorded_schema=recorded_schema), live, (BEFORE, SINCE), (shipped,)
    )
    assert verdict.compatibility is Compatibility.UNKNOWN
    assert "left out of the structure that is compared" in verdict.reason


def test_a_default_whose_text_differs_after_a_cast_is_another_default() -> None:
    """Expressions as `pg_get_expr` writes them: words and numbers after a type's name are no part of the type."""
    recorded_schema, live = (
        LiveSchema(
            tables={
                "public.orders": {
                    "n": TEXT.model_copy(
                        update={
                            "has_default": True,
                            "default": f"CASE WHEN true THEN (length('x'::text))::numeric ELSE {value} END",
                        }
                    )
                }
            },
            partitions={},
        )
        for value in ("0.5", "0.7")
    )
    verdict = judge_schema(ReleaseSchema(journal=(BEFORE,), recorded_schema=recorded_schema), live, (BEFORE,))
    assert verdict.compatibility is Compatibility.UNKNOWN
