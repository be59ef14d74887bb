"""Checks of the database by SQL: a wrong result fails, and a database that can't be asked is not checked."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.database_checks import FakeDatabaseChecks
from simulations.database import BRANCH as MAIN
from simulations.database import DatabaseSimulation
from support.builders import SERVICE, release
from support.stand_ins import UnavailablePort

from rollback.check import Check, Verdict
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.settings.database import VerifyStatement
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.statement import StatementResult
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT, SETTLED, UNANSWERED
from rollback.verification.checks.sql import InProcessDatabaseChecks
from rollback.verification.checks.sql_rules import judge_journal, judge_statement

USERS = VerifyStatement(sql="SELECT count(*) > 0 FROM users", expect="t", description="there are users")
V1 = release("v1")
FIRST, SECOND, THIRD = (Migration(hash=str(n) * 64, created_at=n) for n in range(3))


def simulation_with(*statements: VerifyStatement) -> DatabaseSimulation:
    simulation = DatabaseSimulation()
    database = simulation.ports.settings.database
    assert database is not None
    settings = database.model_copy(update={"verify_statements": statements})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": settings}))
    return simulation


def ask(simulation: DatabaseSimulation, **fields: Any) -> dict[str, Check]:
    question = DatabaseQuestion(**{"service": SERVICE, "fingerprint": V1.fingerprint, "branch_id": MAIN, **fields})
    checks = InProcessDatabaseChecks(simulation.ports).check_database(question)
    return {check.name: check for check in checks}


def test_the_version_and_every_statement_are_checked() -> None:
    simulation = simulation_with(USERS)
    simulation.sql.results[MAIN, USERS.sql] = StatementResult(rows=1, value="t")
    checks = ask(simulation)
    assert checks["database-answers"].verdict is Verdict.PASS
    assert checks["database-answers"].reason == "PostgreSQL 17.4"
    assert checks["database-statement there are users"].verdict is Verdict.PASS


def test_another_value_than_expected_fails_with_both_values() -> None:
    check = judge_statement(USERS, StatementResult(rows=1, value="f"))
    assert check.verdict is Verdict.FAIL
    assert check.reason == "expected 't', Postgres returned 'f'"


def test_another_number_of_rows_than_expected_fails() -> None:
    statement = VerifyStatement(sql="TABLE flags", rows=3, description="flags")
    assert judge_statement(statement, StatementResult(rows=3)).verdict is Verdict.PASS
    check = judge_statement(statement, StatementResult(rows=2))
    assert (check.verdict, check.reason) == (Verdict.FAIL, "expected 3 rows, Postgres returned 2 rows")


def test_a_missing_row_is_not_the_expected_value() -> None:
    assert judge_statement(USERS, StatementResult()).reason == "expected 't', Postgres returned no value"


def test_a_message_shows_the_beginning_of_a_value_and_no_password() -> None:
    uri = "postgresql://ada:secret@db.example.com/app"
    for answer in (StatementResult(rows=1, value=uri), StatementResult(error=f"no access to {uri}")):
        check = judge_statement(USERS, answer)
        assert "secret" not in check.model_dump_json()
    long = judge_statement(USERS, StatementResult(rows=1, value="x" * 500))
    assert len(long.reason) < 150


def test_a_refused_statement_fails() -> None:
    check = ask(simulation_with(USERS))["database-statement there are users"]
    assert check.verdict is Verdict.FAIL
    assert "syntax error" in check.reason


def test_a_database_that_does_not_answer_is_not_checked() -> None:
    simulation = simulation_with(USERS)
    simulation.sql.asleep = 10
    checks = ask(simulation)
    assert {check.verdict for check in checks.values()} == {Verdict.WARN}
    assert all(NOT_LOOKED_AT in check.evidence and UNANSWERED in check.evidence for check in checks.values())
    assert checks["database-answers"].reason.startswith("not checked: ")


def test_a_suspended_compute_is_asked_twice() -> None:
    simulation = simulation_with()
    simulation.sql.asleep = 1
    assert ask(simulation)["database-answers"].verdict is Verdict.PASS


def test_without_a_standing_branch_the_database_is_not_looked_at() -> None:
    simulation = simulation_with()
    database = simulation.ports.settings.database
    assert database is not None
    pattern = database.model_copy(update={"branch_id": None, "branch_pattern": "preview/pr-{pr}"})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": pattern}))
    check = ask(simulation, branch_id=None)["database-answers"]
    assert (check.verdict, UNANSWERED in check.evidence) == (Verdict.WARN, False)


@pytest.mark.parametrize(
    ("live", "verdict", "why"),
    [
        ((FIRST, SECOND), Verdict.PASS, "the 2 rows"),
        ((FIRST, SECOND, THIRD), Verdict.PASS, "and 1 later"),
        ((FIRST,), Verdict.FAIL, "lacks rows"),
        ((FIRST, THIRD), Verdict.FAIL, "and has 1 others"),
        (None, Verdict.WARN, "not looked at"),
    ],
)
def test_the_journal_must_have_every_row_that_the_release_was_good_with(
    live: tuple[Migration, ...] | None, verdict: Verdict, why: str
) -> None:
    schema = ReleaseSchema(journal=(FIRST, SECOND), has_searched_all_journals=True)
    check = judge_journal("v1", schema, live, is_judged=False)
    assert check.verdict is verdict
    assert why in check.reason


def test_a_journal_behind_the_release_is_a_warning_after_the_rollback_judged_the_restored_schema() -> None:
    schema = ReleaseSchema(journal=(FIRST, SECOND), has_searched_all_journals=True)
    check = judge_journal("v1", schema, (FIRST,), is_judged=True)
    assert (check.verdict, SETTLED in check.evidence) == (Verdict.WARN, True)


def test_a_release_without_a_recorded_schema_is_not_compared() -> None:
    check = judge_journal("v1", None, (FIRST,), is_judged=False)
    assert (check.verdict, NOT_LOOKED_AT in check.evidence) == (Verdict.WARN, True)


@pytest.mark.parametrize("sql", ["DELETE FROM users", "COMMIT", "SET TRANSACTION READ WRITE", "-- x\nDROP TABLE users"])
def test_a_setting_that_is_no_query_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="sql"):
        VerifyStatement(sql=sql, rows=0, description="no query")


@pytest.mark.parametrize("fields", [{}, {"expect": "1", "rows": 1}])
def test_a_statement_needs_exactly_one_expectation(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of expect and rows"):
        VerifyStatement(sql="SELECT 1", description="one", **fields)


def test_statements_after_the_time_of_a_round_are_not_checked() -> None:
    statements = tuple(VerifyStatement(sql=f"SELECT {n}", expect="1", description=f"number {n}") for n in range(3))
    simulation = simulation_with(*statements)

    class SlowSql:
        def __getattr__(self, name: str) -> Any:
            simulation.clock.pass_time(seconds=9)
            return getattr(simulation.sql, name)

    slow: Any = SlowSql()
    simulation.ports = replace(simulation.ports, sql=slow)
    checks = ask(simulation)
    assert checks["database-statement number 2"].verdict is Verdict.WARN
    assert "ended after" in checks["database-statement number 2"].reason


def test_a_process_without_access_to_postgres_has_the_database_function_check() -> None:
    simulation = simulation_with()
    simulation.sql.asleep = 10
    question = DatabaseQuestion(service=SERVICE, fingerprint=V1.fingerprint, branch_id=MAIN)
    function = FakeDatabaseChecks()
    (check,) = InProcessDatabaseChecks(simulation.ports, function).check_database(question)
    assert (check.verdict, function.asked) == (Verdict.PASS, [question])
    simulation.sql.asleep = 10
    silent: Any = UnavailablePort("database_checks")
    (check,) = InProcessDatabaseChecks(simulation.ports, silent).check_database(question)
    assert UNANSWERED in check.evidence
