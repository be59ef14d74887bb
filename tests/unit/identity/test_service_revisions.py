"""A service revision identifies the running release: moving tags, recorded digests, failed deployments, stability."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.images import FakeImages
from faults.scenarios.down_migrations import DownMigrationsScenario
from simulations.service import (
    CANDIDATE,
    FAMILY,
    PROMOTED,
    QUARANTINED,
    Simulation,
    alarm_event,
    deployment_event,
    start_simulation,
)
from support.builders import NOW, SERVICE, definition, release

from rollback.check import Verdict
from rollback.database.down_migrations.reconciler import run_down_migrations
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.guards.failed_deployment import find_revision_to_replace
from rollback.identity.identify import identify_release, is_registered_by_rollback
from rollback.identity.task_definition import ensure_registered_definition
from rollback.names import RELEASE_TAG, last_known_good_family, original_family
from rollback.promotion.promote import NextState, adopt_running_releases, promote, record_running
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import Deployment, ServiceDeployment, ServiceRevision, ServiceView

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/macro-ai-express-api"
GOOD, BAD = "sha256:" + "a" * 64, "sha256:" + "b" * 64
LATEST = f"{REPOSITORY}:latest"


def register_with_moving_tag(simulation: Simulation, digest: str = GOOD, **members: Any) -> str:
    """Register a definition with a moving tag, and push this digest under the tag."""
    task_definition = definition("x")
    task_definition["containerDefinitions"][0] |= {"image": LATEST, **members}
    simulation.images.push(LATEST, digest)
    simulation.arns["x"] = simulation.services.register_release(task_definition, FAMILY)
    return simulation.arns["x"]


def simulation_on_latest(**parts: Any) -> Simulation:
    """Build a simulation whose good digest has run for two days under a moving tag."""
    simulation = Simulation(**parts)
    simulation.alarms.in_alarm.clear()
    simulation.services.run(register_with_moving_tag(simulation), desired_count=2, created_at=NOW - timedelta(hours=48))
    return simulation


def bake(simulation: Simulation) -> None:
    """Pass ninety minutes with traffic and the janitor's sweeps."""
    for _ in range(18):
        for _ in range(5):
            simulation.pass_time(minutes=1)
            simulation.alarms.serve(simulation.services.target_groups[0], 200, simulation.clock.now())
        adopt_running_releases(simulation.ports)


def states(simulation: Simulation) -> dict[str, ReleaseState]:
    return {r.images["api"].rpartition("@")[2]: r.state for r in simulation.ledger.releases(SERVICE)}


# One definition, several revisions


def test_a_forced_deployment_with_another_digest_is_another_release() -> None:
    simulation = simulation_on_latest()
    bake(simulation)
    simulation.images.push(LATEST, BAD)
    simulation.services.deploy(simulation.arns["x"])
    simulation.pass_time(seconds=30)
    simulation.pass_time(seconds=30)
    record_running(SERVICE, simulation.ports)
    assert states(simulation) == {GOOD: PROMOTED, BAD: CANDIDATE}


def test_a_bad_digest_is_rolled_back_to_the_good_digest_under_the_same_tag() -> None:
    simulation = simulation_on_latest()
    bake(simulation)
    simulation.images.push(LATEST, BAD)
    simulation.services.deploy(simulation.arns["x"])
    simulation.pass_time(seconds=30)
    simulation.pass_time(seconds=30)
    rollback = simulation.run(simulation.fire_alarm("macro-ai-production-express-api-degraded"))
    assert rollback.plan is not None
    assert rollback.plan.target is not None
    assert rollback.plan.running.images["api"].endswith(BAD)
    assert rollback.plan.target.images["api"].endswith(GOOD)
    assert simulation.running().endswith(GOOD)


def test_the_digest_of_a_forced_deployment_is_not_known_while_ecs_s_answers_disagree() -> None:
    """PRIMARY is COMPLETED, and the newest service deployment is still in flight: one of the two is old."""
    simulation = simulation_on_latest()
    bake(simulation)
    simulation.images.push(LATEST, BAD)
    simulation.services.deploy(simulation.arns["x"])
    simulation.services._deployments[0].rollout_state = "COMPLETED"
    cursor = record_running(SERVICE, simulation.ports)
    assert cursor.next is NextState.DONE
    assert "the digest of api is not known" in cursor.summary
    assert states(simulation) == {GOOD: PROMOTED}


