"""A deployment of the team during a rollback: a newer release is left alone, a failed one and ours are not."""

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
from rollback_cli.start_and_follow import _SUCCESS_OUTCOMES

FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
STACK = "MacroAiProductionStack"


def team_ships(simulation: Simulation, version: str = "v4", family: str = FAMILY) -> str:
    """Register and deploy a definition, as the team's pipeline does."""
    simulation.arns[version] = simulation.services.register_release(definition(version), family)
    simulation.services.deploy(simulation.arns[version], simulation.clock.now())
    simulation.healthy_versions.add(version)
    return simulation.arns[version]


def deployed(simulation: Simulation) -> list[str]:
    """Definitions that a rollback deployed."""
    return [str(given["definition_arn"]) for _, given in simulation.services.calls if given.get("definition_arn")]


def acting(simulation: Simulation, given: object = None) -> Rollback:
    """A rollback that has called UpdateService."""
    rollback = simulation.admit(given)
    while rollback.service is None or rollback.service.acted_at is None:
        rollback = simulation.run_due_step(rollback)
    return rollback


def with_stack(simulation: Simulation, status: str, definition_arn: str) -> None:
    services = tuple(one.model_copy(update={"stack": STACK}) for one in SETTINGS.services)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))
    simulation.stacks.stack = StackView(name=STACK, status=status, definition_arns=(definition_arn,))


# The newer release is left alone


@pytest.mark.parametrize("given", [None, {"type": "emergency"}], ids=["service", "emergency"])
@pytest.mark.parametrize("until", [Step.SERVICE, Step.VERIFY])
def test_a_rollback_leaves_a_release_alone_that_the_team_deploys_meanwhile(given: object, until: Step) -> None:
    simulation = start_simulation()
    before = dict(simulation.services.deployment_configuration)
    rollback = simulation.run_until(acting(simulation, given), until)
    team_ships(simulation)
    calls = len(deployed(simulation))
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert simulation.running() == image("v4")
    assert len(deployed(simulation)) == calls
    assert done.newer is not None
    assert done.newer.definition_arn == simulation.arns["v4"]
    assert simulation.services.deployment_configuration == before
    assert done.open_obligations() == done.left_to_operator() == ()
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.severities() == ["info"]
    (said,) = (sent.message for sent in simulation.notifications.sent)
    assert "Newer release, not replaced: " in said
    assert f"({simulation.arns['v4'].rsplit('/', 1)[-1]})" in said
    assert f"deployed at {done.newer.began_at:%H:%M:%S} UTC" in said
    assert "Moves before the newer release: update service" in said
    assert simulation.state_of("v2") is ReleaseState.SUSPECT


def test_a_rollback_that_has_not_acted_leaves_the_newer_release_alone_and_marks_no_release() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    team_ships(simulation)
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED
    assert simulation.changes() == []
    assert not done.has_acted
    assert "nothing was changed" in done.reason
    assert simulation.state_of("v2") is ReleaseState.CANDIDATE


def test_a_newer_deployment_in_flight_is_waited_for_and_replaced_if_it_fails() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    simulation.services.behaviours[team_ships(simulation)] = "crashing"
    simulation.healthy_versions.discard("v4")
    waited = simulation.run_due_step(rollback)
    assert waited.service is not None
    assert waited.service.moves[-1] == "wait_for_newer_release"
    assert waited.outcome is None
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")
    assert "the deployment failed, or did not complete in time" in simulation.notifications.sent[-1].message


def test_a_newer_deployment_that_never_settles_is_replaced() -> None:
    simulation = start_simulation()
    simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": False, "rollback": False}
    rollback = acting(simulation)
    simulation.services.behaviours[team_ships(simulation)] = "unhealthy"
    simulation.healthy_versions.discard("v4")
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")
    minutes = (done.concluded_at or NOW) - NOW
    assert minutes >= timedelta(minutes=simulation.policy.service_timeout_minutes)


def test_the_replaced_release_that_the_team_deploys_again_is_left_alone_and_reported() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    simulation.services.deploy(simulation.arns["v2"], simulation.clock.now())
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED
    assert simulation.running() == image("v2")
    assert done.newer is not None
    assert done.newer.is_replaced_release_redeployed
    assert done.newer.version == "v2"
    assert "v2, the same release that the rollback left, deployed at" in done.reason
    assert "check that the deployment was intended" in simulation.notifications.sent[-1].message


def test_a_newer_release_at_zero_tasks_by_our_doing_is_started_at_once() -> None:
    simulation, fenced = start_simulation_at_zero()
    assert simulation.services.desired_count == 0
    simulation.services.behaviours[team_ships(simulation)] = "healthy"
    done = simulation.run_to_end(fenced)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)
    assert simulation.ports.scaling.describe(simulation.service_settings) == AUTOSCALED
    assert simulation.pages() == []


