"""The class of a statement that no list names as harmless."""

from rollback.domain.database.migration_impact import MigrationImpact, unknown
from rollback_cli.migrations.impact.postgres_parser import Statement


def unknown_statement(statement: Statement, *, shows: bool = False) -> MigrationImpact:
    """Classify a statement as unknown.

    Args:
        statement: statement that the reason quotes.
        shows: whether a comparison of two structures would show the difference.
    """
    return unknown(f"not known to be harmless: {statement.brief}", shows=shows)


def visible_unknown_statement(statement: Statement) -> MigrationImpact:
    """Classify a statement as unknown whose effect a comparison of two structures would show."""
    return unknown_statement(statement, shows=True)
