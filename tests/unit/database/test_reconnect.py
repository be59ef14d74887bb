"""After data changed, every service of the branch gets new connections, and verification says what proves them."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.database import BRANCH, GOOD
from simulations.service import deployment_event
from simulations.two_writers import WORKER
from simulations.writers_and_reader import (
    FULL,
    REPORTS,
    WritersAndReaderSimulation,
    find_connection,
    find_connection_check,
)
from support.builders import SERVICE

from rollback.check import Verdict
from rollback.domain.database.reconnection import ReconnectMethod
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused
from rollback.reports.report import message
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import ProbeResult
from rollback.workflow.admit import admit
from rollback.workflow.route import Step


def told(stage: WritersAndReaderSimulation, rollback: Rollback) -> str:
    return message(rollback, stage.world.settings.service(rollback.service_name))


def test_a_reader_runs_on_during_the_restore_and_gets_new_tasks_of_its_own_release_afterwards() -> None:
    stage = WritersAndReaderSimulation()
    before = stage.reports.describe(stage.reports_settings).primary
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    assert stage.rows() == GOOD
    assert stage.reports_deployments() == []

    ended = stage.run_to_end(rollback)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert stage.reports_deployments() == [{"force_new_deployment": True}]
    now = stage.reports.describe(stage.reports_settings).primary
    assert now.definition_arn == before.definition_arn
    assert find_connection(ended, REPORTS).deployment_id == now.id != before.id
    assert f"reports: new tasks by deployment {now.id}" in told(stage, ended)


def test_the_writers_connections_are_new_because_they_stood_at_zero_and_they_start_before_verification() -> None:
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.VERIFY)
    assert stage.worker.desired_count == 2
    assert [find_connection(rollback, name).method for name in (SERVICE, WORKER)] == [
        ReconnectMethod.STARTED,
        ReconnectMethod.STARTED,
    ]
    assert "worker: started from zero tasks" in told(stage, stage.run_to_end(rollback))


def test_a_starting_writer_s_lease_is_held_until_its_tasks_run() -> None:
    """Else its own outage alarm, red by our doing, would begin a rollback of it at that moment."""
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    stage.worker.behaviours[stage.worker.describe(stage.worker_settings).primary.definition_arn] = "crashing"
    for _ in range(30):
        rollback = stage.run_due_step(rollback)
        if stage.worker.desired_count and not rollback.open_obligations():
            break
    stage.run_due_step(rollback)
    held = stage.ledger.lease(WORKER)
    assert held is not None
    assert held.is_held_by(rollback.id, stage.clock.now())


def test_without_changed_data_no_service_is_reconnected() -> None:
    stage = WritersAndReaderSimulation()
    stage.run({"type": "service", "service": SERVICE, "target_version": "v1", "force": True, "reason": "drill"})
    assert stage.reports_deployments() == []


def test_a_deployment_by_the_team_after_the_restore_counts_as_reconnection() -> None:
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    stage.pass_time(seconds=10)
    running = stage.reports.describe(stage.reports_settings).primary.definition_arn
    stage.reports.deploy(running, stage.clock.now())
    ended = stage.run_to_end(rollback)
    assert stage.reports_deployments() == []
    assert "which others began" in told(stage, ended)


def test_a_reader_leased_by_another_rollback_is_left_alone_and_reported() -> None:
    stage = WritersAndReaderSimulation(reconnect_timeout_minutes=3)
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    now = stage.clock.now()
    assert stage.ledger.acquire(REPORTS, "reports-1", now, now + timedelta(hours=2)) is not None

    ended = stage.run_to_end(rollback)
    assert stage.reports_deployments() == []
    assert ended.outcome is Outcome.FAILED
    assert "reports-1 holds the lease on reports" in ended.reason
    assert stage.rows() == GOOD
    assert stage.worker.desired_count == 2
    assert "aws ecs update-service" in stage.pages()[-1]


def test_a_reader_s_lease_is_released_at_the_end_of_its_turn() -> None:
    stage = WritersAndReaderSimulation()
    stage.run_until(stage.admit(FULL), Step.VERIFY)
    assert stage.ledger.lease(REPORTS) is None


def test_a_reader_whose_new_tasks_fail_is_reported_and_the_restore_stays() -> None:
    """ECS's breaker keeps its old tasks: they have connections to data that is gone."""
    stage = WritersAndReaderSimulation()
    stage.reports.behaviours[stage.reports.describe(stage.reports_settings).primary.definition_arn] = "crashing"
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.FAILED
    assert stage.rows() == GOOD
    assert stage.services.desired_count == 2
    assert "connection reports" in ended.reason
    assert ended.service is not None
    assert ended.service.attempts == (), "no rung of the service mends another one's connections"
    assert "NOT RECONNECTED" in stage.pages()[-1]


