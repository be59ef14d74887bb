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


def report_text(simulation: WritersAndReaderSimulation, rollback: Rollback) -> str:
    return message(rollback, simulation.ports.settings.service(rollback.service_name))


def test_a_reader_keeps_running_during_the_restore_and_then_gets_new_tasks_of_the_same_release() -> None:
    simulation = WritersAndReaderSimulation()
    original_primary = simulation.reports.describe(simulation.reports_settings).primary
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    assert simulation.rows() == GOOD
    assert simulation.reports_deployments() == []

    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.reports_deployments() == [{"force_new_deployment": True}]
    current_primary = simulation.reports.describe(simulation.reports_settings).primary
    assert current_primary.definition_arn == original_primary.definition_arn
    assert find_connection(rollback, REPORTS).deployment_id == current_primary.id != original_primary.id
    assert f"reports: new tasks by deployment {current_primary.id}" in report_text(simulation, rollback)


def test_writers_stopped_at_zero_have_new_connections_and_start_before_verification() -> None:
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.VERIFY)
    assert simulation.worker.desired_count == 2
    assert [find_connection(rollback, name).method for name in (SERVICE, WORKER)] == [
        ReconnectMethod.STARTED,
        ReconnectMethod.STARTED,
    ]
    assert "worker: started from zero tasks" in report_text(simulation, simulation.run_to_end(rollback))


def test_a_starting_writer_s_lease_is_held_until_its_tasks_run() -> None:
    """Without the lease, the outage alarm that our fence caused would start a rollback of the writer."""
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    simulation.worker.behaviours[simulation.worker.describe(simulation.worker_settings).primary.definition_arn] = (
        "crashing"
    )
    for _ in range(30):
        rollback = simulation.run_due_step(rollback)
        if simulation.worker.desired_count and not rollback.open_obligations():
            break
    simulation.run_due_step(rollback)
    lease = simulation.ledger.lease(WORKER)
    assert lease is not None
    assert lease.is_held_by(rollback.id, simulation.clock.now())


def test_no_service_is_reconnected_without_changed_data() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.run({"type": "service", "service": SERVICE, "target_version": "v1", "force": True, "reason": "drill"})
    assert simulation.reports_deployments() == []


def test_a_deployment_by_the_team_after_the_restore_counts_as_reconnection() -> None:
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    simulation.pass_time(seconds=10)
    running = simulation.reports.describe(simulation.reports_settings).primary.definition_arn
    simulation.reports.deploy(running, simulation.clock.now())
    rollback = simulation.run_to_end(rollback)
    assert simulation.reports_deployments() == []
    assert "which others began" in report_text(simulation, rollback)


def test_a_reader_leased_by_another_rollback_is_not_changed_and_is_reported() -> None:
    simulation = WritersAndReaderSimulation(reconnect_timeout_minutes=3)
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    now = simulation.clock.now()
    assert simulation.ledger.acquire(REPORTS, "reports-1", now, now + timedelta(hours=2)) is not None

    rollback = simulation.run_to_end(rollback)
    assert simulation.reports_deployments() == []
    assert rollback.outcome is Outcome.FAILED
    assert "reports-1 holds the lease on reports" in rollback.reason
    assert simulation.rows() == GOOD
    assert simulation.worker.desired_count == 2
    assert "aws ecs update-service" in simulation.pages()[-1]


def test_a_reader_s_lease_is_released_at_the_end_of_its_turn() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.run_until(simulation.admit(FULL), Step.VERIFY)
    assert simulation.ledger.lease(REPORTS) is None


def test_a_reader_whose_new_tasks_fail_is_reported_and_the_restore_succeeds() -> None:
    """ECS's circuit breaker keeps the old tasks, whose connections use the overwritten data."""
    simulation = WritersAndReaderSimulation()
    simulation.reports.behaviours[simulation.reports.describe(simulation.reports_settings).primary.definition_arn] = (
        "crashing"
    )
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.FAILED
    assert simulation.rows() == GOOD
    assert simulation.services.desired_count == 2
    assert "connection-of-reports-works" in rollback.reason
    assert rollback.service is not None
    assert rollback.service.attempts == (), "no rung of the service mends another one's connections"
    assert "NOT RECONNECTED" in simulation.pages()[-1]


