"""The impact of a migration on the release before it, read from its SQL alone, by Postgres's own parser.

Statements that are known to be harmless, or to be visible in the structure, are listed. A statement on no list is
unknown and not visible. A statement is classified in the context of its file: a change of an object that the file has
created harms no earlier release. The comparison of structures (`rollback.schema.structure_diff`)
decides what the text does not tell, such as a new column of a domain that forbids NULL. The text can't tell what the
database's triggers do to rows that the file changes.
"""

import re
from collections.abc import Callable

from rollback.domain.database.migration_impact import ADDITIVE, NO_IMPACT, MigrationImpact, combine_impacts, unknown
from rollback_cli.migrations.impact.alter_table import classify_alter_table
from rollback_cli.migrations.impact.created_objects import CreatedObjects, FileContext
from rollback_cli.migrations.impact.name_statements import (
    classify_composite_type,
    classify_drop,
    classify_enum_change,
    classify_function,
    classify_rename,
    classify_schema,
    classify_schema_change,
    classify_sequence,
    classify_type,
    classify_view,
)
from rollback_cli.migrations.impact.postgres_parser import Statement, UnparsableSql, parse
from rollback_cli.migrations.impact.session_statements import (
    classify_grant,
    classify_refresh,
    classify_select,
    classify_set,
    classify_transaction,
)
from rollback_cli.migrations.impact.table_statements import (
    classify_create_table,
    classify_create_table_as,
    classify_delete,
    classify_index,
    classify_insert,
    classify_trigger,
    classify_truncate,
    classify_update,
)
from rollback_cli.migrations.impact.unknown_statement import unknown_statement, visible_unknown_statement

# Older versions of drizzle-kit wrap a statement that has no IF NOT EXISTS in such a block.
_UNLESS_EXISTS = re.compile(
    r"\s*begin\s(?P<inner>.*)\sexception\s+when\s+duplicate_object\s+then\s+null\s*;\s*end\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)


def classify(sql: str) -> MigrationImpact:
    """Classify a migration's text, with a reason for each statement that is worse than additive."""
    return _classify_in(sql, CreatedObjects())


def _classify_in(sql: str, created: CreatedObjects) -> MigrationImpact:
    try:
        statements = parse(sql)
    except UnparsableSql as error:
        return unknown(str(error))
    context = FileContext(statements, created)
    return combine_impacts(_classify_statement(statement, context) for statement in statements)


def _classify_statement(statement: Statement, context: FileContext) -> MigrationImpact:
    classifier, context_free = _IN_CONTEXT.get(statement.kind), _CONTEXT_FREE.get(statement.kind)
    if classifier is not None:
        return classifier(statement, context)
    if context_free is None:
        return unknown_statement(statement)
    return context_free(statement) if callable(context_free) else context_free


def _classify_code_block(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify a DO block: the statement in drizzle-kit's guard, or unknown for any other code."""
    arguments = {
        item["def_elem"].get("defname"): item["def_elem"].get("arg", {}) for item in statement.node.get("args", ())
    }
    body = arguments.get("as", {}).get("string", {}).get("sval", "")
    language = arguments.get("language", {}).get("string", {}).get("sval", "plpgsql")
    match = _UNLESS_EXISTS.fullmatch(body)
    if match is None or language != "plpgsql":
        return unknown("a block of code: its effect is unknown")
    return _classify_in(match["inner"], context.created)


# Classified by what the file has created before.
_IN_CONTEXT: dict[str, Callable[[Statement, FileContext], MigrationImpact]] = {
    "create_stmt": classify_create_table,
    "create_table_as_stmt": classify_create_table_as,
    "alter_table_stmt": classify_alter_table,
    "index_stmt": classify_index,
    "insert_stmt": classify_insert,
    "update_stmt": classify_update,
    "delete_stmt": classify_delete,
    "truncate_stmt": classify_truncate,
    "drop_stmt": classify_drop,
    "rename_stmt": classify_rename,
    "create_trig_stmt": classify_trigger,
    "rule_stmt": classify_trigger,
    "do_stmt": _classify_code_block,
}
# Classified by the statement alone.
_CONTEXT_FREE: dict[str, Callable[[Statement], MigrationImpact] | MigrationImpact] = {
    "alter_object_schema_stmt": classify_schema_change,
    "view_stmt": classify_view,
    "create_function_stmt": classify_function,
    "create_seq_stmt": classify_sequence,
    "create_enum_stmt": classify_type,
    "create_range_stmt": classify_type,
    "create_domain_stmt": classify_type,
    "composite_type_stmt": classify_composite_type,
    "create_schema_stmt": classify_schema,
    "alter_enum_stmt": classify_enum_change,
    "alter_domain_stmt": visible_unknown_statement,
    "create_extension_stmt": ADDITIVE,
    "create_policy_stmt": visible_unknown_statement,
    "select_stmt": classify_select,
    "variable_set_stmt": classify_set,
    "transaction_stmt": classify_transaction,
    "grant_stmt": classify_grant,
    "refresh_mat_view_stmt": classify_refresh,
    "comment_stmt": NO_IMPACT,
    "vacuum_stmt": NO_IMPACT,
    "reindex_stmt": NO_IMPACT,
    "create_stats_stmt": NO_IMPACT,
    "lock_stmt": NO_IMPACT,
}
