"""The schedule of observations, and restore points of deployments without a pipeline's checkpoint."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from simulations.fake_ports import ECS_SERVICE_ARN
from simulations.migrations import (
    ADDS,
    BEGAN,
    BRANCH,
    COMPLETED,
    DATABASE,
    DROPS,
    FIRST,
    MAIN,
    MigrationSimulation,
    users,
)
from simulations.service import PROMOTED, Simulation, deployment_event
from support.builders import NOW, SERVICE, definition, rollback

from rollback import handlers
from rollback.database.observation.observe import observe
from rollback.database.observation.schedule import observe_if_due, observe_on_deployment
from rollback.domain.database.progress import OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.database.restore_points import RecordedPoint, find_start_point
from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.names import last_known_good_family
from rollback.operations.checkpoint import checkpoint
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback.resources.database.errors import Unreachable
from rollback.workflow.route import Step


def recorded_points(simulation: Simulation) -> tuple[RecordedPoint, ...]:
    return tuple(simulation.ledger.restore_points(BRANCH))


def simulation_with_deployment_in_flight() -> MigrationSimulation:
    """Return a simulation in which the deployment of v2 has just begun."""
    simulation = MigrationSimulation()
    simulation.pass_time(minutes=5)
    simulation.start_versioned_deployment("v2")
    return simulation


# A deployment


@pytest.mark.parametrize("detail", [None, "x", [], {}, {"eventName": None}, {"eventName": {"a": 1}}])
def test_an_event_of_another_shape_is_refused_without_an_observation(detail: object) -> None:
    simulation = simulation_with_deployment_in_flight()
    with pytest.raises(InvalidRequest, match="not complete"):
        observe_on_deployment({**deployment_event(), "detail": detail}, simulation.ports)


def test_a_deployment_of_another_account_is_refused() -> None:
    simulation = simulation_with_deployment_in_flight()
    simulation.replace(account_and_region=AccountAndRegion("999999999999", "eu-west-1"))
    with pytest.raises(InvalidRequest, match="not in account 999999999999"):
        observe_on_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)


def test_the_beginning_of_a_deployment_records_the_database_s_head_and_clock_for_its_release() -> None:
    simulation = simulation_with_deployment_in_flight()
    simulation.neon.write(MAIN, 1)
    head, _ = simulation.neon.position(MAIN)
    simulation.deliver_event(BEGAN)
    (point,) = recorded_points(simulation)
    assert (point.service, point.version, point.by) == (SERVICE, "v2", "deployment")
    assert point.lsn == head
    assert NOW + timedelta(minutes=5) < point.at < NOW + timedelta(minutes=5, seconds=1)
    assert simulation.observation().observed_at >= NOW + timedelta(minutes=5)
    assert find_start_point(simulation.release("v2"), recorded_points(simulation)) == point


def test_a_repeated_event_records_no_second_restore_point() -> None:
    simulation = simulation_with_deployment_in_flight()
    simulation.deliver_event(BEGAN)
    first_points = recorded_points(simulation)
    simulation.pass_time(seconds=90)
    simulation.deliver_event(BEGAN)
    assert recorded_points(simulation) == first_points


def test_two_concurrent_recordings_keep_one_restore_point() -> None:
    simulation = simulation_with_deployment_in_flight()
    list_points = simulation.ledger.restore_points
    simulation.ledger.restore_points = lambda branch, *, since=None: iter(())  # type: ignore[method-assign]
    observe_on_deployment(BEGAN, simulation.ports)
    observe_on_deployment(BEGAN, simulation.ports)
    assert len(list(list_points(BRANCH))) == 1


def test_an_unreachable_database_raises_so_that_the_retried_event_records_a_late_point() -> None:
    simulation = simulation_with_deployment_in_flight()
    simulation.sql.asleep = 1
    with pytest.raises(Unreachable):
        observe_on_deployment(BEGAN, simulation.ports)
    assert recorded_points(simulation) == ()
    simulation.pass_time(minutes=1)
    observe_on_deployment(BEGAN, simulation.ports)
    (point,) = recorded_points(simulation)
    assert point.at > NOW + timedelta(minutes=6)
    assert point.recorded_at == NOW + timedelta(minutes=5)  # when the deployment began


def test_a_restore_point_recorded_before_a_failed_observation_is_not_recorded_again() -> None:
    simulation = simulation_with_deployment_in_flight()
    describe = simulation.sql.live_schema
    point_lists: list[tuple[RecordedPoint, ...]] = []

    def fail_once(address: Any) -> Any:
        if recorded_points(simulation) and not point_lists:
            point_lists.append(recorded_points(simulation))
            raise Unreachable("gone")
        return describe(address)

    simulation.sql.live_schema = fail_once  # type: ignore[method-assign]
    with pytest.raises(ExternalServiceError):
        observe_on_deployment(BEGAN, simulation.ports)
    simulation.pass_time(minutes=1)
    observe_on_deployment(BEGAN, simulation.ports)
    assert recorded_points(simulation) == point_lists[0]
    assert simulation.observation().observed_at >= NOW + timedelta(minutes=6)


def test_a_release_that_ran_before_gets_no_second_restore_point() -> None:
    """ECS rolls back, or the team deploys v1 again."""
    simulation = simulation_with_deployment_in_flight()
    simulation.deliver_event(BEGAN)
    simulation.pass_time(minutes=5)
    simulation.services.deploy(simulation.arns["v1"])
    assert "v1 ran before" in observe_on_deployment(BEGAN, simulation.ports)[0]
    assert [point.version for point in recorded_points(simulation)] == ["v2"]


def test_two_releases_with_one_version_have_a_restore_point_each() -> None:
    simulation = MigrationSimulation()
    began = []
    for size in ("256", "512"):
        simulation.pass_time(hours=1)
        task_definition = definition("v2", cpu=size)
        task_definition["containerDefinitions"][0]["environment"] = [{"name": "APP_VERSION", "value": "v2"}]
        simulation.services.deploy(simulation.services.register_release(task_definition, "macro-ai-production-task"))
        simulation.deliver_event(BEGAN)
        began.append(simulation.clock.now())
    newer_release, older_release = list(simulation.ledger.releases(SERVICE))[:2]
    for release, at in ((older_release, began[0]), (newer_release, began[1])):
        point = find_start_point(release, recorded_points(simulation))
        assert point is not None
        assert abs(point.at - at) < timedelta(minutes=1)


def test_a_deployment_by_a_rollback_gets_no_restore_point() -> None:
    simulation = MigrationSimulation()
    family = last_known_good_family("macro-ai-production-task", "production", SERVICE)
    simulation.services.deploy(simulation.services.register(definition("v0"), family, "0" * 64))
    assert "was registered by a rollback" in observe_on_deployment(BEGAN, simulation.ports)[0]
    assert recorded_points(simulation) == ()


@pytest.mark.parametrize("leased_name", [SERVICE, BRANCH])
def test_neither_a_restore_point_nor_an_observation_is_recorded_during_a_rollback(leased_name: str) -> None:
    simulation = simulation_with_deployment_in_flight()
    simulation.ledger.acquire(leased_name, "r", simulation.clock.now(), simulation.clock.now() + timedelta(minutes=10))
    assert observe_on_deployment(BEGAN, simulation.ports) == [
        "a rollback is in progress: its deployments are not releases",
        "not observed: a rollback is in progress",
    ]
    assert recorded_points(simulation) == ()
    assert simulation.ledger.observation(BRANCH) is None


def test_the_deployment_of_an_event_is_recorded_although_a_later_deployment_began() -> None:
    simulation = simulation_with_deployment_in_flight()
    v2 = simulation.describe_service().primary.id
    simulation.pass_time(seconds=20)  # its tasks run, and drain once v3 has come
    simulation.start_versioned_deployment("v3")
    event = {**BEGAN, "detail": {**BEGAN["detail"], "deploymentId": v2}}
    observe_on_deployment(event, simulation.ports)
    assert [point.version for point in recorded_points(simulation)] == ["v2"]
    event = {**BEGAN, "detail": {**BEGAN["detail"], "deploymentId": "ecs-svc/gone"}}
    assert "ecs-svc/gone is over already" in observe_on_deployment(event, simulation.ports)[0]
    assert len(recorded_points(simulation)) == 1


def test_a_completed_deployment_is_observed_and_records_no_restore_point() -> None:
    simulation = simulation_with_deployment_in_flight()
    now = simulation.clock.now()
    simulation.deliver_event(COMPLETED)
    assert recorded_points(simulation) == ()
    assert simulation.observation().observed_at == now


def test_a_service_that_does_not_write_to_the_branch_is_not_observed() -> None:
    simulation = MigrationSimulation()
    service_settings = simulation.service_settings
    worker_settings = service_settings.model_copy(update={"name": "worker", "ecs_service": "worker"})
    settings = simulation.ports.settings.model_copy(
        update={
            "services": (service_settings, worker_settings),
            "database": DATABASE.model_copy(update={"writers": ("worker",)}),
        }
    )
    simulation.replace(settings=settings)
    assert "writes to no branch" in observe_on_deployment(BEGAN, simulation.ports)[0]
    assert (recorded_points(simulation), simulation.ledger.observation(BRANCH)) == ((), None)


# Now and then


def is_due(simulation: MigrationSimulation) -> bool:
    observation = simulation.ledger.observation(BRANCH)
    observe_if_due(simulation.ports)
    return simulation.ledger.observation(BRANCH) != observation


def test_the_schedule_observes_once_an_hour_because_each_observation_wakes_the_compute() -> None:
    simulation = MigrationSimulation()
    assert is_due(simulation)
    for _ in range(11):
        simulation.pass_time(minutes=5)
        assert not is_due(simulation)
    simulation.pass_time(minutes=5)
    assert is_due(simulation)


def test_neither_neon_nor_postgres_is_called_between_observations() -> None:
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    simulation.replace(neon=None, sql=None)
    assert observe_if_due(simulation.ports) == ["observed on 2026-03-01 03:00 UTC: not due"]


def test_a_new_deployment_is_observed_at_once_and_until_the_completion() -> None:
    """The event of the deployment may be lost, or its tasks migrate when they start."""
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    simulation.start_versioned_deployment("v2")
    simulation.pass_time(seconds=20)
    assert is_due(simulation)
    simulation.clock.pass_time(seconds=20)
    assert is_due(simulation)
    for _ in range(3):
        simulation.pass_time(seconds=20)
    assert simulation.describe_service().primary.rollout_state == "COMPLETED"
    assert not is_due(simulation)


def test_a_checkpoint_of_a_breaking_migration_makes_observations_due_until_its_pipeline_has_migrated() -> None:
    """A pipeline makes its checkpoint, migrates, then deploys. In between, the observation's verdicts may be old."""
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    checkpoint(SERVICE, "v2", (FIRST, DROPS), simulation.ports)
    simulation.pass_time(minutes=1)
    assert is_due(simulation)
    simulation.pass_time(minutes=10)
    assert is_due(simulation)
    simulation.pass_time(minutes=5)
    assert not is_due(simulation)  # it was seen since then that nothing was applied: the pipeline has failed