def simulation_after_rollback_by_ecs(mode: str) -> Simulation:
    """Force a deployment of a bad digest, until ECS has rolled back to the former revision of the same definition."""
    simulation = simulation_on_latest(policy=Policy.model_validate({"mode": mode}))
    bake(simulation)
    simulation.images.push(LATEST, BAD)
    simulation.services.behaviours[simulation.arns["x"]] = "crashing"
    simulation.services.deploy(simulation.arns["x"])
    for _ in range(8):
        simulation.pass_time(seconds=30)
        if simulation.services._service_deployments[0].rollback_revision is not None:
            simulation.services.behaviours[simulation.arns["x"]] = "healthy"  # the former digest
    assert simulation.services._service_deployments[0].status == "ROLLBACK_SUCCESSFUL"
    return simulation


@pytest.mark.parametrize("mode", ["observe", "act"])
@pytest.mark.parametrize("is_event_lost", [False, True])
def test_a_release_that_ecs_rolled_back_is_neither_baked_nor_promoted(mode: str, is_event_lost: bool) -> None:
    simulation = simulation_after_rollback_by_ecs(mode)
    service = simulation.service_settings
    view = simulation.services.describe(service)
    assert identify_release(view.primary.deployed, view, service, simulation.ports).release.images["api"].endswith(GOOD)
    if not is_event_lost:
        rollback = simulation.run({**deployment_event(), "time": simulation.clock.now().isoformat()})
        assert rollback.plan is not None
        assert rollback.plan.running.images["api"].endswith(BAD)
    bake(simulation)
    assert states(simulation).get(GOOD) is PROMOTED
    assert states(simulation).get(BAD) is not PROMOTED


# Recorded digests


def test_a_digest_that_the_revision_lacks_comes_from_running_tasks_and_not_from_today_s_tag() -> None:
    simulation = Simulation()
    simulation.alarms.in_alarm.clear()
    simulation.services.resolves_images = False
    simulation.services.run(
        register_with_moving_tag(simulation, versionConsistency="disabled"), created_at=NOW - timedelta(hours=48)
    )
    simulation.images.push(LATEST, BAD)  # since
    record_running(SERVICE, simulation.ports)
    assert states(simulation) == {GOOD: CANDIDATE}


def test_a_release_without_a_known_digest_is_not_recorded_and_readiness_names_the_fix() -> None:
    simulation = Simulation()
    simulation.services.resolves_images = False
    arn = register_with_moving_tag(simulation)
    simulation.services.run(arn, created_at=NOW - timedelta(hours=48))
    simulation.services._deployments[0].running = 0
    cursor = record_running(SERVICE, simulation.ports)
    assert cursor.next is NextState.DONE
    assert "by digest, or set the container's versionConsistency to enabled" in cursor.summary
    assert states(simulation) == {}
    check = next(
        c for c in prepare_standing_plan(SERVICE, simulation.ports).readiness if c.name == "running-release-is-known"
    )
    assert check.verdict is Verdict.WARN
    assert "api" in check.reason


def test_an_unresolved_sidecar_blocks_no_promotion_and_is_reported() -> None:
    simulation = Simulation(policy=Policy(bake_minimum_requests=0))
    simulation.alarms.in_alarm.clear()
    task_definition = definition("v1")
    task_definition["containerDefinitions"].append(
        {"name": "proxy", "image": "elsewhere.example/proxy:1", "essential": False}
    )
    simulation.arns["v1"] = simulation.services.register_release(task_definition, FAMILY)
    simulation.services.run(simulation.arns["v1"], created_at=NOW - timedelta(hours=48))
    assert "the digest of proxy is not known" in record_running(SERVICE, simulation.ports).summary
    bake(simulation)
    (recorded_release,) = simulation.ledger.releases(SERVICE)
    assert recorded_release.state is PROMOTED
    assert recorded_release.images["proxy"] == "elsewhere.example/proxy:1"
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert [t.definition_arn.rsplit("/")[-1] for t in plan.targets] == [
        f"{last_known_good_family(FAMILY, 'production', SERVICE)}:1"
    ]
    check = next(c for c in plan.readiness if c.name == "image-exists")
    assert (check.verdict, "proxy" in check.reason) == (Verdict.WARN, True)


# Ledgers of former versions


def test_a_release_proven_under_its_former_fingerprint_is_not_rolled_back_to_itself() -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48, fingerprint="f" * 64)
    rollback = simulation.run(alarm_event())
    assert rollback.outcome is Outcome.SUPPRESSED
    assert rollback.plan is not None
    assert rollback.plan.running.fingerprint == "f" * 64
    assert simulation.changes() == []
    adopt_running_releases(simulation.ports)
    assert [(r.version, r.state) for r in simulation.ledger.releases(SERVICE)] == [("v1", PROMOTED), ("v0", PROMOTED)]


def test_a_member_that_ecs_begins_to_report_changes_no_fingerprint() -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    for task_definition in simulation.services._definitions.values():
        task_definition |= {"enableFaultInjection": False, "ofTomorrow": "on"}
    assert simulation.run(alarm_event()).outcome is Outcome.SUPPRESSED
    assert simulation.changes() == []


