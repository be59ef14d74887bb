"""Crashes of down-migrations before and after every external call: each command runs once, newest first."""

from datetime import timedelta
from typing import Any

import pytest
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, GOOD, WORKER
from faults.scenarios.database_endings import raise_error
from faults.scenarios.down_migrations import NEWER, OLDER, DownMigrationsScenario
from support.builders import SERVICE
from support.database_progress import narrow

from rollback.domain.database.progress import DatabaseOutcome, DownMigrationProgress
from rollback.domain.rollback import Outcome
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, Throttled
from rollback.resources.aws.ecs_task import TaskView
from rollback.resources.database.errors import AccessRefused, ProjectLocked, RequestRefused

ALL = [NEWER, OLDER, "verify"]


def count_calls_without_crash() -> int:
    down = DownMigrationsScenario()
    down.run_until_ended()
    return down.outside.calls


CALLS = count_calls_without_crash()


def assert_stepped_down_once(down: DownMigrationsScenario) -> None:
    assert down.progress.database_outcome is DatabaseOutcome.RESTORED, down.progress.why_not
    assert down.ran == ALL
    assert [run.name for run in narrow(down.progress, DownMigrationProgress).ran] == ALL
    assert all(run.exit_code == 0 for run in narrow(down.progress, DownMigrationProgress).ran)
    assert down.journal() == [1]
    assert len(down.tasks.tasks) == len(ALL), "no task was started twice"
    assert {task.definition_arn for task in down.tasks.tasks} == {down.definition_arn}
    backup = down.backup
    assert backup is not None
    assert [b.id for b in down.neon.branches()] == [down.branch_id, backup.id]
    assert (down.progress.backup_id, backup.parent_id) == (backup.id, down.branch_id)
    assert down.neon.rows(backup.id) == down.neon.rows(down.branch_id) == GOOD + BAD
    accepted = down.progress.accepted_at
    assert accepted is not None
    assert backup.expires_at == accepted.replace(microsecond=0) + timedelta(days=7)
    assert down.progress.is_over, "no data was overwritten: there is no data loss to report"
    assert down.writers.desired_counts() == {SERVICE: 0, WORKER: 0}


def test_down_migrations_run_once_behind_the_fence_and_after_a_backup() -> None:
    down = DownMigrationsScenario()
    down.run_until_ended()
    assert_stepped_down_once(down)
    assert down.neon.calls == ["create_branch", "expire_branch"]
    assert narrow(down.progress, DownMigrationProgress).ran[0].logs == (f"stepped down {NEWER}",)
    down.unfence(Outcome.SUCCEEDED)
    assert down.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_down_migrations_killed_at_any_call_and_resumed_run_exactly_once(kill_at: int, after: bool) -> None:
    down = DownMigrationsScenario(FaultInjector(kill_at, after=after))
    down.run_until_ended()
    assert_stepped_down_once(down)


@pytest.mark.parametrize("lost_answers", [1, 3])
def test_down_migrations_run_exactly_once_although_run_task_lost_its_answer(lost_answers: int) -> None:
    down = DownMigrationsScenario()
    for _ in range(lost_answers):
        down.tasks.lose_next()
    down.run_until_ended()
    assert_stepped_down_once(down)


def list_no_task(service: ServiceSettings, started_by: str) -> tuple[TaskView, ...]:
    return ()


def test_the_same_token_starts_no_second_task_although_ecs_lists_the_first_late() -> None:
    down = DownMigrationsScenario()
    down.tasks.lose_next()
    down.tasks.started_by = list_no_task  # type: ignore[method-assign]
    down.run_until_ended()
    assert_stepped_down_once(down)


def test_a_listed_task_is_not_started_again_although_ecs_forgot_its_token() -> None:
    down = DownMigrationsScenario()
    down.tasks.lose_next()
    run = down.tasks.run

    def without_token(service: ServiceSettings, arn: str, command: tuple[str, ...], by: str, token: str) -> str:
        return run(service, arn, command, by, f"{token[:-4]}{len(down.tasks.tasks):04}")

    down.tasks.run = without_token  # type: ignore[method-assign,assignment]
    down.run_until_ended()
    assert_stepped_down_once(down)


def test_down_migrations_create_one_backup_although_its_answer_is_lost() -> None:
    down = DownMigrationsScenario()
    down.neon.lose_next("create_branch")
    down.run_until_ended()
    assert_stepped_down_once(down)


def test_down_migrations_wait_for_capacity_and_for_a_locked_project() -> None:
    down = DownMigrationsScenario()
    down.tasks.refuse_next(Throttled("RunTask started nothing: Capacity is unavailable at this time"))
    for call in ("create_branch", "expire_branch"):
        down.neon.refuse_next(call, ProjectLocked(f"{call}: 423"))
    down.run_until_ended()
    assert_stepped_down_once(down)


def failing_second(outside: FaultInjector | None = None) -> DownMigrationsScenario:
    down = DownMigrationsScenario(outside)
    down.tasks.commands[f"pnpm db:down {OLDER}"] = down.step_down_command(OLDER, code=3)
    return down


def assert_stopped_half_way(down: DownMigrationsScenario) -> None:
    assert down.progress.database_outcome is DatabaseOutcome.FAILED
    reason = down.progress.why_not or ""
    assert f"{OLDER} ended with exit code 3" in reason
    assert f"stepped down: {NEWER}; perhaps: {OLDER}" in reason
    assert "secret-1" not in str(down.document.model_dump_json()), "no password of a log is kept"
    assert down.ran == [NEWER, OLDER]
    assert down.journal() == [1, 2]
    assert down.backup is not None
    assert down.progress.backup_id == down.backup.id
    assert down.neon.rows(down.backup.id) == GOOD + BAD