@pytest.mark.parametrize("with_id", [True, False])
def test_a_reader_s_failed_deployment_that_we_asked_for_triggers_no_rollback_of_it(with_id: bool) -> None:
    """Rule 5, also once the lease is given back: ECS's event comes late, or is looked at again."""
    stage = WritersAndReaderSimulation()
    stage.reports.behaviours[stage.reports.describe(stage.reports_settings).primary.definition_arn] = "crashing"
    ended = stage.run(FULL)
    caused = stage.ledger.caused_deployment(REPORTS)
    assert caused is not None
    assert caused.deployment_id == find_connection(ended, REPORTS).deployment_id

    event = deployment_event()
    event["time"] = stage.clock.now().isoformat()
    event["resources"] = [f"arn:aws:ecs:eu-west-1:123456789012:service/{stage.reports_settings.cluster}/"
                          f"{stage.reports_settings.ecs_service}"]  # fmt: skip
    if with_id:
        event["detail"]["deploymentId"] = caused.deployment_id
    about_it = admit(event, "on-failure", stage.clock.now(), stage.world)
    assert about_it.outcome is Outcome.SUPPRESSED
    assert ended.id in about_it.reason
    assert about_it.recheck_at is None, "it is no reason to look again either"


def test_a_later_failed_deployment_by_the_team_is_not_taken_for_ours() -> None:
    stage = WritersAndReaderSimulation()
    stage.run(FULL)
    stage.pass_time(minutes=5)
    broken = stage.reports.register_release(
        {"family": "r", "containerDefinitions": [{"name": "api", "image": "r2"}]}, "r"
    )
    stage.reports.behaviours[broken] = "crashing"
    stage.reports.deploy(broken, stage.clock.now())
    stage.pass_time(minutes=2)
    event = deployment_event()
    event["time"] = stage.clock.now().isoformat()
    event["resources"] = [f"arn:aws:ecs:eu-west-1:123456789012:service/{stage.reports_settings.cluster}/"
                          f"{stage.reports_settings.ecs_service}"]  # fmt: skip
    event["detail"]["deploymentId"] = stage.reports.describe(stage.reports_settings).primary.id
    about_it = admit(event, "on-failure", stage.clock.now(), stage.world)
    assert next(c for c in about_it.admission if c.name == "deployment-is-the-teams").verdict is Verdict.PASS


def test_a_reader_with_a_reconnect_command_runs_it_instead_of_getting_new_tasks() -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(REPORTS, reconnect_command=("pnpm", "db:reset-connection"))
    stage.tasks.commands["pnpm db:reset-connection"] = lambda log: 0
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert stage.reports_deployments() == []
    (task,) = stage.tasks.tasks
    assert task.definition_arn == stage.reports.describe(stage.reports_settings).primary.definition_arn
    assert "its reconnect_command ended with exit code 0" in told(stage, ended)