# The failed deployment's own id


def view(primary: Deployment, newest: ServiceDeployment | None, *others: Deployment) -> ServiceView:
    revisions = {"r/1": ServiceRevision(definition_arn="d/1"), "r/2": ServiceRevision(definition_arn="d/1")}
    counts = {"desired_count": 2, "running_count": 2, "pending_count": 0}
    return ServiceView(
        arn="s",
        deployments=(primary, *others),
        newest=newest,
        deployment_configuration={},
        revisions=revisions,
        **counts,
    )


def deployment(number: int, **changes: Any) -> Deployment:
    fields = {"id": f"ecs-svc/{number}", "is_primary": True, "definition_arn": f"d/{number}", "created_at": NOW}
    return Deployment.model_validate({**fields, "rollout_state": "IN_PROGRESS", "running_count": 2, **changes})


def service_deployment(status: str, target: str = "d/2") -> ServiceDeployment:
    return ServiceDeployment(
        arn="sd", status=status, target_definition_arn=target, source_definition_arn="d/1", created_at=NOW
    )


SINCE = NOW - timedelta(hours=1)
IN_PROGRESS = service_deployment("IN_PROGRESS")


@pytest.mark.parametrize(
    ("service_view", "failed_id", "by_operator", "expected_arn"),
    [
        # ECS has rolled back, but DescribeServiceDeployments says IN_PROGRESS still: PRIMARY is the good one
        (view(deployment(1), IN_PROGRESS), "ecs-svc/2", False, "d/2"),
        (view(deployment(1), IN_PROGRESS, deployment(2, is_primary=False)), "ecs-svc/2", False, "d/2"),
        # no rollback by ECS: the failed deployment is PRIMARY
        (view(deployment(2, rollout_state="FAILED"), IN_PROGRESS), "ecs-svc/2", False, "d/2"),
        # it failed, and another deployment is listed as the newest by now
        (
            view(deployment(3), service_deployment("IN_PROGRESS", "d/3"), deployment(2, is_primary=False)),
            "ecs-svc/2",
            False,
            "d/2",
        ),
        # ECS lists no service deployment
        (view(deployment(1), None, deployment(2, is_primary=False, rollout_state="FAILED")), "ecs-svc/2", False, "d/2"),
        # no event names a deployment
        (view(deployment(2), IN_PROGRESS), None, False, "d/2"),
        (view(deployment(1), service_deployment("ROLLBACK_IN_PROGRESS")), None, False, "d/2"),
        (view(deployment(1), service_deployment("ROLLBACK_SUCCESSFUL")), None, False, "d/2"),
        (view(deployment(1), service_deployment("ROLLBACK_SUCCESSFUL")), None, True, "d/1"),
        # one definition, and PRIMARY's revision is unknown: the deployment in flight is the last change
        (view(deployment(1), service_deployment("IN_PROGRESS", "d/9")), None, False, "d/9"),
    ],
)
def test_the_failed_revision_is_replaced_and_never_the_revision_that_ecs_rolled_back_to(
    service_view: ServiceView, failed_id: str | None, by_operator: bool, expected_arn: str
) -> None:
    assert (
        find_revision_to_replace(service_view, failed_id=failed_id, by_operator=by_operator, since=SINCE).definition_arn
        == expected_arn
    )


def test_a_failure_that_service_deployments_do_not_show_yet_is_attributed_to_the_failed_release() -> None:
    simulation = start_simulation()
    simulation.begin_deployment("v3", "crashing")
    failed = simulation.services._deployments[0].id
    for _ in range(4):
        simulation.pass_time(seconds=30)
    newest = simulation.services._service_deployments[0]
    assert newest.rollback_revision is not None
    newest.status, newest.rollback_revision, newest.finished_at = (
        "IN_PROGRESS",
        None,
        None,
    )  # the other answer of ECS is late
    event = deployment_event()
    event["time"] = simulation.clock.now().isoformat()
    event["detail"]["deploymentId"] = failed
    simulation.services.tick()
    rollback = simulation.admit(event)
    concluded_rollback = simulation.run_to_end(rollback)
    assert concluded_rollback.plan is not None
    assert concluded_rollback.plan.running.definition_arn == simulation.arns["v3"]
    assert simulation.state_of("v2") is not QUARANTINED


# COMPLETED is not stable


