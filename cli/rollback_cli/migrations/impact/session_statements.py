"""Statements about the session, the transaction, privileges and materialised views."""

import re
from typing import Any

from rollback.domain.database.migration_impact import ADDITIVE, NO_IMPACT, MigrationImpact, breaking
from rollback_cli.migrations.impact.postgres_parser import Statement
from rollback_cli.migrations.impact.unknown_statement import unknown_statement

_TIMEOUT = re.compile(r"\w+_timeout")


def classify_select(statement: Statement) -> MigrationImpact:
    """Classify SELECT: constants have no impact, any other expression may call what writes, as `setval` does."""
    if not set(statement.node) <= {"target_list", "limit_option", "op"}:
        return unknown_statement(statement)
    values: list[Any] = [item["res_target"].get("val", {}) for item in statement.node.get("target_list", ())]
    return NO_IMPACT if all(set(value) == {"a_const"} for value in values) else unknown_statement(statement)


def classify_set(statement: Statement) -> MigrationImpact:
    """Classify SET and RESET: a timeout, and any reset, have no impact."""
    kind = statement.node.get("kind", "")
    is_harmless = kind in ("VAR_RESET", "VAR_RESET_ALL") or (
        kind in ("VAR_SET_VALUE", "VAR_SET_DEFAULT") and _TIMEOUT.fullmatch(statement.node.get("name", ""))
    )
    return NO_IMPACT if is_harmless else unknown_statement(statement)


def classify_transaction(statement: Statement) -> MigrationImpact:
    """Classify BEGIN and COMMIT as without impact; a ROLLBACK makes the statements before it unknown."""
    harmless = ("TRANS_STMT_BEGIN", "TRANS_STMT_START", "TRANS_STMT_COMMIT")
    return NO_IMPACT if statement.node.get("kind") in harmless else unknown_statement(statement)


def classify_grant(statement: Statement) -> MigrationImpact:
    """Classify GRANT as additive and REVOKE as breaking."""
    if statement.node.get("is_grant"):
        return ADDITIVE
    return breaking(statement.brief, shows=False)


def classify_refresh(statement: Statement) -> MigrationImpact:
    """Classify REFRESH MATERIALIZED VIEW: without data, the view can't be read."""
    return unknown_statement(statement) if statement.node.get("skip_data") else NO_IMPACT