def test_a_checkpoint_of_additive_migrations_makes_no_observation_due() -> None:
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    checkpoint(SERVICE, "v2", (FIRST, ADDS), simulation.ports)
    simulation.pass_time(minutes=1)
    assert not is_due(simulation)


def test_a_database_changed_by_a_rollback_is_observed_at_once() -> None:
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    now = simulation.clock.now()
    progress = RestoreProgress(
        point=RestorePoint(at=now),
        started_at=now,
        before=OriginalBranch(name="main", protected=False),
        data_change_announced_at=now,
    )
    stored = simulation.ledger.create(rollback())
    simulation.ledger.save(
        stored.evolve(database=progress, admitted_at=now, outcome=Outcome.SUCCEEDED, concluded_at=now)
    )
    simulation.pass_time(minutes=1)
    assert is_due(simulation)
    simulation.pass_time(minutes=1)
    assert not is_due(simulation)


# The function


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> MigrationSimulation:
    simulation = simulation_with_deployment_in_flight()
    monkeypatch.setattr("rollback.functions.database._ports", lambda: simulation.ports)
    return simulation


def test_the_database_function_takes_events_as_eventbridge_sends_them(simulation: MigrationSimulation) -> None:
    began = handlers.database(BEGAN, None)["done"]
    assert began[0].startswith("restore point before v2: 0/")
    simulation.pass_time(minutes=1)
    assert handlers.database(COMPLETED, None) == {"done": ["observed the database at 03:06:00 UTC"]}
    scheduled = {"detail-type": "Scheduled Event", "detail": {}, "resources": ["arn:aws:events:r:a:rule/janitor"]}
    simulation.pass_time(hours=2)
    assert handlers.database(scheduled, None) == {"done": ["observed the database at 05:06:00 UTC"]}


