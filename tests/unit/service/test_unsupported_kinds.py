"""Daemons and services of other controllers: refused everywhere with what to do, and nothing is changed."""

import json
from collections.abc import Callable

import pytest
from simulations.fake_ports import DEGRADED
from simulations.migrations import MigrationSimulation
from simulations.service import Simulation, deployment_event, start_simulation
from support.builders import SERVICE

from rollback.check import Verdict
from rollback.domain.rollback import Outcome
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, UnsupportedService
from rollback.operations.checkpoint import checkpoint
from rollback.promotion.promote import NextState, adopt_running_releases, promote_by_operator, record_deployment
from rollback.promotion.readiness import prepare_standing_plan


def is_daemon(simulation: Simulation) -> None:
    simulation.services.scheduling_strategy = "DAEMON"


def is_of_code_deploy(simulation: Simulation) -> None:
    simulation.services.controller = "CODE_DEPLOY"


def is_external(simulation: Simulation) -> None:
    simulation.services.controller = "EXTERNAL"


def is_blue_green(simulation: Simulation) -> None:
    simulation.services.deployment_configuration["strategy"] = "BLUE_GREEN"


KINDS = pytest.mark.parametrize(
    ("becomes", "remedy"),
    [
        (is_daemon, "remove the service from the settings"),
        (is_of_code_deploy, "aws deploy stop-deployment --auto-rollback-enabled"),
        (is_external, "roll back with the controller that owns its task sets"),
        (is_blue_green, "aws ecs stop-service-deployment --stop-type ROLLBACK"),
    ],
)
Becomes = Callable[[Simulation], None]


def standing_plan(simulation: Simulation) -> StandingPlan:
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    return plan


@KINDS
def test_readiness_fails_with_what_to_do_and_keeps_the_targets(becomes: Becomes, remedy: str) -> None:
    simulation = start_simulation()
    targets = prepare_standing_plan(SERVICE, simulation.ports).targets
    becomes(simulation)
    prepare_standing_plan(SERVICE, simulation.ports)
    plan = standing_plan(simulation)
    (check,) = plan.readiness
    assert (check.name, check.verdict, plan.is_ready) == ("service-is-supported", Verdict.FAIL, False)
    assert remedy in check.reason
    assert plan.targets == targets


@KINDS
def test_a_rollback_is_refused_pages_and_changes_nothing(becomes: Becomes, remedy: str) -> None:
    simulation = start_simulation()
    becomes(simulation)
    rollback = simulation.run_alarm_rollback(DEGRADED)
    assert rollback.outcome is Outcome.REFUSED
    assert remedy in rollback.reason
    assert simulation.changes() == []
    (page,) = simulation.pages()
    assert remedy in json.dumps(page)
    assert simulation.check(rollback, "service-is-supported").verdict is Verdict.FAIL


@KINDS
def test_an_emergency_is_refused_and_changes_nothing(becomes: Becomes, remedy: str) -> None:
    simulation = start_simulation()
    becomes(simulation)
    rollback = simulation.run({"type": "emergency", "reason": "try", "requested_by": "ada"})
    assert rollback.outcome is Outcome.REFUSED
    assert remedy in rollback.reason
    assert simulation.changes() == []


@KINDS
def test_no_release_is_recorded_and_the_hourly_run_goes_on(becomes: Becomes, remedy: str) -> None:
    simulation = start_simulation()
    becomes(simulation)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    assert cursor.next is NextState.DONE
    assert remedy in cursor.summary
    (cursor,) = adopt_running_releases(simulation.ports)
    assert remedy in cursor.summary
    assert standing_plan(simulation).readiness[0].name == "service-is-supported"


@KINDS
def test_an_operator_can_not_promote_the_running_release(becomes: Becomes, remedy: str) -> None:
    simulation = start_simulation()
    becomes(simulation)
    with pytest.raises(UnsupportedService, match=remedy):
        promote_by_operator(SERVICE, None, "ada", simulation.ports)


@KINDS
def test_a_checkpoint_is_refused_and_nothing_is_recorded(becomes: Becomes, remedy: str) -> None:
    simulation = MigrationSimulation()
    becomes(simulation)
    with pytest.raises(InvalidRequest, match=f"{remedy}.*nothing was recorded"):
        checkpoint(SERVICE, "v2", None, simulation.ports)


@pytest.mark.parametrize(
    "failure",
    [
        UnsupportedService("ECS has no service c/s (MISSING)"),
        CallRefused("no permission"),
        ExternalServiceError("down"),
    ],
    ids=["before the first deployment", "no permission", "ECS does not answer"],
)
def test_a_checkpoint_says_that_the_service_was_not_looked_at(failure: Exception) -> None:
    simulation = MigrationSimulation()

    def describe(_: object) -> None:
        raise failure

    simulation.services.describe = describe  # type: ignore[assignment,method-assign]
    assert checkpoint(SERVICE, "v2", None, simulation.ports).why_not_examined == str(failure)
