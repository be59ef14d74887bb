"""Judge what a database answered: its version, its migration journal, and the results of the team's statements."""

from rollback.check import Check
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.schema_verdict import JournalRelation
from rollback.domain.settings.database import VerifyStatement
from rollback.resources.aws.ecs_task import without_passwords
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.statement import StatementResult
from rollback.schema.journals import compare_journals
from rollback.text import service_message
from rollback.verification.checks.evidence_keys import DATABASE, NOT_LOOKED_AT, SETTLED, UNANSWERED

VERSION_CHECK, JOURNAL_CHECK = "database-answers", "migration-journal-fits"
VERSION_STATEMENT = "SELECT version()"
_SHOWN = 80  # characters of a value in a message: enough to tell two results apart


def statement_check_name(statement: VerifyStatement) -> str:
    """Name the check of a statement of the settings."""
    return f"database-statement {statement.description}"


def judge_version(answer: StatementResult) -> Check:
    """Judge the answer to `SELECT version()`."""
    if answer.error or answer.value is None:
        return _failed(VERSION_CHECK, f"Postgres refused {VERSION_STATEMENT}: {answer.error or 'no row'}")
    version = service_message(answer.value, _SHOWN)
    return Check.passed(VERSION_CHECK, version, evidence={DATABASE: version})


def judge_statement(statement: VerifyStatement, answer: StatementResult) -> Check:
    """Compare the result of a statement with its expectation; values are cut, and passwords removed."""
    name = statement_check_name(statement)
    if answer.error:
        return _failed(name, f"Postgres refused the statement: {without_passwords(answer.error)}")
    if statement.rows is not None:
        expected, actual, is_equal = f"{statement.rows} rows", f"{answer.rows} rows", answer.rows == statement.rows
    else:
        expected, actual = _shown(statement.expect), _shown(answer.value)
        is_equal = answer.value == statement.expect
    if not is_equal:
        return _failed(name, f"expected {expected}, Postgres returned {actual}")
    return Check.passed(name, f"Postgres returned {actual}", evidence={DATABASE: statement.description})


def judge_journal(
    version: str, schema: ReleaseSchema | None, journal: tuple[Migration, ...] | None, *, is_judged: bool
) -> Check:
    """Compare the live journal with the release's. Later migrations are no fault: the plan judged the schema.

    Args:
        version: the release.
        schema: its recorded schema; None: none is recorded.
        journal: the live journal; None: the database has none.
        is_judged: whether the rollback changed the data, and judged the schema that it led to.
    """
    if schema is None:
        return not_looked_at(JOURNAL_CHECK, f"no schema is recorded for {version}")
    comparison = compare_journals(schema, journal, schema.shipped or ())
    extra = len(comparison.extra_rows)
    match comparison.relation:
        case JournalRelation.EQUAL:
            return _journal_passed(f"the journal has the {len(journal or ())} rows that {version} was good with")
        case JournalRelation.AHEAD:
            return _journal_passed(f"the journal has all rows that {version} was good with, and {extra} later ones")
        case JournalRelation.ABSENT:
            return _journal_passed(f"neither the database nor the record of {version} has a journal")
        case JournalRelation.BEHIND:
            return _journal_differs(f"the journal lacks rows that {version} was good with", is_judged=is_judged)
        case JournalRelation.DIVERGED:
            reason = f"the journal lacks rows that {version} was good with, and has {extra} others"
            return _journal_differs(reason, is_judged=is_judged)
        case JournalRelation.ONE_SIDED:
            return not_looked_at(JOURNAL_CHECK, f"only one of the database and the record of {version} has a journal")


def not_looked_at(name: str, reason: str) -> Check:
    """Return a check whose question has no basis."""
    return Check.warned(name, f"not looked at: {reason}", evidence={NOT_LOOKED_AT: name})


def unanswered(name: str, reason: str) -> Check:
    """Return a check whose question has no answer now."""
    evidence = {NOT_LOOKED_AT: name, UNANSWERED: name}
    return Check.warned(name, f"not checked: {without_passwords(reason)}", evidence=evidence)


def _journal_differs(reason: str, *, is_judged: bool) -> Check:
    if not is_judged:
        return _failed(JOURNAL_CHECK, reason)
    reason += "; the rollback changed the data, and found that the release can work with the schema"
    return Check.warned(JOURNAL_CHECK, reason, evidence={SETTLED: JOURNAL_CHECK})


def _journal_passed(reason: str) -> Check:
    return Check.passed(JOURNAL_CHECK, reason, evidence={DATABASE: JOURNAL_CHECK})


def _failed(name: str, reason: str) -> Check:
    return Check.failed(name, without_passwords(reason), evidence={DATABASE: name})


def _shown(value: str | None) -> str:
    return "no value" if value is None else repr(without_passwords(service_message(value, _SHOWN)))
