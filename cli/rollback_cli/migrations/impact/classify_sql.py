"""The impact of a migration on the release before it, read from its SQL alone, as Postgres's own parser reads it.

What is known to be harmless, or to show in the structure, is listed; what is on no list is unknown and does not show.
A statement is judged as it stands in its file: keys of a table that the file itself has made, and values for its own
new columns, harm nobody. What the text does not tell is left to the structure: a new column of a domain that forbids
NULL, say. What triggers of the database do to rows that a file changes can't be seen in the file.
"""

import re
from collections.abc import Callable
from typing import Any

from rollback.domain.database.migration_impact import (
    ADDITIVE,
    ANY_NAME,
    NO_IMPACT,
    MigrationImpact,
    additive,
    breaking,
    combine_impacts,
    unknown,
)
from rollback_cli.migrations.expressions import find_side_effect, may_fail
from rollback_cli.migrations.made_objects import CreatedObjects
from rollback_cli.migrations.postgres_parser import Node, Statement, UnparsableSql, parse, qualified, relation, strings
from rollback_cli.migrations.table_impact import classify_alter_table, classify_unique_index

# Bookkeeping of migration tools: `alembic upgrade --sql` writes its own row, and so do others.
_JOURNALS = frozenset(
    {
        *("alembic_version", "django_migrations", "flyway_schema_history", "knex_migrations", "schema_migrations"),
        *("drizzle.__drizzle_migrations", "_prisma_migrations", "ar_internal_metadata"),
    }
)
# Older versions of drizzle-kit wrap what has no IF NOT EXISTS in such a block.
_UNLESS_THERE = re.compile(
    r"\s*begin\s(?P<inner>.*)\sexception\s+when\s+duplicate_object\s+then\s+null\s*;\s*end\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_TIMEOUT = re.compile(r"\w+_timeout")
_DROPPED = {  # a name that is gone shows; those that the structure calls by their digest are left to it
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
_DROPPED_SEEN = frozenset({"OBJECT_INDEX", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"})
_RENAMED = frozenset({*_DROPPED, "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_ATTRIBUTE"})


class _FileContext:
    """One file: what it has made so far, and which views it makes anywhere."""

    def __init__(self, found: tuple[Statement, ...], made: CreatedObjects) -> None:
        self.made = made
        self.views = {relation(one.node["view"]) for one in found if one.kind == "view_stmt"}


def classify(sql: str) -> MigrationImpact:
    """The class of a migration's text, with a reason for each statement that is worse than additive."""
    return _classify_sql(sql, CreatedObjects())


def _classify_sql(sql: str, made: CreatedObjects) -> MigrationImpact:
    try:
        found = parse(sql)
    except UnparsableSql as broken:
        return unknown(str(broken))
    return classify_statements(found, made)


def classify_statements(found: tuple[Statement, ...], made: CreatedObjects) -> MigrationImpact:
    """All statements of a file, in order."""
    context = _FileContext(found, made)
    return combine_impacts(_classify_statement(one, context) for one in found)


def _classify_statement(statement: Statement, context: _FileContext) -> MigrationImpact:
    in_context, alone = _IN_CONTEXT.get(statement.kind), _CONTEXT_FREE.get(statement.kind)
    if in_context is not None:
        return in_context(statement, context)
    if alone is None:
        return _unknown_statement(statement)
    return alone(statement) if callable(alone) else alone


def _unknown_statement(statement: Statement, *, shows: bool = False) -> MigrationImpact:
    return unknown(f"not known to be harmless: {statement.brief}", shows=shows)


def _unknown_but_visible(statement: Statement) -> MigrationImpact:
    return _unknown_statement(statement, shows=True)


# Tables, their rows, and their keys


def _create_table(statement: Statement, context: _FileContext) -> MigrationImpact:
    node, table = statement.node, relation(statement.node["relation"])
    if node["relation"].get("relpersistence") == "t":
        return ADDITIVE  # it hides an old one until the session ends, so nothing that follows is about a new one
    if not node.get("if_not_exists"):  # else it may be an old one
        context.made.tables.add(table)
    return additive(f"table {table}")


def _create_table_as(statement: Statement, context: _FileContext) -> MigrationImpact:
    node = statement.node
    against = find_side_effect(node.get("query"))
    if against is not None:
        return unknown(f"{statement.brief}: {against}")
    name = relation(node["into"]["rel"])
    if node.get("objtype") == "OBJECT_MATVIEW":
        return additive(f"view {name}")
    if not node.get("if_not_exists") and node["into"]["rel"].get("relpersistence") != "t":
        context.made.tables.add(name)
    return additive(f"table {name}")


def _alter_table(statement: Statement, context: _FileContext) -> MigrationImpact:
    return classify_alter_table(statement, context.made)


def _index(statement: Statement, context: _FileContext) -> MigrationImpact:
    node, table = statement.node, relation(statement.node["relation"])
    elements = [one["index_elem"] for one in node.get("index_params", ()) if "index_elem" in one]
    if table not in context.made.tables and may_fail([*elements, node.get("where_clause")]):
        return unknown(f"an index on {table} computes an expression, which may refuse a row")
    if not node.get("unique"):
        return NO_IMPACT
    columns = tuple(one["name"] for one in elements if "name" in one)
    return classify_unique_index(table, () if node.get("nulls_not_distinct") else columns, context.made)


def _insert(statement: Statement, context: _FileContext) -> MigrationImpact:
    """Into an old table a row with a key of its own may take what the next row of the release would be given."""
    table = relation(statement.node["relation"])
    return _rows_of(table, statement, context, f"rows are added to {table}")


def _update(statement: Statement, context: _FileContext) -> MigrationImpact:
    """Values for columns that the migration has just made, and for no others."""
    table = relation(statement.node["relation"])
    assigned = {one["res_target"].get("name", "") for one in statement.node.get("target_list", ())}
    own = bool(assigned) and context.made.has_created_columns(table, assigned)
    return _rows_of(table, statement, context, f"rows of {table} are rewritten", own=own)


def _delete(statement: Statement, context: _FileContext) -> MigrationImpact:
    table = relation(statement.node["relation"])
    return _rows_of(table, statement, context, f"rows of {table} are deleted")


def _rows_of(
    table: str, statement: Statement, context: _FileContext, why: str, *, own: bool = False
) -> MigrationImpact:
    if table in _JOURNALS:
        return NO_IMPACT
    against = find_side_effect(list(statement.node.values()))
    if against is not None:
        return unknown(f"{statement.brief}: {against}")
    if context.made.fires:
        return unknown(f"{statement.brief}: a trigger or a rule of this file may act on it")
    return ADDITIVE if own or table in context.made.tables else unknown(why)


def _truncate(statement: Statement, context: _FileContext) -> MigrationImpact:
    tables = {relation(one["range_var"]) for one in statement.node.get("relations", ())}
    cascades = statement.node.get("behavior") == "DROP_CASCADE"
    if tables <= context.made.tables and not cascades:
        return ADDITIVE
    return breaking(f"truncate {', '.join(sorted(tables))}", shows=False)


# Names that are gone, and names that are taken


def _dropped(statement: Statement, context: _FileContext) -> MigrationImpact:
    node = statement.node
    what, cascades = node.get("remove_type", ""), node.get("behavior") == "DROP_CASCADE"
    if what in _DROPPED_SEEN:
        return _unknown_statement(statement, shows=True)
    kind = _DROPPED.get(what)
    if kind is None:
        return _unknown_statement(statement)
    names = tuple(_object_name(one) for one in node.get("objects", ()))
    if kind == "table":
        reading_made, context.made.tables = context.made.tables, context.made.tables - set(names)
        if set(names) <= reading_made:
            return ADDITIVE
    if kind == "view" and set(names) & context.views:
        return unknown(f"view {', '.join(names)} is dropped and made again: privileges on it are gone")
    everything = (f"view {ANY_NAME}",) if kind in ("table", "view") else (ANY_NAME,)
    removed = (*(f"{kind} {name}" for name in names), *(everything if cascades else ()))
    return breaking(f"drop {kind} {', '.join(names)}", removes=removed)


def _object_name(node: Node) -> str:
    """DROP calls its objects in three ways: a list of names, a type, a function with its arguments."""
    if "list" in node:
        return qualified(strings(node["list"].get("items")))
    if "type_name" in node:
        return qualified(strings(node["type_name"].get("names")))
    if "object_with_args" in node:
        return qualified(strings(node["object_with_args"].get("objname")))
    return qualified(strings([node]))


def _renamed(statement: Statement, context: _FileContext) -> MigrationImpact:
    node = statement.node
    what = node.get("rename_type", "")
    if what == "OBJECT_INDEX":
        return _unknown_statement(statement, shows=True)
    if what not in _RENAMED:
        return _unknown_statement(statement)
    new = node.get("newname", "")
    if "relation" not in node:
        return breaking(statement.brief)
    old = relation(node["relation"])
    if what == "OBJECT_TABLE" and old in context.made.tables:
        there = qualified((node["relation"].get("schemaname", ""), new))
        context.made.rename_table(old, there)
        return additive(f"table {there}")
    if old in context.made.tables:
        return ADDITIVE
    removed, made = _names_of_rename(what, node, old, new)
    return breaking(statement.brief, removes=removed, makes=made)


def _names_of_rename(what: str, node: Node, old: str, new: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if what == "OBJECT_COLUMN":
        return (f"column {old}.{node.get('subname', '')}",), (f"column {old}.{new}",)
    kind = _DROPPED.get(what)
    if kind is None:
        return (), ()
    there = qualified((node["relation"].get("schemaname", ""), new))
    return (f"{kind} {old}",), (f"{kind} {there}",)


def _view(statement: Statement) -> MigrationImpact:
    name = relation(statement.node["view"])
    if statement.node.get("replace"):
        return unknown(f"view {name} may be replaced", shows=True)
    return additive(f"view {name}")


def _function(statement: Statement) -> MigrationImpact:
    if statement.node.get("replace"):
        return _unknown_statement(statement, shows=True)
    return ADDITIVE


def _sequence(statement: Statement) -> MigrationImpact:
    return additive(f"sequence {relation(statement.node['sequence'])}")


def _type(statement: Statement) -> MigrationImpact:
    named = statement.node.get("type_name") or statement.node.get("domainname")
    return additive(f"type {qualified(strings(named))}")


def _composite_type(statement: Statement) -> MigrationImpact:
    return additive(f"type {relation(statement.node['typevar'])}")


def _schema(statement: Statement) -> MigrationImpact:
    if statement.node.get("schema_elts"):
        return _unknown_statement(statement)
    return additive(f"schema {statement.node.get('schemaname', '')}")


def _enum(statement: Statement) -> MigrationImpact:
    if "old_val" in statement.node:
        return breaking(statement.brief, removes=(f"enum {qualified(strings(statement.node.get('type_name')))}",))
    return ADDITIVE


def _set_schema(statement: Statement) -> MigrationImpact:
    if statement.node.get("object_type") != "OBJECT_TABLE" or "relation" not in statement.node:
        return _unknown_statement(statement)
    old = relation(statement.node["relation"])
    there = qualified((statement.node.get("newschema", ""), statement.node["relation"].get("relname", "")))
    return breaking(statement.brief, removes=(f"table {old}",), makes=(f"table {there}",))


# Code, sessions and rights


def _trigger(statement: Statement, context: _FileContext) -> MigrationImpact:
    context.made.fires = True
    return _unknown_statement(statement, shows=True)


def _do(statement: Statement, context: _FileContext) -> MigrationImpact:
    given = {one["def_elem"].get("defname"): one["def_elem"].get("arg", {}) for one in statement.node.get("args", ())}
    body = given.get("as", {}).get("string", {}).get("sval", "")
    language = given.get("language", {}).get("string", {}).get("sval", "plpgsql")
    guarded = _UNLESS_THERE.fullmatch(body)
    if guarded is None or language != "plpgsql":
        return unknown("a block of code: what it does can't be told")
    return _classify_sql(guarded["inner"], context.made)


def _select(statement: Statement) -> MigrationImpact:
    """Constants only: anything else may call what writes, as `setval` does."""
    if not set(statement.node) <= {"target_list", "limit_option", "op"}:
        return _unknown_statement(statement)
    values: list[Any] = [one["res_target"].get("val", {}) for one in statement.node.get("target_list", ())]
    return NO_IMPACT if all(set(value) == {"a_const"} for value in values) else _unknown_statement(statement)


def _set(statement: Statement) -> MigrationImpact:
    kind = statement.node.get("kind", "")
    harmless = kind in ("VAR_RESET", "VAR_RESET_ALL") or (
        kind in ("VAR_SET_VALUE", "VAR_SET_DEFAULT") and _TIMEOUT.fullmatch(statement.node.get("name", ""))
    )
    return NO_IMPACT if harmless else _unknown_statement(statement)


def _transaction(statement: Statement) -> MigrationImpact:
    known = ("TRANS_STMT_BEGIN", "TRANS_STMT_START", "TRANS_STMT_COMMIT")
    return NO_IMPACT if statement.node.get("kind") in known else _unknown_statement(statement)


def _grant(statement: Statement) -> MigrationImpact:
    if statement.node.get("is_grant"):
        return ADDITIVE
    return breaking(statement.brief, shows=False)


def _refresh(statement: Statement) -> MigrationImpact:
    return _unknown_statement(statement) if statement.node.get("skip_data") else NO_IMPACT


# Judged with what the file has made before, and by themselves.
_IN_CONTEXT: dict[str, Callable[[Statement, _FileContext], MigrationImpact]] = {
    "create_stmt": _create_table,
    "create_table_as_stmt": _create_table_as,
    "alter_table_stmt": _alter_table,
    "index_stmt": _index,
    "insert_stmt": _insert,
    "update_stmt": _update,
    "delete_stmt": _delete,
    "truncate_stmt": _truncate,
    "drop_stmt": _dropped,
    "rename_stmt": _renamed,
    "create_trig_stmt": _trigger,
    "rule_stmt": _trigger,
    "do_stmt": _do,
}
_CONTEXT_FREE: dict[str, Callable[[Statement], MigrationImpact] | MigrationImpact] = {
    "alter_object_schema_stmt": _set_schema,
    "view_stmt": _view,
    "create_function_stmt": _function,
    "create_seq_stmt": _sequence,
    "create_enum_stmt": _type,
    "create_range_stmt": _type,
    "create_domain_stmt": _type,
    "composite_type_stmt": _composite_type,
    "create_schema_stmt": _schema,
    "alter_enum_stmt": _enum,
    "alter_domain_stmt": _unknown_but_visible,
    "create_extension_stmt": ADDITIVE,
    "create_policy_stmt": _unknown_but_visible,
    "select_stmt": _select,
    "variable_set_stmt": _set,
    "transaction_stmt": _transaction,
    "grant_stmt": _grant,
    "refresh_mat_view_stmt": _refresh,
    "comment_stmt": NO_IMPACT,
    "vacuum_stmt": NO_IMPACT,
    "reindex_stmt": NO_IMPACT,
    "create_stats_stmt": NO_IMPACT,
    "lock_stmt": NO_IMPACT,
}
