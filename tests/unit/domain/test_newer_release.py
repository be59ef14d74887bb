"""A deployment of the team during a rollback: a newer release is left alone, a failed one and ours are not."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations.database import BAD, GOOD, DatabaseSimulation
from simulations.service import AUTOSCALED, FAMILY, PROMOTED, Simulation, start_simulation, start_simulation_at_zero
from simulations.terminal import terminal  # noqa: F401
from simulations.worlds import DEGRADED, OUTAGE, SETTINGS
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


def team_ships(stage: Simulation, version: str = "v4", family: str = FAMILY) -> str:
    """Register and deploy a definition, as the team's pipeline does."""
    stage.arns[version] = stage.services.register_release(definition(version), family)
    stage.services.deploy(stage.arns[version], stage.clock.now())
    stage.healthy_versions.add(version)
    return stage.arns[version]


def deployed(stage: Simulation) -> list[str]:
    """Definitions that a rollback deployed."""
    return [str(given["definition_arn"]) for _, given in stage.services.calls if given.get("definition_arn")]


def acting(stage: Simulation, given: object = None) -> Rollback:
    """A rollback that has called UpdateService."""
    rollback = stage.admit(given)
    while rollback.service is None or rollback.service.acted_at is None:
        rollback = stage.run_due_step(rollback)
    return rollback


def with_stack(stage: Simulation, status: str, definition_arn: str) -> None:
    services = tuple(one.model_copy(update={"stack": STACK}) for one in SETTINGS.services)
    stage.replace(settings=stage.world.settings.model_copy(update={"services": services}))
    stage.stacks.stack = StackView(name=STACK, status=status, definition_arns=(definition_arn,))


# The newer release is left alone


@pytest.mark.parametrize("given", [None, {"type": "emergency"}], ids=["service", "emergency"])
@pytest.mark.parametrize("until", [Step.SERVICE, Step.VERIFY])
def test_a_rollback_leaves_a_release_alone_that_the_team_deploys_meanwhile(given: object, until: Step) -> None:
    stage = start_simulation()
    before = dict(stage.services.deployment_configuration)
    rollback = stage.run_until(acting(stage, given), until)
    team_ships(stage)
    calls = len(deployed(stage))
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert stage.running() == image("v4")
    assert len(deployed(stage)) == calls
    assert done.newer is not None
    assert done.newer.definition_arn == stage.arns["v4"]
    assert stage.services.deployment_configuration == before
    assert done.open_obligations() == done.left_to_operator() == ()
    assert stage.ledger.lease(SERVICE) is None
    assert stage.severities() == ["info"]
    (said,) = (sent.message for sent in stage.notifications.sent)
    assert "Newer release, left alone: " in said
    assert f"({stage.arns['v4'].rsplit('/', 1)[-1]})" in said
    assert f"deployed at {done.newer.began_at:%H:%M:%S} UTC" in said
    assert "Done before: update_service" in said
    assert stage.state_of("v2") is ReleaseState.SUSPECT


def test_a_rollback_that_has_not_acted_leaves_the_newer_release_alone_and_marks_no_release() -> None:
    stage = start_simulation()
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    team_ships(stage)
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED
    assert stage.changes() == []
    assert not done.has_acted
    assert "nothing was changed" in done.reason
    assert stage.state_of("v2") is ReleaseState.CANDIDATE


def test_a_newer_deployment_in_flight_is_waited_for_and_replaced_if_it_fails() -> None:
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    stage.services.behaviours[team_ships(stage)] = "crashing"
    stage.healthy_versions.discard("v4")
    waited = stage.run_due_step(rollback)
    assert waited.service is not None
    assert waited.service.moves[-1] == "wait_for_newer_release"
    assert waited.outcome is None
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")
    assert "the deployment failed, or did not complete in time" in stage.notifications.sent[-1].message


def test_a_newer_deployment_that_never_settles_is_replaced() -> None:
    stage = start_simulation()
    stage.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": False, "rollback": False}
    rollback = acting(stage)
    stage.services.behaviours[team_ships(stage)] = "unhealthy"
    stage.healthy_versions.discard("v4")
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")
    minutes = (done.concluded_at or NOW) - NOW
    assert minutes >= timedelta(minutes=stage.policy.service_timeout_minutes)


def test_the_replaced_release_that_the_team_deploys_again_is_left_alone_and_reported() -> None:
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    stage.services.deploy(stage.arns["v2"], stage.clock.now())
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED
    assert stage.running() == image("v2")
    assert done.newer is not None
    assert done.newer.is_replaced_release_redeployed
    assert done.newer.version == "v2"
    assert "v2, the same release that the rollback left, deployed at" in done.reason
    assert "check that the deployment was intended" in stage.notifications.sent[-1].message