@pytest.mark.parametrize("with_id", [True, False])
def test_a_readers_failed_deployment_that_a_rollback_requested_triggers_no_rollback(with_id: bool) -> None:
    """Rule 5, also after the release of the lease: ECS's event may be late or rechecked."""
    simulation = WritersAndReaderSimulation()
    simulation.reports.behaviours[simulation.reports.describe(simulation.reports_settings).primary.definition_arn] = (
        "crashing"
    )
    rollback = simulation.run(FULL)
    caused_deployment = simulation.ledger.caused_deployment(REPORTS)
    assert caused_deployment is not None
    assert caused_deployment.deployment_id == find_connection(rollback, REPORTS).deployment_id

    event = deployment_event()
    event["time"] = simulation.clock.now().isoformat()
    event["resources"] = [f"arn:aws:ecs:eu-west-1:123456789012:service/{simulation.reports_settings.cluster}/"
                          f"{simulation.reports_settings.ecs_service}"]  # fmt: skip
    if with_id:
        event["detail"]["deploymentId"] = caused_deployment.deployment_id
    failure_rollback = admit(event, "on-failure", simulation.clock.now(), simulation.ports)
    assert failure_rollback.outcome is Outcome.SUPPRESSED
    assert rollback.id in failure_rollback.reason
    assert failure_rollback.recheck_at is None, "it is no reason to look again either"


def test_a_later_failed_deployment_of_a_reader_by_the_team_passes_the_check() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.run(FULL)
    simulation.pass_time(minutes=5)
    broken = simulation.reports.register_release(
        {"family": "r", "containerDefinitions": [{"name": "api", "image": "r2"}]}, "r"
    )
    simulation.reports.behaviours[broken] = "crashing"
    simulation.reports.deploy(broken, simulation.clock.now())
    simulation.pass_time(minutes=2)
    event = deployment_event()
    event["time"] = simulation.clock.now().isoformat()
    event["resources"] = [f"arn:aws:ecs:eu-west-1:123456789012:service/{simulation.reports_settings.cluster}/"
                          f"{simulation.reports_settings.ecs_service}"]  # fmt: skip
    event["detail"]["deploymentId"] = simulation.reports.describe(simulation.reports_settings).primary.id
    failure_rollback = admit(event, "on-failure", simulation.clock.now(), simulation.ports)
    assert (
        next(check for check in failure_rollback.admission if check.name == "deployment-is-the-teams").verdict
        is Verdict.PASS
    )


def test_a_reader_with_a_reconnect_command_runs_the_command_and_gets_no_new_tasks() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.connect(REPORTS, reconnect_command=("pnpm", "db:reset-connection"))
    simulation.tasks.commands["pnpm db:reset-connection"] = lambda log: 0
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.reports_deployments() == []
    (task,) = simulation.tasks.tasks
    assert task.definition_arn == simulation.reports.describe(simulation.reports_settings).primary.definition_arn
    assert "its reconnect_command ended with exit code 0" in report_text(simulation, rollback)


def test_a_lost_answer_starts_no_second_task() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.connect(REPORTS, reconnect_command=("pnpm", "db:reset-connection"))
    simulation.tasks.commands["pnpm db:reset-connection"] = lambda log: 0
    simulation.tasks.lose_next()
    assert simulation.run(FULL).outcome is Outcome.SUCCEEDED
    assert len(simulation.tasks.tasks) == 1


def test_a_failed_reconnect_command_is_reported_with_its_last_line() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.connect(REPORTS, reconnect_command=("pnpm", "db:reset-connection"))

    def fails(log: list[str]) -> int:
        log.append("could not connect to postgres://api:hush@db/app")
        return 3

    simulation.tasks.commands["pnpm db:reset-connection"] = fails
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.FAILED
    assert "reconnect_command ended with exit code 3: could not connect to postgres://…@db/app" in rollback.reason


def test_a_reader_at_zero_tasks_has_no_connections() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.reports.desired_count = 0
    simulation.pass_time(minutes=3)
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert find_connection_check(rollback, REPORTS).verdict is Verdict.SKIPPED
    assert simulation.reports_deployments() == []


def test_a_refused_call_about_one_reader_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)

    def refused(service: ServiceSettings, **_: Any) -> None:
        raise CallRefused(f"UpdateService on {service.name} is not allowed", action="ecs:UpdateService")

    monkeypatch.setattr(simulation.reports, "update", refused)
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.FAILED
    assert "UpdateService on reports is not allowed" in rollback.reason
    assert simulation.services.desired_count == 2


def test_a_writer_whose_deployment_failed_gets_a_new_one_that_is_recorded_as_caused() -> None:
    """ECS starts no more tasks for a deployment that it has given up; the new one's failure is no release's fault."""
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    simulation.worker._deployments[0].rollout_state = "FAILED"
    simulation.run_to_end(rollback)
    caused_deployment = simulation.ledger.caused_deployment(WORKER)
    assert caused_deployment is not None
    assert (
        caused_deployment.definition_arn
        == simulation.worker.describe(simulation.worker_settings).primary.definition_arn
    )


# Proofs of a connection


