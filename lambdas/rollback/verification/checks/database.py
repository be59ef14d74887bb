"""Have the database checked by the function that may ask it. Neon being down is no failure of a service."""

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.errors import ExternalServiceError
from rollback.verification.checks.ports import DatabaseCheckPorts
from rollback.verification.checks.sql_rules import VERSION_CHECK, not_looked_at, unanswered


def check_database(question: DatabaseQuestion, ports: DatabaseCheckPorts) -> tuple[Check, ...]:
    """Ask through the port; without an answer the database is not checked."""
    try:
        return ports.database_checks.check_database(question)
    except ExternalServiceError as failure:
        return (unanswered(VERSION_CHECK, str(failure)),)


def skip_database(reason: str) -> Check:
    """Return the check of a database that is not asked."""
    return not_looked_at(VERSION_CHECK, reason)