def test_a_newer_release_at_zero_tasks_by_our_doing_is_started_at_once() -> None:
    stage, fenced = start_simulation_at_zero()
    assert stage.services.desired_count == 0
    stage.services.behaviours[team_ships(stage)] = "healthy"
    done = stage.run_to_end(fenced)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert (stage.running(), stage.services.desired_count) == (image("v4"), 2)
    assert stage.world.scaling.describe(stage.world.settings.services[0]) == AUTOSCALED
    assert stage.pages() == []


def test_an_obligation_that_can_not_be_discharged_pages_beside_a_newer_release_too() -> None:
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    team_ships(stage)
    while stage.read(rollback).outcome is None:
        stage.run_due_step(rollback)

    def denied(*_: Any, **__: Any) -> None:
        raise ExternalServiceError("UpdateService: AccessDenied")

    stage.services.update = denied  # type: ignore[method-assign]
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED
    assert done.left_to_operator() != ()
    assert "NOT PUT BACK: deployment_configuration" in stage.pages()[-1]


def test_an_alarm_that_stays_red_over_the_newer_release_is_evaluated_again() -> None:
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    team_ships(stage)
    stage.healthy_versions.discard("v4")
    done = stage.run_to_end(rollback)
    assert done.outcome is Outcome.SUPERSEDED
    stage.alarms.fire(DEGRADED, stage.clock.now())
    for _ in range(12):
        stage.pass_time(minutes=5)
        janitor.sweep(stage.world)
    assert [given["detail"]["alarmName"] for _, given in stage.workflow.started] == [DEGRADED]


def test_a_superseded_rollback_counts_as_an_attempt_if_it_acted() -> None:
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    team_ships(stage)
    stage.run_to_end(rollback)
    again = stage.run(stage.fire_alarm(DEGRADED), "execution-2")
    assert again.outcome is Outcome.SUPPRESSED
    assert "ended recently" in again.reason


# Deployments that are no newer release of the team


def test_a_deployment_in_flight_when_the_plan_was_made_is_the_one_to_replace() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2")
    stage.begin_deployment("v3")
    done = stage.run()
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")


def test_the_target_deployed_by_the_team_itself_is_adopted() -> None:
    stage = start_simulation()
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    stage.services.deploy(stage.arns["v1"], stage.clock.now())
    done = stage.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.changes() == []


@pytest.mark.parametrize(
    "family", [of(FAMILY, "production", SERVICE) for of in (last_known_good_family, rollback_family)]
)
def test_a_definition_that_a_rollback_registered_is_never_the_teams(family: str) -> None:
    """Such as a late call of a rollback that was taken over."""
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    stage.services.deploy(stage.services.register(definition("v0"), family, "0" * 64), stage.clock.now())
    done = stage.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_rollback_by_cloudformation_is_no_release_of_the_team(status: str) -> None:
    stage = Simulation()
    stage.ship("v0", hours_ago=72)
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2")
    with_stack(stage, "UPDATE_COMPLETE", stage.arns["v2"])
    rollback = stage.run_until(acting(stage, {"type": "emergency"}), Step.VERIFY)
    with_stack(stage, status, stage.arns["v0"])
    stage.services.deploy(stage.arns["v0"], stage.clock.now())
    done = stage.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")


def test_a_newer_release_that_ecs_itself_rolled_back_does_not_stand() -> None:
    stage = start_simulation()
    rollback = acting(stage)
    stage.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": True, "rollback": True}
    stage.services.behaviours[team_ships(stage)] = "crashing"
    stage.healthy_versions.discard("v4")
    done = stage.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")


def test_rule_9_a_call_that_may_still_land_is_waited_for_before_the_newer_release_is_left_alone() -> None:
    stage = start_simulation()
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    rollback = stage.ledger.save(service(rollback, stage.world))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    announced = rollback.service.intent
    team_ships(stage)
    stage.pass_time(seconds=10)
    stage.pass_time(seconds=10)
    stage.services.update(stage.world.settings.services[0], definition_arn=announced.arguments["definition_arn"])
    done = stage.run_to_end(rollback)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.running() == image("v1")


def test_a_rollback_that_takes_over_judges_the_newer_release_itself() -> None:
    """The alarm's state changed before the team deployed, so the newer release may be the fix."""
    stage = start_simulation()
    stage.healthy_versions.clear()
    first = acting(stage)
    outage = stage.fire_alarm(OUTAGE)
    stage.pass_time(seconds=5)
    team_ships(stage)
    stage.healthy_versions.clear()
    stage.pass_time(seconds=5)
    heir = admit(outage, "execution-2", stage.clock.now(), stage.world)
    heir = stage.run_to_end(heir)
    assert heir.supersedes == first.id
    assert heir.outcome is Outcome.SUPPRESSED
    assert "may be the fix" in heir.reason
    assert stage.running() == image("v4")


# With a database


def full(stage: DatabaseSimulation) -> Rollback:
    return stage.admit(FULL)