def test_a_connection_without_a_configured_proof_warns_and_waits_for_nothing() -> None:
    """A steady service and a green target prove nothing: the app's health route looks at a variable only."""
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.SUCCEEDED
    for name in (SERVICE, WORKER, REPORTS):
        check = find_connection_check(rollback, name)
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
    simulation = WritersAndReaderSimulation()
    simulation.connect(name, **proof)
    simulation.tasks.commands["pnpm db:ping"] = lambda log: 0
    for site in ("http://api.test", "http://reports.test"):
        simulation.http.answers[f"{site}/users/1"] = ProbeResult(status=200, seconds=0.1, body='{"name": "ada"}')
    simulation.sql.ages[BRANCH] = {"reports": 0.5}
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert find_connection_check(rollback, name).verdict is Verdict.PASS, find_connection_check(rollback, name).reason


def test_a_command_that_can_not_connect_refutes_the_connection() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.connect(WORKER, command=("pnpm", "db:ping"))
    simulation.tasks.commands["pnpm db:ping"] = lambda log: 1
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.FAILED
    assert find_connection_check(rollback, WORKER).verdict is Verdict.FAIL
    assert simulation.rows() == GOOD


@pytest.mark.parametrize(
    "answer",
    [ProbeResult(status=503, seconds=0.1), ProbeResult(status=200, seconds=0.1, body='{"status": "ok"}')],
    ids=["another status", "without the body"],
)
def test_a_refuting_endpoint_of_a_reader_fails_without_escalating_the_rollback_s_service(
    answer: ProbeResult,
) -> None:
    simulation = WritersAndReaderSimulation()
    simulation.connect(REPORTS, check_path="/users/1", check_body="ada")
    simulation.http.answers["http://reports.test/users/1"] = answer
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.FAILED
    assert "not verified, though v1 is healthy: connection-of-reports-works: /users/1 answered" in rollback.reason
    assert rollback.service is not None
    assert rollback.service.attempts == ()


def test_verification_waits_for_an_endpoint_that_recovers_in_time() -> None:
    simulation = WritersAndReaderSimulation()
    simulation.connect(REPORTS, check_path="/users/1")
    simulation.http.answers["http://reports.test/users/1"] = ProbeResult(status=503, seconds=0.1)
    rollback = simulation.run_due_step(simulation.run_until(simulation.admit(FULL), Step.VERIFY))
    assert rollback.outcome is None
    del simulation.http.answers["http://reports.test/users/1"]
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("ages", [{}, {"reports": 7200.0}, {"another": 0.1}], ids=["none", "an old one", "another's"])
def test_an_unobserved_session_neither_proves_nor_refutes_a_connection(ages: dict[str, float]) -> None:
    """A pooler or an idle service may have no session: absence is no evidence."""
    simulation = WritersAndReaderSimulation()
    simulation.connect(REPORTS, application_name="reports")
    simulation.sql.ages[BRANCH] = ages
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.SUCCEEDED
    check = find_connection_check(rollback, REPORTS)
    assert check.verdict is Verdict.WARN
    assert "no session named reports was found in 60 seconds, so its connection is not proved" in check.reason


def test_a_report_names_readers_that_were_not_reconnected_before_the_end() -> None:
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    concluded_rollback = simulation.run_to_end(
        simulation.ledger.save(rollback.evolve(outcome=Outcome.FAILED, reason="its function died"))
    )
    assert "reports: NOT RECONNECTED: `aws ecs update-service" in report_text(simulation, concluded_rollback)


def test_a_plan_names_the_services_to_reconnect_beginning_with_its_own_service() -> None:
    simulation = WritersAndReaderSimulation(writers=(WORKER, SERVICE))
    plan = simulation.run_until(simulation.admit(FULL), Step.DATABASE).plan
    assert plan is not None
    assert plan.database is not None
    assert plan.database.reconnecting_services == (SERVICE, WORKER, REPORTS)


def test_a_record_of_an_older_version_skips_reconnect() -> None:
    """The old state machine has no such step: an execution keeps the definition of its start."""
    simulation = WritersAndReaderSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.DATABASE)
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    older = rollback.plan.database.model_copy(update={"reconnecting_services": ()})
    rollback = simulation.ledger.save(rollback.evolve(plan=rollback.plan.model_copy(update={"database": older})))
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.reconnection is None


def test_a_reader_waits_while_cloudformation_updates_its_stack() -> None:
    """Rule 6."""
    simulation = WritersAndReaderSimulation()
    services = tuple(
        service.model_copy(update={"stack": "Reports"}) if service.name == REPORTS else service
        for service in simulation.ports.settings.services
    )
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))
    simulation.stacks.stack = StackView(name="Reports", status="UPDATE_IN_PROGRESS")
    rollback = simulation.run_until(simulation.admit(FULL), Step.RECONNECT)
    for _ in range(20):
        rollback = simulation.run_due_step(rollback)
    assert simulation.reports_deployments() == []
    simulation.stacks.stack = StackView(name="Reports", status="UPDATE_COMPLETE")
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED
    assert len(simulation.reports_deployments()) == 1
