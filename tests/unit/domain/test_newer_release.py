"""A deployment by the team during a rollback: a newer release stays, a failed one or one by a rollback is replaced."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations.database import BAD, GOOD, DatabaseSimulation
from simulations.fake_ports import DEGRADED, OUTAGE, SETTINGS
from simulations.service import AUTOSCALED, FAMILY, PROMOTED, Simulation, start_simulation, start_simulation_at_zero
from simulations.terminal import terminal  # noqa: F401
from support.builders import NOW, SERVICE, definition, image
from support.builders import rollback as build_rollback

from rollback.domain.releases.newer_release import (
    DeploymentStatus,
    expire_in_flight,
    latest_deployment,
    may_be_newer,
    newest_known_at,
)
from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError
from rollback.names import last_known_good_family, rollback_family
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import Deployment, ServiceDeployment, ServiceView
from rollback.service.reconciler import service
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.route import Step
from rollback_cli.shell.exit_codes import exit_code_of

FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
STACK = "MacroAiProductionStack"


def deploy_as_team(simulation: Simulation, version: str = "v4", family: str = FAMILY) -> str:
    """Register and deploy a definition, as the team's pipeline does."""
    simulation.arns[version] = simulation.services.register_release(definition(version), family)
    simulation.services.deploy(simulation.arns[version], simulation.clock.now())
    simulation.healthy_versions.add(version)
    return simulation.arns[version]


def deployed_definition_arns(simulation: Simulation) -> list[str]:
    """Return the ARNs of the definitions that rollbacks deployed."""
    return [
        str(arguments["definition_arn"])
        for _, arguments in simulation.services.calls
        if arguments.get("definition_arn")
    ]


def run_until_acted(simulation: Simulation, execution_input: object = None) -> Rollback:
    """Run a rollback until it has called UpdateService."""
    rollback = simulation.admit(execution_input)
    while rollback.service is None or rollback.service.acted_at is None:
        rollback = simulation.run_due_step(rollback)
    return rollback


def set_stack(simulation: Simulation, status: str, definition_arn: str) -> None:
    services = tuple(service_settings.model_copy(update={"stack": STACK}) for service_settings in SETTINGS.services)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))
    simulation.stacks.stack = StackView(name=STACK, status=status, definition_arns=(definition_arn,))


# The newer release is left alone


@pytest.mark.parametrize("execution_input", [None, {"type": "emergency"}], ids=["service", "emergency"])
@pytest.mark.parametrize("until", [Step.SERVICE, Step.VERIFY])
def test_a_rollback_leaves_alone_a_release_that_the_team_deploys_during_the_rollback(
    execution_input: object, until: Step
) -> None:
    simulation = start_simulation()
    original_configuration = dict(simulation.services.deployment_configuration)
    rollback = simulation.run_until(run_until_acted(simulation, execution_input), until)
    deploy_as_team(simulation)
    calls = len(deployed_definition_arns(simulation))
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED, concluded_rollback.reason
    assert simulation.running() == image("v4")
    assert len(deployed_definition_arns(simulation)) == calls
    assert concluded_rollback.newer is not None
    assert concluded_rollback.newer.definition_arn == simulation.arns["v4"]
    assert simulation.services.deployment_configuration == original_configuration
    assert concluded_rollback.open_obligations() == concluded_rollback.left_to_operator() == ()
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.severities() == ["info"]
    (message,) = (notification.message for notification in simulation.notifications.sent)
    assert "Newer release, not replaced: " in message
    assert f"({simulation.arns['v4'].rsplit('/', 1)[-1]})" in message
    assert f"deployed at {concluded_rollback.newer.began_at:%H:%M:%S} UTC" in message
    assert "Moves before the newer release: update service" in message
    assert simulation.state_of("v2") is ReleaseState.SUSPECT


def test_a_rollback_that_has_not_acted_leaves_the_newer_release_alone_and_marks_no_release() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    deploy_as_team(simulation)
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED
    assert simulation.changes() == []
    assert not concluded_rollback.has_acted
    assert "nothing was changed" in concluded_rollback.reason
    assert simulation.state_of("v2") is ReleaseState.CANDIDATE


def test_a_newer_deployment_in_flight_is_awaited_and_replaced_if_that_deployment_fails() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    simulation.services.behaviours[deploy_as_team(simulation)] = "crashing"
    simulation.healthy_versions.discard("v4")
    waiting_rollback = simulation.run_due_step(rollback)
    assert waiting_rollback.service is not None
    assert waiting_rollback.service.moves[-1] == "wait_for_newer_release"
    assert waiting_rollback.outcome is None
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.running() == image("v1")
    assert "the deployment failed, or did not complete in time" in simulation.notifications.sent[-1].message


