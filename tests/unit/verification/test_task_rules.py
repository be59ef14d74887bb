"""Verdicts on the tasks of a service without counted requests."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import PROMOTED, Simulation
from support.builders import NOW, SERVICE
from support.stand_ins import access_denied_error

from rollback.adapters.aws.ecs.parse import service_task
from rollback.check import Check, Verdict
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import Deployment, ServiceView
from rollback.resources.aws.ecs_task import ServiceTask
from rollback.verification.checks.evidence_keys import may_still_change
from rollback.verification.checks.task_rules import TaskWindow, judge_tasks, window_of

PRIMARY, ENDED = "ecs-svc/2", "EssentialContainerExited"
WINDOW = TaskWindow(NOW - timedelta(minutes=5))


def view() -> ServiceView:
    primary = Deployment(
        id=PRIMARY,
        is_primary=True,
        definition_arn="d:2",
        rollout_state="COMPLETED",
        running_count=2,
        created_at=NOW - timedelta(hours=2),
    )
    return ServiceView(
        arn="arn:aws:ecs:eu-west-1:123456789012:service/c/worker",
        desired_count=2,
        running_count=2,
        pending_count=0,
        deployments=(primary,),
        newest=None,
        deployment_configuration={},
    )


def stopped(stop_code: str = ENDED, minutes_ago: float = 1, **fields: Any) -> ServiceTask:
    at = NOW - timedelta(minutes=minutes_ago)
    fields = {"deployment_id": PRIMARY, "definition_arn": "d:2", **fields}
    return ServiceTask(arn="t/1", is_stopped=True, stopped_at=at, stop_code=stop_code, **fields)


def judge(*tasks: ServiceTask, window: TaskWindow = WINDOW, now: datetime = NOW) -> Check:
    return judge_tasks(tasks, view(), "worker", window, now)


@pytest.mark.parametrize(
    ("task", "part"),
    [
        (stopped(exit_codes={"worker": 1}), "exit code 1 of container worker"),
        (
            stopped(exit_codes={"worker": 137}, stop_reason="OutOfMemoryError"),
            "exit code 137 of container worker (OutOf",
        ),
        (stopped(exit_codes={"worker": 0, "proxy": 1}), "exit code 1 of container proxy"),
        (stopped(exit_codes={"worker": 143, "proxy": 0}), "exit code 143 of container worker"),
        (stopped(), "ended without an exit code"),
        (stopped("TaskFailedToStart", stop_reason="CannotPullContainerError"), "could not start (CannotPull"),
        (
            stopped("ServiceSchedulerInitiated", stop_reason="Task failed container health checks"),
            "failed its container's health check",
        ),
        (stopped(exit_codes={"worker": 1}, deployment_id=""), "exit code 1"),
    ],
)
def test_a_task_that_fails_by_itself_fails_the_check(task: ServiceTask, part: str) -> None:
    check = judge(task)
    assert check.verdict is Verdict.FAIL
    assert part in check.reason


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(stopped(exit_codes={"worker": 0}), id="ended with 0"),
        pytest.param(stopped(exit_codes={"worker": 0, "proxy": 143}), id="ECS ended its sidecar by a signal"),
        pytest.param(stopped("ServiceSchedulerInitiated", stop_reason="Scaling activity"), id="scaled in"),
        pytest.param(stopped("UserInitiated", exit_codes={"worker": 143}), id="stopped by an operator"),
        pytest.param(stopped("SpotInterruption", exit_codes={"worker": 143}), id="Spot took the instance"),
        pytest.param(stopped(exit_codes={"worker": 1}, minutes_ago=6), id="before the window"),
        pytest.param(stopped(exit_codes={"worker": 1}, deployment_id="ecs-svc/1"), id="a former deployment began it"),
        pytest.param(
            stopped(exit_codes={"worker": 1}, deployment_id="", definition_arn="d:1"), id="it has a former definition"
        ),
    ],
)
def test_a_task_that_something_else_ended_is_no_failure(task: ServiceTask) -> None:
    assert judge(task).verdict is Verdict.PASS


def test_tasks_that_end_with_0_are_named() -> None:
    assert "1 ended with exit code 0, and ECS started others" in judge(stopped(exit_codes={"worker": 0})).reason


def test_an_unhealthy_container_of_a_running_task_fails_the_check() -> None:
    check = judge(ServiceTask(arn="t/2", definition_arn="d:2", deployment_id=PRIMARY, is_unhealthy=True))
    assert check.verdict is Verdict.FAIL
    assert "2 fails its container's health check" in check.reason


def test_tasks_are_watched_for_a_while_before_they_count_as_good() -> None:
    window = TaskWindow(NOW, watch_until=NOW + timedelta(minutes=2))
    assert may_still_change(judge(window=window, now=NOW + timedelta(seconds=119)))
    assert judge(window=window, now=NOW + timedelta(minutes=2)).verdict is Verdict.PASS


def test_a_window_longer_than_the_list_of_ecs_says_what_was_not_looked_at() -> None:
    check = judge(window=TaskWindow(NOW - timedelta(hours=3)))
    assert check.verdict is Verdict.PASS
    assert "tasks that stopped more than 60 minutes ago were not looked at" in check.reason


def test_the_window_of_a_verification_begins_with_the_deployment_and_is_bounded() -> None:
    assert window_of(view(), NOW).since == NOW - timedelta(minutes=5)
    assert window_of(view(), NOW - timedelta(minutes=118)).since == NOW - timedelta(hours=2)


def test_a_task_is_read_from_the_answer_of_ecs() -> None:
    answer = {
        "taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/c/abc",
        "taskDefinitionArn": "d:2",
        "startedBy": PRIMARY,
        "lastStatus": "STOPPED",
        "stoppedAt": NOW,
        "stopCode": ENDED,
        "stoppedReason": "Essential container in task exited",
        "healthStatus": "UNKNOWN",
        "containers": [
            {"name": "worker", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
            {"name": "proxy"},
        ],
    }
    task = service_task(answer)
    assert (task.id, task.deployment_id, task.stopped_at, task.stop_code) == ("abc", PRIMARY, NOW, ENDED)
    assert task.exit_codes == {"worker": 137}
    assert "OutOfMemoryError" in task.stop_reason
    assert not task.is_unhealthy


# A worker's verification


def worker(**parts: Any) -> Simulation:
    """v1 is promoted, v0 too, and v2 runs, on a service without a load balancer."""
    simulation = Simulation(**parts)
    simulation.services.target_groups = ()
    simulation.ship("v0", PROMOTED, hours_ago=72)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    return simulation


def check_of(rollback: Rollback) -> Check:
    assert rollback.verification is not None
    return next(check for check in rollback.verification.checks if check.name == "tasks-keep-running")


def test_a_rollback_of_a_worker_watches_the_tasks_for_two_minutes() -> None:
    simulation = worker()
    rollback = simulation.run_alarm_rollback(DEGRADED)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert rollback.verification is not None
    assert rollback.verification.passed_at is not None
    assert rollback.verification.passed_at - rollback.verification.started_at >= timedelta(minutes=2)
    assert check_of(rollback).verdict is Verdict.PASS


def test_an_emergency_of_a_worker_does_not_wait_for_the_tasks() -> None:
    rollback = worker().run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.verification is not None
    assert rollback.verification.passed_at is not None
    assert rollback.verification.passed_at - rollback.verification.started_at < timedelta(minutes=1)


def test_a_target_whose_tasks_crash_and_start_again_is_not_verified_and_the_rollback_escalates() -> None:
    simulation = worker(policy=Policy(verify_timeout_minutes=3))
    prepare_standing_plan(SERVICE, simulation.ports)
    rollback = simulation.admit()
    for _ in range(400):
        rollback = simulation.read(rollback)
        if rollback.outcome is not None:
            break
        primary = simulation.services.describe(simulation.service_settings).primary
        if primary.rollout_state == "COMPLETED" and rollback.service is not None:
            simulation.services.end_task(exit_code=1)
        rollback = simulation.run_due_step(rollback)
    assert rollback.outcome is Outcome.FAILED
    assert "tasks-keep-running" in rollback.reason
    assert rollback.service is not None
    levels = [attempt.escalation_level.value for attempt in rollback.service.attempts]
    assert levels[:2] == ["service", "emergency"]
    targets = {attempt.target for attempt in rollback.service.attempts}
    assert targets == {"v1", "v0"}  # a crash loop is the release's, so that the next target is tried
    assert "its load balancer targets are healthy" not in rollback.reason


def test_a_single_failed_start_during_the_deployment_leaves_the_window() -> None:
    simulation = worker()
    rollback = simulation.admit()
    while rollback.verification is None:
        rollback = simulation.run_due_step(rollback)
    simulation.services.end_task(exit_code=None, stop_code="TaskFailedToStart")
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason


def test_tasks_that_can_not_be_listed_are_no_evidence() -> None:
    simulation = worker(policy=Policy(verify_timeout_minutes=3))

    def refuse(_: Any) -> Any:
        raise access_denied_error("ListTasks")

    simulation.services.service_tasks = refuse  # type: ignore[method-assign, assignment]
    rollback = simulation.run_alarm_rollback(DEGRADED)
    assert rollback.outcome is Outcome.FAILED
    check = check_of(rollback)
    assert check.verdict is Verdict.FAIL
    assert check.reason.startswith("not checked: ")
