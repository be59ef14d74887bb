"""Check a database branch by SQL: in the database function, or in the process of an operator.

No other function may import psycopg or read the connection secret. Each session is read-only.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import SecretStr

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import ExternalServiceError, UnreadableItem
from rollback.ports.database_checks import DatabaseChecks
from rollback.resources.database.errors import RetryLater
from rollback.verification.checks.evidence_keys import UNANSWERED
from rollback.verification.checks.ports import SqlCheckPorts
from rollback.verification.checks.sql_rules import (
    JOURNAL_CHECK,
    VERSION_CHECK,
    VERSION_STATEMENT,
    judge_journal,
    judge_statement,
    judge_version,
    not_looked_at,
    statement_check_name,
    unanswered,
)

_STATEMENT_SECONDS = 5.0
_ATTEMPTS = 2  # the first may only wake a suspended compute
_BUDGET = timedelta(seconds=20)  # the calling function waits half a minute

Answer = TypeVar("Answer")


class InProcessDatabaseChecks:
    """The port `DatabaseChecks` on Postgres itself, for `rollback verify` and direct mode.

    Args:
        ports: access to Neon, Postgres and the ledger.
        otherwise: checks by another way if Postgres can't be asked here: a pipeline may have no API key of Neon.
    """

    def __init__(self, ports: SqlCheckPorts, otherwise: DatabaseChecks | None = None) -> None:
        self._ports = ports
        self._otherwise = otherwise

    def check_database(self, question: DatabaseQuestion) -> tuple[Check, ...]:
        """Ask Neon for the address, and Postgres for the rest."""
        checks = check_by_sql(question, self._ports)
        if self._otherwise is None or UNANSWERED not in checks[0].evidence:
            return checks
        try:
            return self._otherwise.check_database(question)
        except ExternalServiceError:
            return checks  # the reason why this process could not ask is the nearer one


def check_by_sql(question: DatabaseQuestion, ports: SqlCheckPorts) -> tuple[Check, ...]:
    """Check version, journal and statements. A database that can't be asked is not checked, and no failure."""
    settings = ports.settings.database
    branch_id = question.branch_id or (settings.branch_id if settings is not None else None)
    if settings is None or branch_id is None:
        return (not_looked_at(VERSION_CHECK, "the environment has no standing branch, and none was named"),)
    deadline = ports.clock.now() + _BUDGET
    try:
        address = _with_retry(lambda: ports.neon.connection_uri(branch_id, settings.database, settings.role))
        (answer,) = _with_retry(lambda: ports.sql.answers(address, (VERSION_STATEMENT,), _STATEMENT_SECONDS))
    except ExternalServiceError as failure:
        return (unanswered(VERSION_CHECK, str(failure)), *_unasked_statements(settings, "Postgres did not answer"))
    return (
        judge_version(answer),
        _check_journal(question, address, ports),
        *_check_statements(settings, address, deadline, ports),
    )


def _check_journal(question: DatabaseQuestion, address: SecretStr, ports: SqlCheckPorts) -> Check:
    writers = {service.name for service in ports.settings.writers()}
    if question.service not in writers:
        return not_looked_at(JOURNAL_CHECK, f"{question.service} is no writer of the branch")
    release = ports.ledger.release(question.service, question.fingerprint)
    if release is None or release.schema_sha256 is None:
        version = release.version if release is not None else "the release"
        return judge_journal(version, None, None, is_judged=question.has_changed_data)
    try:
        schema = ports.ledger.schema(release.schema_sha256)
        journal = ports.sql.migrations(address)
    except (KeyError, UnreadableItem):
        return not_looked_at(JOURNAL_CHECK, f"the recorded schema of {release.version} can't be read")
    except ExternalServiceError as failure:
        return unanswered(JOURNAL_CHECK, str(failure))
    return judge_journal(release.version, schema, journal, is_judged=question.has_changed_data)


def _check_statements(
    settings: DatabaseSettings, address: SecretStr, deadline: datetime, ports: SqlCheckPorts
) -> tuple[Check, ...]:
    checks: list[Check] = []
    for number, statement in enumerate(settings.verify_statements):
        if ports.clock.now() >= deadline:
            reason = f"the time of a round ended after {number} of {len(settings.verify_statements)} statements"
            return (*checks, *_unasked_statements(settings, reason)[number:])
        try:
            (answer,) = ports.sql.answers(address, (statement.sql,), _STATEMENT_SECONDS)
        except ExternalServiceError as failure:
            checks.append(unanswered(statement_check_name(statement), str(failure)))
        else:
            checks.append(judge_statement(statement, answer))
    return tuple(checks)


def _unasked_statements(settings: DatabaseSettings, reason: str) -> tuple[Check, ...]:
    return tuple(unanswered(statement_check_name(statement), reason) for statement in settings.verify_statements)


def _with_retry(call: Callable[[], Answer]) -> Answer:
    for _ in range(_ATTEMPTS - 1):
        try:
            return call()
        except RetryLater:
            continue
    return call()