def test_an_obligation_that_can_not_be_discharged_pages_beside_a_newer_release_too() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    team_ships(simulation)
    while simulation.read(rollback).outcome is None:
        simulation.run_due_step(rollback)

    def denied(*_: Any, **__: Any) -> None:
        raise ExternalServiceError("UpdateService: AccessDenied")

    simulation.services.update = denied  # type: ignore[method-assign]
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED
    assert done.left_to_operator() != ()
    assert "NOT RESTORED: deployment configuration of" in simulation.pages()[-1]


def test_an_alarm_that_stays_red_over_the_newer_release_is_evaluated_again() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    team_ships(simulation)
    simulation.healthy_versions.discard("v4")
    done = simulation.run_to_end(rollback)
    assert done.outcome is Outcome.SUPERSEDED
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    for _ in range(12):
        simulation.pass_time(minutes=5)
        janitor.sweep(simulation.ports)
    assert [given["detail"]["alarmName"] for _, given in simulation.workflow.started] == [DEGRADED]


def test_a_superseded_rollback_counts_as_an_attempt_if_it_acted() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    team_ships(simulation)
    simulation.run_to_end(rollback)
    again = simulation.run(simulation.fire_alarm(DEGRADED), "execution-2")
    assert again.outcome is Outcome.SUPPRESSED
    assert "ended recently" in again.reason


# Deployments that are no newer release of the team


def test_a_deployment_in_flight_when_the_plan_was_made_is_the_one_to_replace() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.begin_deployment("v3")
    done = simulation.run()
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")


def test_the_target_deployed_by_the_team_itself_is_adopted() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    simulation.services.deploy(simulation.arns["v1"], simulation.clock.now())
    done = simulation.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.changes() == []


@pytest.mark.parametrize(
    "family", [of(FAMILY, "production", SERVICE) for of in (last_known_good_family, rollback_family)]
)
def test_a_definition_that_a_rollback_registered_is_never_the_teams(family: str) -> None:
    """Such as a late call of a rollback that was taken over."""
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    simulation.services.deploy(simulation.services.register(definition("v0"), family, "0" * 64), simulation.clock.now())
    done = simulation.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_rollback_by_cloudformation_is_no_release_of_the_team(status: str) -> None:
    simulation = Simulation()
    simulation.ship("v0", hours_ago=72)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    with_stack(simulation, "UPDATE_COMPLETE", simulation.arns["v2"])
    rollback = simulation.run_until(acting(simulation, {"type": "emergency"}), Step.VERIFY)
    with_stack(simulation, status, simulation.arns["v0"])
    simulation.services.deploy(simulation.arns["v0"], simulation.clock.now())
    done = simulation.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")


def test_a_newer_release_that_ecs_itself_rolled_back_does_not_stand() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)
    simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": True, "rollback": True}
    simulation.services.behaviours[team_ships(simulation)] = "crashing"
    simulation.healthy_versions.discard("v4")
    done = simulation.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")


def test_rule_9_a_call_that_may_still_land_is_waited_for_before_the_newer_release_is_left_alone() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    rollback = simulation.ledger.save(service(rollback, simulation.ports))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    announced = rollback.service.intent
    team_ships(simulation)
    simulation.pass_time(seconds=10)
    simulation.pass_time(seconds=10)
    simulation.services.update(simulation.service_settings, definition_arn=announced.arguments["definition_arn"])
    done = simulation.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.running() == image("v1")


def test_a_rollback_that_takes_over_judges_the_newer_release_itself() -> None:
    """The alarm's state changed before the team deployed, so the newer release may be the fix."""
    simulation = start_simulation()
    simulation.healthy_versions.clear()
    first = acting(simulation)
    outage = simulation.fire_alarm(OUTAGE)
    simulation.pass_time(seconds=5)
    team_ships(simulation)
    simulation.healthy_versions.clear()
    simulation.pass_time(seconds=5)
    heir = admit(outage, "execution-2", simulation.clock.now(), simulation.ports)
    heir = simulation.run_to_end(heir)
    assert heir.continues_rollback_id == first.id
    assert heir.outcome is Outcome.SUPPRESSED
    assert "may be the fix" in heir.reason
    assert simulation.running() == image("v4")


# With a database


def full(simulation: DatabaseSimulation) -> Rollback:
    return simulation.admit(FULL)


def test_a_newer_release_before_the_fence_leaves_tasks_and_data_untouched() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.run_until(full(simulation), Step.DATABASE)
    team_ships(simulation)
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert not done.has_fenced
    assert simulation.neon.calls == []
    assert simulation.rows() == GOOD + BAD
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)


def test_a_newer_release_behind_the_fence_is_started_if_the_data_is_untouched() -> None:
    simulation = DatabaseSimulation()
    rollback = full(simulation)
    while simulation.services.desired_count:
        rollback = simulation.run_due_step(rollback)
    team_ships(simulation)
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
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
    rollback = full(simulation)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    team_ships(simulation)
    simulation.healthy_versions.discard("v4")
    while simulation.read(rollback).concluded_at is None:
        rollback = simulation.run_due_step(rollback)
        assert simulation.running() == image("v1") or simulation.services.desired_count == 0, "v4 runs on v1's data"
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert simulation.rows() == GOOD
    assert simulation.running() == image("v1")
    assert "Replaced during the rollback: " in simulation.notifications.sent[-1].message
    assert "was not made for the present data" in simulation.notifications.sent[-1].message