def count_calls_of_failing_run() -> int:
    down = failing_second()
    down.run_until_ended()
    return down.outside.calls


@pytest.mark.parametrize(("kill_at", "after"), crash_points(count_calls_of_failing_run()))
def test_a_failing_command_killed_at_any_call_is_the_last_and_the_reason_names_each_migrations_state(
    kill_at: int, after: bool
) -> None:
    down = failing_second(FaultInjector(kill_at, after=after))
    down.run_until_ended()
    assert_stopped_half_way(down)


def assert_refused(down: DownMigrationsScenario, *reasons: str) -> None:
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.REFUSED
    for reason in reasons:
        assert reason in (down.progress.why_not or "")
    assert down.ran == []
    assert down.backup is None, "the backup of an unchanged branch is deleted again"
    assert down.journal() == [1, 2, 3]
    assert not down.progress.may_have_changed_data


def test_a_task_that_can_not_start_refuses_the_down_migrations() -> None:
    down = DownMigrationsScenario()
    down.tasks.unstartable.add(down.definition_arn)
    assert_refused(down, f"the task of {NEWER} could not start", "the image is gone")


def test_a_task_that_ecs_refuses_refuses_the_down_migrations() -> None:
    down = DownMigrationsScenario()
    down.tasks.refuse_next(RequestRefused("RunTask: AccessDeniedException; no task was started"))
    assert_refused(down, f"{NEWER}: RunTask: AccessDeniedException", f"still applied: {NEWER}, {OLDER}")


def test_a_refusal_after_the_first_command_names_the_migrations_that_stepped_down() -> None:
    down = DownMigrationsScenario()
    run, allowed = down.tasks.run, iter([True])

    def once(*arguments: Any) -> str:
        if next(allowed, False):
            return run(*arguments)
        raise RequestRefused("RunTask: AccessDeniedException")

    down.tasks.run = once  # type: ignore[method-assign,assignment]
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.FAILED
    assert f"stepped down: {NEWER}; still applied: {OLDER}" in (down.progress.why_not or "")


def test_down_migrations_without_a_backup_are_refused() -> None:
    down = DownMigrationsScenario()
    down.neon.refuse_next("create_branch", RequestRefused("branches limit exceeded"))
    assert_refused(down, "branches limit exceeded")


def test_an_endless_command_is_stopped_before_the_services_start() -> None:
    down = DownMigrationsScenario()
    down.tasks.commands[f"pnpm db:down {NEWER}"] = lambda _: None
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.FAILED
    assert f"{NEWER} did not end in 10 minutes" in (down.progress.why_not or "")
    assert all(task.stopped for task in down.tasks.tasks)
    (run,) = narrow(down.progress, DownMigrationProgress).ran
    assert (run.exit_code, run.stop_asked_at is not None) == (143, True)


def test_a_failing_verification_fails_the_down_migrations_with_its_last_line() -> None:
    down = DownMigrationsScenario()

    def fails(log: list[str]) -> int:
        log.append("no table users")
        return 1

    down.tasks.commands["pnpm db:verify"] = fails
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.FAILED
    assert "verify ended with exit code 1: no table users" in (down.progress.why_not or "")
    assert f"stepped down: {NEWER}, {OLDER}" in (down.progress.why_not or "")


def test_sql_finds_commands_that_succeed_without_an_effect() -> None:
    down = DownMigrationsScenario()
    down.tasks.commands[f"pnpm db:down {OLDER}"] = lambda _: 0
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.FAILED
    assert "all commands ran, but the target can't work with the resulting tables" in (down.progress.why_not or "")


def test_down_migrations_succeed_although_their_logs_can_not_be_read() -> None:
    down = DownMigrationsScenario()
    down.tasks.logs = raise_error(ExternalServiceError("GetLogEvents: AccessDenied"))  # type: ignore[method-assign]
    down.run_until_ended()
    assert_stepped_down_once(down)
    assert "AccessDenied" in narrow(down.progress, DownMigrationProgress).ran[0].logs[0]


def test_down_migrations_note_that_the_backup_does_not_expire() -> None:
    down = DownMigrationsScenario()
    down.neon.refuse_next("expire_branch", AccessRefused("403: early access"))
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.RESTORED
    assert any("early access" in note for note in down.progress.notes)


@pytest.mark.parametrize(
    ("settings", "reason"), [({"down_command": ()}, "down_command is not set")], ids=["no command"]
)
def test_down_migrations_without_a_command_are_refused_before_the_fence(settings: dict[str, Any], reason: str) -> None:
    down = DownMigrationsScenario(settings=settings)
    assert_refused(down, reason)
    assert down.open_obligations() == ()


def test_down_migrations_of_a_deregistered_definition_are_refused_before_the_fence() -> None:
    down = DownMigrationsScenario()
    down.writers.services[SERVICE].deregister(down.definition_arn)
    down.writers.services[WORKER].deregister(down.definition_arn)
    assert_refused(down, "is INACTIVE: ECS runs no task of this definition")
    assert down.open_obligations() == ()


def test_sql_alone_verifies_down_migrations_without_a_verify_command() -> None:
    down = DownMigrationsScenario(settings={"verify_command": ()})
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.RESTORED
    assert down.ran == [NEWER, OLDER]