def test_a_newer_release_before_the_fence_leaves_tasks_and_data_untouched() -> None:
    stage = DatabaseSimulation()
    rollback = stage.run_until(full(stage), Step.DATABASE)
    team_ships(stage)
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert not done.has_fenced
    assert stage.neon.calls == []
    assert stage.rows() == GOOD + BAD
    assert (stage.running(), stage.services.desired_count) == (image("v4"), 2)


def test_a_newer_release_behind_the_fence_is_started_if_the_data_is_untouched() -> None:
    stage = DatabaseSimulation()
    rollback = full(stage)
    while stage.services.desired_count:
        rollback = stage.run_due_step(rollback)
    team_ships(stage)
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert "restore" not in stage.neon.calls
    assert stage.rows() == GOOD + BAD
    assert stage.branch.protected
    assert [branch.name for branch in stage.neon.branches()] == ["main"]
    assert (stage.running(), stage.services.desired_count) == (image("v4"), 2)
    assert stage.pages() == []
    assert "all tasks were stopped meanwhile" in stage.notifications.sent[-1].message
    assert stage.state_of("v2") is ReleaseState.CANDIDATE


def test_a_newer_release_during_the_change_of_data_is_replaced_by_the_target_and_reported() -> None:
    stage = DatabaseSimulation()
    rollback = full(stage)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = stage.run_due_step(rollback)
    team_ships(stage)
    stage.healthy_versions.discard("v4")
    while stage.read(rollback).concluded_at is None:
        rollback = stage.run_due_step(rollback)
        assert stage.running() == image("v1") or stage.services.desired_count == 0, "v4 runs on v1's data"
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.rows() == GOOD
    assert stage.running() == image("v1")
    assert "Replaced meanwhile: " in stage.notifications.sent[-1].message
    assert "was not made for the data that is there now" in stage.notifications.sent[-1].message


def test_a_newer_release_after_the_service_runs_on_its_data_again_is_left_alone() -> None:
    stage = DatabaseSimulation()
    rollback = stage.run_until(full(stage), Step.VERIFY)
    assert stage.services.desired_count == 2
    team_ships(stage)
    done = stage.run_to_end(rollback)

    assert done.outcome is Outcome.SUPERSEDED, done.reason
    assert stage.rows() == GOOD
    assert (stage.running(), stage.services.desired_count) == (image("v4"), 2)
    assert done.left_to_operator() == ()


# Output of the command line and metrics


def test_the_start_of_a_superseded_rollback_exits_with_1() -> None:
    assert Outcome.SUPERSEDED not in _SUCCESS_OUTCOMES


def test_history_and_the_metric_show_a_superseded_rollback(terminal: Any) -> None:  # noqa: F811
    stage = start_simulation()
    rollback = stage.run_until(acting(stage), Step.VERIFY)
    team_ships(stage)
    done = stage.run_to_end(rollback)
    run = terminal(stage)
    assert run("history", "production") == 0
    assert run("show", "production", done.id) == 0
    assert f"Rollback {done.id}: superseded" in run.said
    assert [counted.outcome for counted in stage.metrics.counted] == [Outcome.SUPERSEDED]


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
        ("SUCCESSFUL", "COMPLETED", DeploymentStatus.STANDS),
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
    assert latest_deployment(seen).standing is standing


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
    assert (latest.began_at, latest.standing) == (NOW, DeploymentStatus.FAILED)


@given(seconds=st.integers(min_value=-3600, max_value=3600))
def test_only_a_deployment_that_began_after_the_plan_may_be_newer(seconds: int) -> None:
    latest = latest_deployment(view(deployment(), service_deployment(created_at=NOW)))
    assert may_be_newer(latest, NOW - timedelta(seconds=seconds)) == (seconds > 0)


def test_the_same_definition_forced_once_more_and_not_listed_yet_is_a_deployment_of_its_own() -> None:
    later = NOW + timedelta(minutes=5)
    before = service_deployment(created_at=NOW, finished_at=NOW + timedelta(minutes=2))
    again = deployment(definition_arn=before.target_definition_arn, created_at=later, rollout_state="IN_PROGRESS")
    latest = latest_deployment(view(again, before))
    assert (latest.began_at, latest.standing) == (later, DeploymentStatus.IN_FLIGHT)


def test_a_deployment_that_does_not_settle_in_time_has_failed_and_one_that_stands_has_not() -> None:
    patience, late = timedelta(minutes=15), NOW + timedelta(minutes=16)
    in_flight = latest_deployment(view(deployment(rollout_state="IN_PROGRESS"), service_deployment(status="PENDING")))
    assert expire_in_flight(in_flight, NOW, patience) is DeploymentStatus.IN_FLIGHT
    assert expire_in_flight(in_flight, late, patience) is DeploymentStatus.FAILED
    stands = latest_deployment(view(deployment(), service_deployment()))
    assert expire_in_flight(stands, late, patience) is DeploymentStatus.STANDS