def test_a_newer_release_after_the_service_runs_on_its_data_again_is_left_alone() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.run_until(full(simulation), Step.VERIFY)
    assert simulation.services.desired_count == 2
    team_ships(simulation)
    done = simulation.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert simulation.rows() == GOOD
    assert (simulation.running(), simulation.services.desired_count) == (image("v4"), 2)
    assert done.left_to_operator() == ()


# Output of the command line and metrics


def test_the_start_of_a_superseded_rollback_exits_with_1() -> None:
    assert Outcome.SUPERSEDED not in _SUCCESS_OUTCOMES


def test_history_and_the_metric_show_a_superseded_rollback(terminal: Any) -> None:  # noqa: F811
    simulation = start_simulation()
    rollback = simulation.run_until(acting(simulation), Step.VERIFY)
    team_ships(simulation)
    done = simulation.run_to_end(rollback)
    run = terminal(simulation)
    assert run("history", "production") == 0
    assert run("show", "production", done.id) == 0
    assert f"Rollback {done.id}: superseded" in run.said
    assert [counted.outcome for counted in simulation.metrics.counted] == [Outcome.SUPERSEDED]


# The decision


def deployment(**changes: Any) -> Deployment:
    given = {
        "id": "ecs-svc/1",
        "is_primary": True,
        "definition_arn": "arn:aws:ecs:eu-west-1:1:task-definition/api:4",
        "rollout_state": "COMPLETED",
        "running_count": 2,
        "created_at": NOW,
    }
    return Deployment.model_validate({**given, **changes})


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
    given = {
        "arn": "sd-1",
        "status": "SUCCESSFUL",
        "target_definition_arn": "arn:aws:ecs:eu-west-1:1:task-definition/api:4",
        "source_definition_arn": "arn:aws:ecs:eu-west-1:1:task-definition/api:3",
        "created_at": NOW,
    }
    return ServiceDeployment.model_validate({**given, **changes})


@pytest.mark.parametrize(
    ("status", "rollout", "standing"),
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
    status: str, rollout: str, standing: DeploymentStatus
) -> None:
    seen = view(deployment(rollout_state=rollout), service_deployment(status=status))
    assert latest_deployment(seen).status is standing


def test_a_deployment_that_ecs_does_not_list_yet_is_read_from_primary() -> None:
    later = NOW + timedelta(seconds=5)
    primary = deployment(definition_arn="arn:aws:ecs:eu-west-1:1:task-definition/api:5", created_at=later)
    for newest in (None, service_deployment()):
        latest = latest_deployment(view(primary, newest))
        assert (latest.deployed.definition_arn, latest.began_at) == (primary.definition_arn, later)
        assert newest_known_at(view(primary, newest)) == later


def test_a_primary_that_ecs_rolled_back_to_is_no_deployment_of_its_own() -> None:
    later = NOW + timedelta(minutes=5)
    back = deployment(definition_arn="arn:aws:ecs:eu-west-1:1:task-definition/api:3", created_at=later)
    latest = latest_deployment(view(back, service_deployment(status="ROLLBACK_SUCCESSFUL")))
    assert (latest.began_at, latest.status) == (NOW, DeploymentStatus.FAILED)


@given(seconds=st.integers(min_value=-3600, max_value=3600))
def test_only_a_deployment_that_began_after_the_plan_may_be_newer(seconds: int) -> None:
    latest = latest_deployment(view(deployment(), service_deployment(created_at=NOW)))
    assert may_be_newer(latest, NOW - timedelta(seconds=seconds)) == (seconds > 0)


def test_the_same_definition_forced_once_more_and_not_listed_yet_is_a_deployment_of_its_own() -> None:
    later = NOW + timedelta(minutes=5)
    before = service_deployment(created_at=NOW, finished_at=NOW + timedelta(minutes=2))
    again = deployment(definition_arn=before.target_definition_arn, created_at=later, rollout_state="IN_PROGRESS")
    latest = latest_deployment(view(again, before))
    assert (latest.began_at, latest.status) == (later, DeploymentStatus.IN_FLIGHT)


def test_a_deployment_that_does_not_settle_in_time_has_failed_and_one_that_stands_has_not() -> None:
    patience, late = timedelta(minutes=15), NOW + timedelta(minutes=16)
    in_flight = latest_deployment(view(deployment(rollout_state="IN_PROGRESS"), service_deployment(status="PENDING")))
    assert expire_in_flight(in_flight, NOW, patience) is DeploymentStatus.IN_FLIGHT
    assert expire_in_flight(in_flight, late, patience) is DeploymentStatus.FAILED
    stands = latest_deployment(view(deployment(), service_deployment()))
    assert expire_in_flight(stands, late, patience) is DeploymentStatus.COMPLETED