def test_a_lost_answer_starts_no_second_task() -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(REPORTS, reconnect_command=("pnpm", "db:reset-connection"))
    stage.tasks.commands["pnpm db:reset-connection"] = lambda log: 0
    stage.tasks.lose_next()
    assert stage.run(FULL).outcome is Outcome.SUCCEEDED
    assert len(stage.tasks.tasks) == 1


def test_a_failed_reconnect_command_is_reported_with_its_last_line() -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(REPORTS, reconnect_command=("pnpm", "db:reset-connection"))

    def fails(log: list[str]) -> int:
        log.append("could not connect to postgres://api:hush@db/app")
        return 3

    stage.tasks.commands["pnpm db:reset-connection"] = fails
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.FAILED
    assert "reconnect_command ended with exit code 3: could not connect to postgres://…@db/app" in ended.reason


def test_a_reader_at_zero_tasks_has_no_connections() -> None:
    stage = WritersAndReaderSimulation()
    stage.reports.desired_count = 0
    stage.pass_time(minutes=3)
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert find_connection_check(ended, REPORTS).verdict is Verdict.SKIPPED
    assert stage.reports_deployments() == []


def test_a_refused_call_about_one_reader_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)

    def refused(service: ServiceSettings, **_: Any) -> None:
        raise CallRefused(f"UpdateService on {service.name} is not allowed", action="ecs:UpdateService")

    monkeypatch.setattr(stage.reports, "update", refused)
    ended = stage.run_to_end(rollback)
    assert ended.outcome is Outcome.FAILED
    assert "UpdateService on reports is not allowed" in ended.reason
    assert stage.services.desired_count == 2


def test_a_writer_whose_deployment_failed_gets_a_new_one_that_is_recorded_as_caused() -> None:
    """ECS starts no more tasks for a deployment that it has given up; the new one's failure is no release's fault."""
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    stage.worker._deployments[0].rollout_state = "FAILED"
    stage.run_to_end(rollback)
    caused = stage.ledger.caused_deployment(WORKER)
    assert caused is not None
    assert caused.definition_arn == stage.worker.describe(stage.worker_settings).primary.definition_arn


# Proofs of a connection


def test_a_connection_without_a_configured_proof_warns_and_waits_for_nothing() -> None:
    """A steady service and a green target prove nothing: the app's health route looks at a variable only."""
    stage = WritersAndReaderSimulation()
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.SUCCEEDED
    for name in (SERVICE, WORKER, REPORTS):
        check = find_connection_check(ended, name)
        assert check.verdict is Verdict.WARN
        assert check.reason.startswith("not checked: health checks of")


PROOFS: list[dict[str, Any]] = [
    {"command": ("pnpm", "db:ping")},
    {"check_path": "/users/1", "check_body": "ada"},
    {"application_name": "reports"},
]


@pytest.mark.parametrize("name", [SERVICE, REPORTS])
@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: next(iter(proof)))
def test_each_kind_of_evidence_proves_a_connection(proof: dict[str, Any], name: str) -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(name, **proof)
    stage.tasks.commands["pnpm db:ping"] = lambda log: 0
    for site in ("http://api.test", "http://reports.test"):
        stage.http.answers[f"{site}/users/1"] = ProbeResult(status=200, seconds=0.1, body='{"name": "ada"}')
    stage.sql.ages[BRANCH] = {"reports": 0.5}
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert find_connection_check(ended, name).verdict is Verdict.PASS, find_connection_check(ended, name).reason


def test_a_command_that_can_t_connect_refutes_the_connection() -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(WORKER, command=("pnpm", "db:ping"))
    stage.tasks.commands["pnpm db:ping"] = lambda log: 1
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.FAILED
    assert find_connection_check(ended, WORKER).verdict is Verdict.FAIL
    assert stage.rows() == GOOD


