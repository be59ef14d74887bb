"""Readiness checks that the alarms watch this service and no other service."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.alarms import TARGET_GROUP
from faults.scenarios.database_endings import raise_error
from simulations.fake_ports import SETTINGS
from simulations.service import PROMOTED, Simulation, start_simulation
from support.builders import SERVICE

from rollback.check import Check, Verdict
from rollback.errors import ExternalServiceError
from rollback.names import leaf_alarm
from rollback.promotion.readiness import prepare_standing_plan

NO_HEALTHY = leaf_alarm(SETTINGS.prefix, SERVICE, "no-healthy-targets")


def check(simulation: Simulation, name: str) -> Check:
    return next(result for result in prepare_standing_plan(SERVICE, simulation.ports).readiness if result.name == name)


def add_service_to_load_balancer(simulation: Simulation, is_shared: bool | None) -> Simulation:
    simulation.ports.target_groups.others = (TARGET_GROUP.replace("express-api", "blog"),)  # type: ignore[attr-defined]
    service = simulation.service_settings.model_copy(update={"load_balancer_shared": is_shared})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    return simulation


def test_an_alarm_without_data_beside_running_tasks_is_a_warning() -> None:
    simulation = start_simulation()
    assert check(simulation, "alarms-have-data").verdict is Verdict.PASS
    simulation.alarms.last_data[NO_HEALTHY] = simulation.clock.now() - timedelta(hours=2)
    result = check(simulation, "alarms-have-data")
    assert result.verdict is Verdict.WARN
    assert f"{NO_HEALTHY} can't detect an outage" in result.reason
    assert "targetgroup/express-api" in result.reason


def test_missing_data_of_a_service_without_tasks_is_no_warning() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.services.desired_count = 0
    for _ in range(3):
        simulation.pass_time(seconds=10)
    simulation.alarms.last_data[NO_HEALTHY] = simulation.clock.now() - timedelta(hours=2)
    assert check(simulation, "alarms-have-data").verdict is Verdict.SKIPPED


@pytest.mark.parametrize("is_shared", [None, False])
def test_another_service_on_an_exclusive_load_balancer_is_a_warning(is_shared: bool | None) -> None:
    result = check(add_service_to_load_balancer(start_simulation(), is_shared), "load-balancer-is-exclusive")
    assert result.verdict is Verdict.WARN
    assert "targetgroup/blog" in result.reason
    assert "set load_balancer_shared to true" in result.reason


def test_a_load_balancer_that_is_set_as_shared_is_no_warning() -> None:
    assert (
        check(add_service_to_load_balancer(start_simulation(), True), "load-balancer-is-exclusive").verdict
        is Verdict.SKIPPED
    )


def test_a_load_balancer_that_is_wrongly_set_as_shared_is_a_warning() -> None:
    """Shared is the default for an existing service; the load balancer answers 504 for a target that hangs."""
    simulation = add_service_to_load_balancer(start_simulation(), True)
    simulation.ports.target_groups.others = ()  # type: ignore[attr-defined]
    result = check(simulation, "load-balancer-is-exclusive")
    assert result.verdict is Verdict.WARN
    assert "set load_balancer_shared to false" in result.reason


def test_a_shared_load_balancer_that_does_not_answer_is_no_warning() -> None:
    simulation = add_service_to_load_balancer(start_simulation(), True)
    simulation.ports.target_groups.sibling_target_groups = raise_error(ExternalServiceError("no answer"))  # type: ignore[method-assign]
    assert check(simulation, "load-balancer-is-exclusive").verdict is Verdict.SKIPPED


def test_an_exclusive_load_balancer_passes_the_check() -> None:
    assert check(start_simulation(), "load-balancer-is-exclusive").verdict is Verdict.PASS


def test_cloudwatch_or_elb_without_an_answer_is_a_warning_and_the_plan_is_stored() -> None:
    simulation = start_simulation()
    unavailable: Any = raise_error(ExternalServiceError("no answer"))
    simulation.alarms.without_data = unavailable  # type: ignore[method-assign]
    simulation.ports.target_groups.sibling_target_groups = unavailable  # type: ignore[method-assign]
    for name in ("alarms-have-data", "load-balancer-is-exclusive"):
        assert check(simulation, name).verdict is Verdict.WARN
    assert prepare_standing_plan(SERVICE, simulation.ports).is_ready