def test_the_database_function_runs_its_step_of_a_rollback(simulation: MigrationSimulation) -> None:
    rollback = simulation.admit({})
    cursor = handlers.database({"step": Step.DATABASE.value, "cursor": {"rollback_id": rollback.id}}, None)
    assert (cursor["rollback_id"], cursor["next"]) == (rollback.id, "plan")  # not due: it only says where to go on


@pytest.mark.parametrize(
    "event",
    [
        {"detail-type": "CloudWatch Alarm State Change", "detail": {}},
        {"step": "service", "cursor": {}},
        {},
        deployment_event("SERVICE_DEPLOYMENT_FAILED"),
        {**BEGAN, "resources": []},
        {**BEGAN, "resources": [ECS_SERVICE_ARN.replace("macro-ai", "other")]},
    ],
)
def test_the_database_function_refuses_a_foreign_event_and_changes_nothing(
    simulation: MigrationSimulation, event: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        handlers.database(event, None)
    assert (recorded_points(simulation), simulation.ledger.observation(BRANCH)) == ((), None)


def test_an_environment_without_a_database_makes_no_observation() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    ports = replace(simulation.ports, neon=None, sql=None)  # type: ignore[arg-type]
    assert observe_if_due(ports) == ["no branch is observed ahead of need"]
    assert "writes to no branch" in observe_on_deployment(COMPLETED, ports)[0]


def test_a_pipeline_s_checkpoint_precedes_the_deployment_s_restore_point() -> None:
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.deploy_release("v2", users("id", "name", "mail"), FIRST, ADDS)
    began = find_start_point(simulation.release("v2"), recorded_points(simulation))
    assert began is not None
    assert {point.by for point in recorded_points(simulation)} == {"checkpoint", "deployment"}
    assert (began.by, began.shipped) == ("checkpoint", (FIRST, ADDS))