def test_a_newer_deployment_that_never_settles_is_replaced() -> None:
    simulation = start_simulation()
    simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": False, "rollback": False}
    rollback = run_until_acted(simulation)
    simulation.services.behaviours[deploy_as_team(simulation)] = "unhealthy"
    simulation.healthy_versions.discard("v4")
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.running() == image("v1")
    minutes = (concluded_rollback.concluded_at or NOW) - NOW
    assert minutes >= timedelta(minutes=simulation.policy.service_timeout_minutes)


def test_the_replaced_release_that_the_team_deploys_again_is_left_alone_and_reported() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    simulation.services.deploy(simulation.arns["v2"], simulation.clock.now())
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED
    assert simulation.running() == image("v2")
    assert concluded_rollback.newer is not None
    assert concluded_rollback.newer.is_replaced_release_redeployed
    assert concluded_rollback.newer.version == "v2"
    assert "v2, the same release that the rollback left, deployed at" in concluded_rollback.reason
    assert "check that the deployment was intended" in simulation.notifications.sent[-1].message


def test_a_newer_release_that_a_restart_from_zero_left_without_tasks_is_started_at_once() -> None:
    simulation, rollback = start_simulation_at_zero()
    assert simulation.services.desired_count == 0
    simulation.services.behaviours[deploy_as_team(simulation)] = "healthy"
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED, concluded_rollback.reason
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)
    assert simulation.ports.scaling.describe(simulation.service_settings) == AUTOSCALED
    assert simulation.pages() == []


def test_an_obligation_that_can_not_be_discharged_pages_beside_a_newer_release_too() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    deploy_as_team(simulation)
    while simulation.read(rollback).outcome is None:
        simulation.run_due_step(rollback)

    def deny_access(*_: Any, **__: Any) -> None:
        raise ExternalServiceError("UpdateService: AccessDenied")

    simulation.services.update = deny_access  # type: ignore[method-assign]
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED
    assert concluded_rollback.left_to_operator() != ()
    assert "NOT RESTORED: deployment configuration of" in simulation.pages()[-1]


def test_an_alarm_that_stays_in_alarm_over_the_newer_release_is_evaluated_again() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    deploy_as_team(simulation)
    simulation.healthy_versions.discard("v4")
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.outcome is Outcome.SUPERSEDED
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    for _ in range(12):
        simulation.pass_time(minutes=5)
        janitor.sweep(simulation.ports)
    assert [event["detail"]["alarmName"] for _, event in simulation.workflow.started] == [DEGRADED]


def test_a_superseded_rollback_that_acted_counts_as_an_attempt() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    deploy_as_team(simulation)
    simulation.run_to_end(rollback)
    second_rollback = simulation.run(simulation.fire_alarm(DEGRADED), "execution-2")
    assert second_rollback.outcome is Outcome.SUPPRESSED
    assert "ended recently" in second_rollback.reason


# Deployments that are no newer release of the team


def test_a_deployment_in_flight_at_the_time_of_the_plan_is_replaced() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.begin_deployment("v3")
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.running() == image("v1")


def test_the_target_deployed_by_the_team_itself_is_adopted() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    simulation.services.deploy(simulation.arns["v1"], simulation.clock.now())
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.changes() == []


@pytest.mark.parametrize(
    "family", [family_of(FAMILY, "production", SERVICE) for family_of in (last_known_good_family, rollback_family)]
)
def test_a_definition_that_a_rollback_registered_is_never_the_teams(family: str) -> None:
    """For example, a late call of a rollback that was taken over deploys such a definition."""
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    simulation.services.deploy(simulation.services.register(definition("v0"), family, "0" * 64), simulation.clock.now())
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.running() == image("v1")


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_rollback_by_cloudformation_is_no_release_of_the_team(status: str) -> None:
    simulation = Simulation()
    simulation.ship("v0", hours_ago=72)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    set_stack(simulation, "UPDATE_COMPLETE", simulation.arns["v2"])
    rollback = simulation.run_until(run_until_acted(simulation, {"type": "emergency"}), Step.VERIFY)
    set_stack(simulation, status, simulation.arns["v0"])
    simulation.services.deploy(simulation.arns["v0"], simulation.clock.now())
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.running() == image("v1")


def test_a_newer_release_that_ecs_itself_rolled_back_is_replaced() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": True, "rollback": True}
    simulation.services.behaviours[deploy_as_team(simulation)] = "crashing"
    simulation.healthy_versions.discard("v4")
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.running() == image("v1")


def test_rule_9_a_call_that_may_still_take_effect_is_awaited_before_the_newer_release_is_left_alone() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    rollback = simulation.ledger.save(service(rollback, simulation.ports))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    intent = rollback.service.intent
    deploy_as_team(simulation)
    simulation.pass_time(seconds=10)
    simulation.pass_time(seconds=10)
    simulation.services.update(simulation.service_settings, definition_arn=intent.arguments["definition_arn"])
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.running() == image("v1")


