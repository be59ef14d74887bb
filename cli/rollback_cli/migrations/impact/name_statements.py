"""Statements that remove names or take names: DROP, RENAME, SET SCHEMA, and CREATE of anything but tables."""

from rollback.domain.database.migration_impact import (
    ADDITIVE,
    ANY_NAME,
    MigrationImpact,
    additive,
    breaking,
    unknown,
)
from rollback_cli.migrations.impact.created_objects import FileContext
from rollback_cli.migrations.impact.postgres_parser import Node, Statement, qualified, relation, strings
from rollback_cli.migrations.impact.unknown_statement import unknown_statement

# The structure shows that such a name is gone.
_NAMED_KINDS = {
    "OBJECT_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "view",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "type",
    "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "function",
    "OBJECT_SCHEMA": "schema",
}
# The structure names these by a digest, and so shows the difference too.
_DIGESTED_KINDS = frozenset({"OBJECT_INDEX", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"})
_RENAMED_KINDS = frozenset({*_NAMED_KINDS, "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_ATTRIBUTE"})


def classify_drop(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify DROP: breaking, unless the file has created all dropped objects."""
    node = statement.node
    object_type, cascades = node.get("remove_type", ""), node.get("behavior") == "DROP_CASCADE"
    if object_type in _DIGESTED_KINDS:
        return unknown_statement(statement, shows=True)
    kind = _NAMED_KINDS.get(object_type)
    if kind is None:
        return unknown_statement(statement)
    names = tuple(_object_name(item) for item in node.get("objects", ()))
    if kind == "table" and _forget_created_tables(set(names), context):
        return ADDITIVE
    if kind == "view" and set(names) & context.views:
        return unknown(f"view {', '.join(names)} is dropped and created again: privileges on it are gone")
    dependants = (f"view {ANY_NAME}",) if kind in ("table", "view") else (ANY_NAME,)
    removed_names = (*(f"{kind} {name}" for name in names), *(dependants if cascades else ()))
    return breaking(f"drop {kind} {', '.join(names)}", removes=removed_names)


def _forget_created_tables(names: set[str], context: FileContext) -> bool:
    """Remove dropped tables from the created ones; return whether the file had created all of them."""
    are_all_created = names <= context.created.tables
    context.created.tables = context.created.tables - names
    return are_all_created


def _object_name(node: Node) -> str:
    """Read a name from DROP, which has names in three forms: a list, a type, a function with its arguments."""
    if "list" in node:
        return qualified(strings(node["list"].get("items")))
    if "type_name" in node:
        return qualified(strings(node["type_name"].get("names")))
    if "object_with_args" in node:
        return qualified(strings(node["object_with_args"].get("objname")))
    return qualified(strings([node]))


def classify_rename(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify RENAME: breaking, unless the file has created the table."""
    node = statement.node
    object_type = node.get("rename_type", "")
    if object_type == "OBJECT_INDEX":
        return unknown_statement(statement, shows=True)
    if object_type not in _RENAMED_KINDS:
        return unknown_statement(statement)
    if "relation" not in node:
        return breaking(statement.brief)
    table = relation(node["relation"])
    if table not in context.created.tables:
        removed_names, taken_names = _names_of_rename(node, table)
        return breaking(statement.brief, removes=removed_names, makes=taken_names)
    if object_type != "OBJECT_TABLE":
        return ADDITIVE
    new_name = _name_after_rename(node)
    context.created.rename_table(table, new_name)
    return additive(f"table {new_name}")


def _names_of_rename(node: Node, table: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that a rename removes, and those that it takes."""
    object_type = node.get("rename_type", "")
    if object_type == "OBJECT_COLUMN":
        return (f"column {table}.{node.get('subname', '')}",), (f"column {table}.{node.get('newname', '')}",)
    kind = _NAMED_KINDS.get(object_type)
    if kind is None:
        return (), ()
    return (f"{kind} {table}",), (f"{kind} {_name_after_rename(node)}",)


def _name_after_rename(node: Node) -> str:
    return qualified((node["relation"].get("schemaname", ""), node.get("newname", "")))


def classify_schema_change(statement: Statement) -> MigrationImpact:
    """Classify ALTER … SET SCHEMA: breaking for a table, unknown for anything else."""
    if statement.node.get("object_type") != "OBJECT_TABLE" or "relation" not in statement.node:
        return unknown_statement(statement)
    old_name = relation(statement.node["relation"])
    new_name = qualified((statement.node.get("newschema", ""), statement.node["relation"].get("relname", "")))
    return breaking(statement.brief, removes=(f"table {old_name}",), makes=(f"table {new_name}",))


def classify_view(statement: Statement) -> MigrationImpact:
    """Classify CREATE VIEW."""
    name = relation(statement.node["view"])
    if statement.node.get("replace"):
        return unknown(f"view {name} may be replaced", shows=True)
    return additive(f"view {name}")


def classify_function(statement: Statement) -> MigrationImpact:
    """Classify CREATE FUNCTION."""
    if statement.node.get("replace"):
        return unknown_statement(statement, shows=True)
    return ADDITIVE


def classify_sequence(statement: Statement) -> MigrationImpact:
    """Classify CREATE SEQUENCE."""
    return additive(f"sequence {relation(statement.node['sequence'])}")


def classify_type(statement: Statement) -> MigrationImpact:
    """Classify CREATE TYPE of an enum or a range, and CREATE DOMAIN."""
    parts = statement.node.get("type_name") or statement.node.get("domainname")
    return additive(f"type {qualified(strings(parts))}")


def classify_composite_type(statement: Statement) -> MigrationImpact:
    """Classify CREATE TYPE of a row."""
    return additive(f"type {relation(statement.node['typevar'])}")


def classify_schema(statement: Statement) -> MigrationImpact:
    """Classify CREATE SCHEMA; the statements that it may contain are not read."""
    if statement.node.get("schema_elts"):
        return unknown_statement(statement)
    return additive(f"schema {statement.node.get('schemaname', '')}")


def classify_enum_change(statement: Statement) -> MigrationImpact:
    """Classify ALTER TYPE of an enum: RENAME VALUE is breaking, ADD VALUE is additive."""
    if "old_val" in statement.node:
        return breaking(statement.brief, removes=(f"enum {qualified(strings(statement.node.get('type_name')))}",))
    return ADDITIVE