def test_a_bake_begins_with_a_stable_deployment_and_not_with_a_completed_deployment() -> None:
    """Early success criteria with DEFERRED clean-up: COMPLETED while tasks of the former revision run on."""
    simulation = start_simulation()
    simulation.alarms.in_alarm.clear()
    simulation.begin_deployment("v3")
    simulation.services.tick()
    older_deployment = simulation.services._deployments[1]
    simulation.services._complete()
    simulation.services._deployments.append(older_deployment)
    cursor = record_running(SERVICE, simulation.ports)
    assert (cursor.next, "an older deployment still has tasks" in cursor.summary) == (NextState.DONE, True)
    assert simulation.ledger.bake(SERVICE) is None
    older_deployment.running = 0
    simulation.services._deployments.remove(older_deployment)
    assert record_running(SERVICE, simulation.ports).next is NextState.WAIT


def test_former_tasks_that_only_current_service_revisions_list_count_as_running() -> None:
    completed_view = view(deployment(1, rollout_state="COMPLETED"), None)
    assert completed_view.why_not_stable == ()
    view_with_older_tasks = completed_view.model_copy(update={"current_revisions": {"r/1": 2, "r/2": 1}})
    assert view_with_older_tasks.why_not_stable == ("an older deployment still has tasks",)


# Tags and families


def test_a_rollback_s_registration_keeps_the_team_s_tags() -> None:
    simulation = Simulation()
    team_tags = {"team": "web", "aws:cloudformation:stack-name": "web"}
    task_definition = definition("v1")
    arn = simulation.services.register_release(task_definition, FAMILY, team_tags)
    simulation.services.required_tag = "team"
    registered_arn = ensure_registered_definition(
        record_release(simulation, arn), simulation.ports, is_last_known_good=True
    )
    registered_definition = simulation.services.definition(registered_arn)
    assert registered_definition is not None
    assert {tag["key"] for tag in registered_definition["tags"]} == {"team", RELEASE_TAG}


def record_release(simulation: Simulation, arn: str) -> Release:
    stored_release = release("v1", definition_arn=arn)
    simulation.services.run(arn, desired_count=2, created_at=NOW - timedelta(hours=48))
    service = simulation.service_settings
    service_view = simulation.services.describe(service)
    simulation.ledger.record(
        stored_release,
        identify_release(service_view.primary.deployed, service_view, service, simulation.ports).definition,
    )
    return stored_release


@pytest.mark.parametrize("family", ["web-rollback", "web-last-known-good"])
def test_a_team_s_family_with_a_suffix_of_rollback_families_stays_the_team_s_family(family: str) -> None:
    simulation = Simulation()
    simulation.alarms.in_alarm.clear()
    arn = simulation.services.register_release(definition("v1"), family)
    simulation.services.run(arn, desired_count=2, created_at=NOW - timedelta(hours=48))
    assert not is_registered_by_rollback(arn, simulation.ports)
    assert record_running(SERVICE, simulation.ports).next is NextState.WAIT
    (recorded_release,) = simulation.ledger.releases(SERVICE)
    promote(recorded_release, "by an operator", simulation.ports)
    standing_plan = simulation.ledger.standing_plan(SERVICE)
    assert standing_plan is not None
    (target,) = standing_plan.targets
    assert target.definition_arn.rsplit("/")[-1] == f"{last_known_good_family(family, 'production', SERVICE)}:1"
    assert is_registered_by_rollback(target.definition_arn, simulation.ports)


def test_only_one_suffix_is_removed_from_a_rollback_s_family() -> None:
    assert original_family("web-rollback-last-known-good") == "web-rollback"
    assert original_family("web-rollback") == "web"


# Describe, modify, write


def test_deployment_configuration_members_that_are_not_sent_stay_unchanged() -> None:
    simulation = start_simulation()
    breaker = {"enable": True, "rollback": True, "ofTomorrow": {"count": 3}}
    simulation.services.deployment_configuration |= {"deploymentCircuitBreaker": breaker, "ofTomorrow": 1}
    original_configuration = dict(simulation.services.deployment_configuration)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.services.deployment_configuration == original_configuration
    configurations = [
        arguments["deployment_configuration"]
        for name, arguments in simulation.services.calls
        if "deployment_configuration" in arguments
    ]
    assert configurations
    assert all(configuration.keys() == {"deploymentCircuitBreaker"} for configuration in configurations)


def test_down_migrations_do_not_run_with_an_image_that_the_tag_was_moved_to() -> None:
    """RunTask pulls the image that the tag means when the task starts."""
    scenario = DownMigrationsScenario()
    scenario.writers.services[SERVICE]._definitions[scenario.definition_arn]["containerDefinitions"][0]["image"] = (
        LATEST
    )
    images = FakeImages()
    images.push(LATEST, BAD)
    ports = replace(scenario.ports, images=images)
    rollback = run_down_migrations(scenario.document, scenario.plan, scenario.context, ports)
    assert rollback.database is not None
    assert rollback.database.database_outcome is DatabaseOutcome.REFUSED
    assert "a task would run another image" in (rollback.database.why_not or "")