def test_a_rollback_that_takes_over_judges_the_newer_release_itself() -> None:
    """The alarm's state changed before the team deployed, so the newer release may be the fix."""
    simulation = start_simulation()
    simulation.healthy_versions.clear()
    first = run_until_acted(simulation)
    outage = simulation.fire_alarm(OUTAGE)
    simulation.pass_time(seconds=5)
    deploy_as_team(simulation)
    simulation.healthy_versions.clear()
    simulation.pass_time(seconds=5)
    successor = admit(outage, "execution-2", simulation.clock.now(), simulation.ports)
    successor = simulation.run_to_end(successor)
    assert successor.continues_rollback_id == first.id
    assert successor.outcome is Outcome.SUPPRESSED
    assert "may be the fix" in successor.reason
    assert simulation.running() == image("v4")


# With a database


def admit_full_rollback(simulation: DatabaseSimulation) -> Rollback:
    return simulation.admit(FULL)


def test_a_newer_release_before_the_fence_leaves_tasks_and_data_untouched() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.run_until(admit_full_rollback(simulation), Step.DATABASE)
    deploy_as_team(simulation)
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED, concluded_rollback.reason
    assert not concluded_rollback.has_fenced
    assert simulation.neon.calls == []
    assert simulation.rows() == GOOD + BAD
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)


def test_a_newer_release_behind_the_fence_is_started_if_the_data_is_untouched() -> None:
    simulation = DatabaseSimulation()
    rollback = admit_full_rollback(simulation)
    while simulation.services.desired_count:
        rollback = simulation.run_due_step(rollback)
    deploy_as_team(simulation)
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED, concluded_rollback.reason
    assert "restore" not in simulation.neon.calls
    assert simulation.rows() == GOOD + BAD
    assert simulation.branch.protected
    assert [branch.name for branch in simulation.neon.branches()] == ["main"]
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)
    assert simulation.pages() == []
    assert "all tasks were stopped during the rollback" in simulation.notifications.sent[-1].message
    assert simulation.state_of("v2") is ReleaseState.CANDIDATE


def test_a_newer_release_during_the_change_of_data_is_replaced_by_the_target_and_reported() -> None:
    simulation = DatabaseSimulation()
    rollback = admit_full_rollback(simulation)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    deploy_as_team(simulation)
    simulation.healthy_versions.discard("v4")
    while simulation.read(rollback).concluded_at is None:
        rollback = simulation.run_due_step(rollback)
        assert simulation.running() == image("v1") or simulation.services.desired_count == 0, "v4 runs on v1's data"
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUCCEEDED, concluded_rollback.reason
    assert simulation.rows() == GOOD
    assert simulation.running() == image("v1")
    assert "Replaced during the rollback: " in simulation.notifications.sent[-1].message
    assert "was not made for the present data" in simulation.notifications.sent[-1].message


def test_a_newer_release_after_the_service_runs_on_its_data_again_is_left_alone() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.run_until(admit_full_rollback(simulation), Step.VERIFY)
    assert simulation.services.desired_count == 2
    deploy_as_team(simulation)
    concluded_rollback = simulation.run_to_end(rollback)

    assert concluded_rollback.outcome is Outcome.SUPERSEDED, concluded_rollback.reason
    assert simulation.rows() == GOOD
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)
    assert concluded_rollback.left_to_operator() == ()


# Output of the command line and metrics


def test_the_start_of_a_superseded_rollback_exits_with_1() -> None:
    superseded = build_rollback().model_copy(update={"outcome": Outcome.SUPERSEDED})
    assert exit_code_of(superseded) == 1


def test_history_and_the_metric_show_a_superseded_rollback(terminal: Any) -> None:  # noqa: F811
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_acted(simulation), Step.VERIFY)
    deploy_as_team(simulation)
    concluded_rollback = simulation.run_to_end(rollback)
    run = terminal(simulation)
    assert run("history", "production") == 0
    assert run("show", "production", concluded_rollback.id) == 0
    assert f"Rollback {concluded_rollback.id}: superseded" in run.said
    assert [metric.outcome for metric in simulation.metrics.counted] == [Outcome.SUPERSEDED]


# The decision


def deployment(**changes: Any) -> Deployment:
    fields = {
        "id": "ecs-svc/1",
        "is_primary": True,
        "definition_arn": "arn:aws:ecs:eu-west-1:1:task-definition/api:4",
        "rollout_state": "COMPLETED",
        "running_count": 2,
        "created_at": NOW,
    }
    return Deployment.model_validate({**fields, **changes})


