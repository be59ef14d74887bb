"""Verify: what each kind of check does to a rollback."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.database_checks import FakeDatabaseChecks
from simulations.database import KEY, DatabaseSimulation
from simulations.fake_ports import OUTAGE
from simulations.service import PROMOTED, Simulation, alarm_event, start_simulation
from support.builders import SERVICE
from support.stand_ins import UnavailablePort

from rollback.check import Check, Verdict
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.policy import Policy
from rollback.reports.report import message
from rollback.workflow.route import Step

SMOKE = "pnpm smoke"
NAMESPACE = f"macro-ai-production-{SERVICE}/rollback"


def set_service(simulation: Simulation, **fields: Any) -> ServiceSettings:
    service = simulation.service_settings.model_copy(update=fields)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    return service


def smoking(exit_code: int | None, *lines: str, **parts: Any) -> Simulation:
    """A service whose smoke command writes lines and ends with an exit code; None: it runs until it is stopped."""
    simulation = start_simulation(**parts)
    set_service(simulation, smoke_command=tuple(SMOKE.split()), smoke_timeout_seconds=60)

    def effect(log: list[str]) -> int | None:
        log.extend(lines)
        return exit_code

    simulation.ports.tasks.commands[SMOKE] = effect  # type: ignore[attr-defined]
    return simulation


def tasks_of(simulation: Simulation) -> list[Any]:
    return list(simulation.ports.tasks.tasks)  # type: ignore[attr-defined]


def verified(rollback: Rollback, name: str) -> Check:
    assert rollback.verification is not None
    return next(check for check in rollback.verification.checks if check.name == name)


def with_database() -> tuple[DatabaseSimulation, FakeDatabaseChecks]:
    simulation = DatabaseSimulation()
    checks = FakeDatabaseChecks()
    simulation.replace(database_checks=checks)
    return simulation, checks


# Smoke command


def test_a_rollback_succeeds_after_one_run_of_the_smoke_command() -> None:
    simulation = smoking(0, "all well")
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    (task,) = tasks_of(simulation)
    assert task.started_by.startswith(f"{rollback.id}/smoke-0-")
    check = verified(rollback, "smoke-command-succeeds")
    assert (check.verdict, check.evidence["log"]) == (Verdict.PASS, ["all well"])


def test_the_smoke_task_runs_the_targets_own_definition() -> None:
    simulation = smoking(0)
    simulation.run()
    (task,) = tasks_of(simulation)
    assert task.definition_arn == simulation.describe_service().primary.definition_arn


def test_a_failed_smoke_command_ends_the_rollback_without_a_second_run_and_with_its_log() -> None:
    simulation = smoking(3, "login failed", "postgresql://ada:secret@db/app")
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert len(tasks_of(simulation)) == 1
    assert "ended with exit code 3" in rollback.reason
    assert "login failed" in str(verified(rollback, "smoke-command-succeeds").evidence)
    assert "secret" not in rollback.model_dump_json()


def test_a_smoke_command_that_takes_too_long_is_stopped_and_fails() -> None:
    simulation = smoking(None)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    (task,) = tasks_of(simulation)
    assert task.stopped
    assert "did not end in 1 minutes" in rollback.reason


def test_a_smoke_task_without_capacity_is_not_looked_at_and_does_not_fail_a_good_rollback() -> None:
    simulation = smoking(0)
    rollback = simulation.run_until(simulation.admit(), Step.VERIFY)
    simulation.ports.tasks.unstartable.add(simulation.describe_service().primary.definition_arn)  # type: ignore[attr-defined]
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    check = verified(rollback, "smoke-command-succeeds")
    assert check.verdict is Verdict.WARN
    assert check.reason.startswith("not looked at: pnpm smoke: the task of smoke-0 could not start")
    assert rollback.reason.endswith("; smoke-command-succeeds not looked at")
    assert rollback.service is not None
    assert rollback.service.attempts == ()


def test_no_smoke_task_starts_while_another_check_fails() -> None:
    simulation = smoking(0, policy=Policy(verify_timeout_minutes=6))
    rollback = simulation.run_until(simulation.admit(), Step.VERIFY)
    simulation.http.sites.clear()
    for _ in range(5):
        rollback = simulation.run_due_step(rollback)
    assert tasks_of(simulation) == []


def test_an_emergency_does_not_wait_for_the_smoke_command() -> None:
    simulation = smoking(0)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert tasks_of(simulation) == []
    check = verified(rollback, "smoke-command-succeeds")
    assert check.reason == "not looked at: an emergency does not wait for a task"


# Database


def test_a_failed_check_of_the_database_fails_the_rollback_and_never_escalates() -> None:
    simulation, checks = with_database()
    failure = Check.failed(
        "database-statement users", "expected 't', Postgres returned 'f'", evidence={"database": "u"}
    )
    for release in simulation.ledger.releases(SERVICE):
        checks.answers[release.fingerprint] = (failure,)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert "though v1 is healthy: database-statement users" in rollback.reason
    assert rollback.service is not None
    assert rollback.service.attempts == ()


def test_the_database_is_asked_about_the_target() -> None:
    simulation, checks = with_database()
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    target = rollback.planned().target
    assert {question.fingerprint for question in checks.asked} == {target.fingerprint}
    assert {question.branch_id for question in checks.asked} == {simulation.database.branch_id}


def test_a_rollback_succeeds_without_an_answer_about_the_database_and_says_so() -> None:
    simulation, _ = with_database()
    simulation.replace(database_checks=UnavailablePort("database_checks"))
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    check = verified(rollback, "database-answers")
    assert check.verdict is Verdict.WARN
    assert check.reason.startswith("not checked: ")
    assert "database-answers: not checked" in message(rollback, simulation.service_settings)


def test_an_emergency_does_not_ask_the_database() -> None:
    simulation, checks = start_simulation(), FakeDatabaseChecks()
    database = DatabaseSettings(project_id="local", branch_id="br-1", api_key_secret_arn=KEY, writers=())
    settings = simulation.ports.settings.model_copy(update={"database": database})
    simulation.replace(settings=settings, database_checks=checks)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert checks.asked == []
    assert verified(rollback, "database-answers").reason == "not looked at: an emergency does not wait for the database"


# Error lines


def logging_service(errors_a_minute: float, **policy: Any) -> Simulation:
    """A service whose v1 has a baseline of one error line in 15 minutes, and which now logs for an hour."""
    simulation = start_simulation(policy=Policy(**policy))
    (v1,) = (r for r in simulation.ledger.releases(SERVICE) if r.state is PROMOTED)
    now = simulation.clock.now()
    usual = LogBaseline(since=now - timedelta(hours=1), until=now - timedelta(minutes=45), errors=1, requests=900)
    simulation.ledger.set_log_baseline(v1, usual)
    for minute in range(60):
        at = now + timedelta(minutes=minute)
        simulation.alarms.log(NAMESPACE, errors_a_minute, at)
        for group in simulation.describe_service().target_groups:
            simulation.alarms.serve(group, 60, at)
    return simulation


def test_verify_waits_for_two_full_minutes_of_the_log() -> None:
    simulation = logging_service(0)
    began = simulation.clock.now()
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert verified(rollback, "error-logs-are-usual").verdict is Verdict.PASS
    assert rollback.verification is not None
    assert rollback.verification.passed_at is not None
    assert rollback.verification.passed_at - began >= timedelta(minutes=2)


def test_verify_without_a_wait_says_that_the_log_was_not_looked_at() -> None:
    rollback = logging_service(0, error_log_wait_minutes=0).run()
    assert rollback.outcome is Outcome.SUCCEEDED
    check = verified(rollback, "error-logs-are-usual")
    assert check.verdict is Verdict.WARN
    assert check.reason.startswith("not looked at: ")


def test_far_more_error_lines_than_the_targets_own_baseline_fail_the_rollback() -> None:
    rollback = logging_service(30).run()
    assert rollback.outcome is Outcome.FAILED
    assert "error-logs-are-usual" in rollback.reason
    assert "more than 3 times as many" in rollback.reason


def test_a_release_without_a_baseline_is_not_waited_for() -> None:
    simulation = start_simulation()
    rollback = simulation.run(alarm_event())
    assert rollback.outcome is Outcome.SUCCEEDED
    check = verified(rollback, "error-logs-are-usual")
    assert "no baseline was recorded" in check.reason


@pytest.mark.parametrize("alarm", ["alarms"])
def test_metrics_that_cant_be_read_are_not_looked_at(alarm: str) -> None:
    simulation = logging_service(30)
    real = simulation.alarms

    class Alarms:
        def __getattr__(self, name: str) -> Any:
            if name == "error_logs_between":
                return getattr(UnavailablePort(alarm), name)
            return getattr(real, name)

    simulation.replace(alarms=Alarms())
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert verified(rollback, "error-logs-are-usual").verdict is Verdict.WARN