@pytest.mark.parametrize(
    "answer",
    [ProbeResult(status=503, seconds=0.1), ProbeResult(status=200, seconds=0.1, body='{"status": "ok"}')],
    ids=["another status", "without the body"],
)
def test_a_refuting_endpoint_of_a_reader_fails_without_escalating_the_rollback_s_service(
    answer: ProbeResult,
) -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(REPORTS, check_path="/users/1", check_body="ada")
    stage.http.answers["http://reports.test/users/1"] = answer
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.FAILED
    assert "not verified, though v1 is healthy: connection reports: /users/1 answered" in ended.reason
    assert ended.service is not None
    assert ended.service.attempts == ()


def test_verification_waits_for_an_endpoint_that_recovers_in_time() -> None:
    stage = WritersAndReaderSimulation()
    stage.connect(REPORTS, check_path="/users/1")
    stage.http.answers["http://reports.test/users/1"] = ProbeResult(status=503, seconds=0.1)
    rollback = stage.run_due_step(stage.run_until(stage.admit(FULL), Step.VERIFY))
    assert rollback.outcome is None
    del stage.http.answers["http://reports.test/users/1"]
    assert stage.run_to_end(rollback).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("ages", [{}, {"reports": 7200.0}, {"another": 0.1}], ids=["none", "an old one", "another's"])
def test_an_unseen_session_proves_nothing_either_way(ages: dict[str, float]) -> None:
    """Behind a pooler, and while nobody asks anything, there may be none: absence is no evidence."""
    stage = WritersAndReaderSimulation()
    stage.connect(REPORTS, application_name="reports")
    stage.sql.ages[BRANCH] = ages
    ended = stage.run(FULL)
    assert ended.outcome is Outcome.SUCCEEDED
    check = find_connection_check(ended, REPORTS)
    assert check.verdict is Verdict.WARN
    assert "no session named reports was found in 60 seconds, so its connection is not proved" in check.reason


def test_a_report_names_readers_that_were_not_reconnected_before_the_end() -> None:
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    ended = stage.run_to_end(stage.ledger.save(rollback.evolve(outcome=Outcome.FAILED, reason="its function died")))
    assert "reports: NOT RECONNECTED: `aws ecs update-service" in told(stage, ended)


def test_a_plan_names_the_services_to_reconnect_its_own_first() -> None:
    stage = WritersAndReaderSimulation(writers=(WORKER, SERVICE))
    planned = stage.run_until(stage.admit(FULL), Step.DATABASE).plan
    assert planned is not None
    assert planned.database is not None
    assert planned.database.reconnecting_services == (SERVICE, WORKER, REPORTS)


def test_a_record_of_an_older_version_skips_reconnect() -> None:
    """Its state machine has none either: an execution keeps the definition that it began with."""
    stage = WritersAndReaderSimulation()
    rollback = stage.run_until(stage.admit(FULL), Step.DATABASE)
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    older = rollback.plan.database.model_copy(update={"reconnecting_services": ()})
    rollback = stage.ledger.save(rollback.evolve(plan=rollback.plan.model_copy(update={"database": older})))
    ended = stage.run_to_end(rollback)
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.reconnection is None


def test_a_reader_waits_while_cloudformation_updates_its_stack() -> None:
    """Rule 6."""
    stage = WritersAndReaderSimulation()
    services = tuple(
        one.model_copy(update={"stack": "Reports"}) if one.name == REPORTS else one
        for one in stage.world.settings.services
    )
    stage.replace(settings=stage.world.settings.model_copy(update={"services": services}))
    stage.stacks.stack = StackView(name="Reports", status="UPDATE_IN_PROGRESS")
    rollback = stage.run_until(stage.admit(FULL), Step.RECONNECT)
    for _ in range(20):
        rollback = stage.run_due_step(rollback)
    assert stage.reports_deployments() == []
    stage.stacks.stack = StackView(name="Reports", status="UPDATE_COMPLETE")
    assert stage.run_to_end(rollback).outcome is Outcome.SUCCEEDED
    assert len(stage.reports_deployments()) == 1