def view(primary: Deployment, newest: ServiceDeployment | None) -> ServiceView:
    return ServiceView(
        arn="arn",
        desired_count=2,
        running_count=2,
        pending_count=0,
        deployments=(primary,),
        newest=newest,
        deployment_configuration={},
    )


def service_deployment(**changes: Any) -> ServiceDeployment:
    fields = {
        "arn": "sd-1",
        "status": "SUCCESSFUL",
        "target_definition_arn": "arn:aws:ecs:eu-west-1:1:task-definition/api:4",
        "source_definition_arn": "arn:aws:ecs:eu-west-1:1:task-definition/api:3",
        "created_at": NOW,
    }
    return ServiceDeployment.model_validate({**fields, **changes})


@pytest.mark.parametrize(
    ("status", "rollout", "expected_status"),
    [
        ("SUCCESSFUL", "COMPLETED", DeploymentStatus.COMPLETED),
        ("PENDING", "IN_PROGRESS", DeploymentStatus.IN_FLIGHT),
        ("IN_PROGRESS", "IN_PROGRESS", DeploymentStatus.IN_FLIGHT),
        ("IN_PROGRESS", "FAILED", DeploymentStatus.FAILED),
        ("STOP_REQUESTED", "IN_PROGRESS", DeploymentStatus.FAILED),
        ("STOPPED", "FAILED", DeploymentStatus.FAILED),
        ("ROLLBACK_IN_PROGRESS", "IN_PROGRESS", DeploymentStatus.FAILED),
        ("ROLLBACK_SUCCESSFUL", "COMPLETED", DeploymentStatus.FAILED),
        ("ROLLBACK_FAILED", "FAILED", DeploymentStatus.FAILED),
        ("A_STATUS_OF_TOMORROW", "IN_PROGRESS", DeploymentStatus.IN_FLIGHT),
    ],
)
def test_the_status_of_a_service_deployment_follows_from_ecs(
    status: str, rollout: str, expected_status: DeploymentStatus
) -> None:
    service_view = view(deployment(rollout_state=rollout), service_deployment(status=status))
    assert latest_deployment(service_view).status is expected_status


def test_a_deployment_that_ecs_does_not_list_yet_is_read_from_primary() -> None:
    later = NOW + timedelta(seconds=5)
    primary = deployment(definition_arn="arn:aws:ecs:eu-west-1:1:task-definition/api:5", created_at=later)
    for newest in (None, service_deployment()):
        latest = latest_deployment(view(primary, newest))
        assert (latest.deployed.definition_arn, latest.began_at) == (primary.definition_arn, later)
        assert newest_known_at(view(primary, newest)) == later


def test_a_primary_that_ecs_rolled_back_to_is_no_new_deployment() -> None:
    later = NOW + timedelta(minutes=5)
    primary = deployment(definition_arn="arn:aws:ecs:eu-west-1:1:task-definition/api:3", created_at=later)
    latest = latest_deployment(view(primary, service_deployment(status="ROLLBACK_SUCCESSFUL")))
    assert (latest.began_at, latest.status) == (NOW, DeploymentStatus.FAILED)


@given(seconds=st.integers(min_value=-3600, max_value=3600))
def test_only_a_deployment_that_began_after_the_plan_may_be_newer(seconds: int) -> None:
    latest = latest_deployment(view(deployment(), service_deployment(created_at=NOW)))
    assert may_be_newer(latest, NOW - timedelta(seconds=seconds)) == (seconds > 0)


def test_a_forced_deployment_of_the_same_definition_is_a_new_deployment_before_ecs_lists_it() -> None:
    later = NOW + timedelta(minutes=5)
    earlier_deployment = service_deployment(created_at=NOW, finished_at=NOW + timedelta(minutes=2))
    forced_deployment = deployment(
        definition_arn=earlier_deployment.target_definition_arn, created_at=later, rollout_state="IN_PROGRESS"
    )
    latest = latest_deployment(view(forced_deployment, earlier_deployment))
    assert (latest.began_at, latest.status) == (later, DeploymentStatus.IN_FLIGHT)


def test_a_deployment_that_does_not_settle_in_time_has_failed_and_a_completed_deployment_has_not() -> None:
    patience, late = timedelta(minutes=15), NOW + timedelta(minutes=16)
    in_flight = latest_deployment(view(deployment(rollout_state="IN_PROGRESS"), service_deployment(status="PENDING")))
    assert expire_in_flight(in_flight, NOW, patience) is DeploymentStatus.IN_FLIGHT
    assert expire_in_flight(in_flight, late, patience) is DeploymentStatus.FAILED
    completed_deployment = latest_deployment(view(deployment(), service_deployment()))
    assert expire_in_flight(completed_deployment, late, patience) is DeploymentStatus.COMPLETED
