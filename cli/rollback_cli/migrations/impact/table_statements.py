"""Statements about tables, their rows and their keys; `alter_table` has ALTER TABLE."""

from rollback.domain.database.migration_impact import (
    ADDITIVE,
    NO_IMPACT,
    MigrationImpact,
    additive,
    breaking,
    unknown,
)
from rollback_cli.migrations.impact.alter_table import classify_unique_index
from rollback_cli.migrations.impact.created_objects import FileContext
from rollback_cli.migrations.impact.expressions import find_side_effect, may_fail
from rollback_cli.migrations.impact.postgres_parser import Statement, relation
from rollback_cli.migrations.impact.unknown_statement import unknown_statement

# Journals of migration tools: `alembic upgrade --sql` writes its own row, and other tools do so too.
_JOURNALS = frozenset(
    {
        *("alembic_version", "django_migrations", "flyway_schema_history", "knex_migrations", "schema_migrations"),
        *("drizzle.__drizzle_migrations", "_prisma_migrations", "ar_internal_metadata"),
    }
)


def classify_create_table(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify CREATE TABLE as additive, and remember the table as created if it surely is new."""
    node, table = statement.node, relation(statement.node["relation"])
    if node["relation"].get("relpersistence") == "t":
        return ADDITIVE  # hides an old table until the session ends: later statements are about no new table
    if not node.get("if_not_exists"):  # with IF NOT EXISTS the table may be an old one
        context.created.tables.add(table)
    return additive(f"table {table}")


def classify_create_table_as(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify CREATE TABLE AS and CREATE MATERIALIZED VIEW by the side effects of the query."""
    node = statement.node
    side_effect = find_side_effect(node.get("query"))
    if side_effect is not None:
        return unknown(f"{statement.brief}: {side_effect}")
    name = relation(node["into"]["rel"])
    if node.get("objtype") == "OBJECT_MATVIEW":
        return additive(f"view {name}")
    if not node.get("if_not_exists") and node["into"]["rel"].get("relpersistence") != "t":
        context.created.tables.add(name)
    return additive(f"table {name}")


def classify_index(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify CREATE INDEX: a unique index, or an expression that fails, refuses rows."""
    node, table = statement.node, relation(statement.node["relation"])
    elements = [item["index_elem"] for item in node.get("index_params", ()) if "index_elem" in item]
    if table not in context.created.tables and may_fail([*elements, node.get("where_clause")]):
        return unknown(f"an index on {table} computes an expression, which may refuse a row")
    if not node.get("unique"):
        return NO_IMPACT
    columns = tuple(element["name"] for element in elements if "name" in element)
    return classify_unique_index(table, () if node.get("nulls_not_distinct") else columns, context.created)


def classify_insert(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify INSERT: a row in an old table may take the key that a sequence gives the release's next row."""
    table = relation(statement.node["relation"])
    return _classify_row_change(table, statement, context, f"rows are added to {table}")


def classify_update(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify UPDATE: values for columns that the file has created are additive, values for other columns are not."""
    table = relation(statement.node["relation"])
    assigned_columns = {item["res_target"].get("name", "") for item in statement.node.get("target_list", ())}
    is_own = bool(assigned_columns) and context.created.has_created_columns(table, assigned_columns)
    return _classify_row_change(table, statement, context, f"rows of {table} are rewritten", is_own=is_own)


def classify_delete(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify DELETE."""
    table = relation(statement.node["relation"])
    return _classify_row_change(table, statement, context, f"rows of {table} are deleted")


def _classify_row_change(
    table: str, statement: Statement, context: FileContext, reason: str, *, is_own: bool = False
) -> MigrationImpact:
    """Classify a change of rows.

    Args:
        table: name of the table whose rows change.
        statement: statement that changes the rows.
        context: file of the statement.
        reason: reason for a table that the file has not created.
        is_own: whether the statement changes only columns that the file has created.
    """
    if table in _JOURNALS:
        return NO_IMPACT
    side_effect = find_side_effect(list(statement.node.values()))
    if side_effect is not None:
        return unknown(f"{statement.brief}: {side_effect}")
    if context.created.has_trigger:
        return unknown(f"{statement.brief}: a trigger or a rule of this file may act on the changed rows")
    return ADDITIVE if is_own or table in context.created.tables else unknown(reason)


def classify_truncate(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify TRUNCATE: breaking for an old table, and for any table with CASCADE."""
    tables = {relation(item["range_var"]) for item in statement.node.get("relations", ())}
    cascades = statement.node.get("behavior") == "DROP_CASCADE"
    if tables <= context.created.tables and not cascades:
        return ADDITIVE
    return breaking(f"truncate {', '.join(sorted(tables))}", shows=False)


def classify_trigger(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify CREATE TRIGGER and CREATE RULE: unknown, and so is each later change of rows in the file."""
    context.created.has_trigger = True
    return unknown_statement(statement, shows=True)
