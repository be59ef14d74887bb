"""Ahead of need: whether the alarms watch this service, and this service only."""

from datetime import timedelta
from typing import Any

import pytest
from builders import SERVICE
from fakes import TARGET_GROUP
from faults.database_endings import raise_error
from simulation import PROMOTED, Simulation, start_simulation
from worlds import SETTINGS

from rollback.check import Check, Verdict
from rollback.errors import ExternalServiceError
from rollback.names import leaf_alarm
from rollback.promotion.readiness import prepare_standing_plan

NO_HEALTHY = leaf_alarm(SETTINGS.prefix, SERVICE, "no-healthy-targets")


def check(stage: Simulation, name: str) -> Check:
    return next(found for found in prepare_standing_plan(SERVICE, stage.world).readiness if found.name == name)


def shared(stage: Simulation, declared: bool | None) -> Simulation:
    stage.world.targets.others = (TARGET_GROUP.replace("express-api", "blog"),)  # type: ignore[attr-defined]
    service = stage.world.settings.services[0].model_copy(update={"load_balancer_shared": declared})
    stage.replace(settings=stage.world.settings.model_copy(update={"services": (service,)}))
    return stage


def test_an_alarm_that_sees_no_data_beside_running_tasks_watches_nothing() -> None:
    stage = start_simulation()
    assert check(stage, "alarms-have-data").verdict is Verdict.PASS
    stage.alarms.last_data[NO_HEALTHY] = stage.clock.now() - timedelta(hours=2)
    found = check(stage, "alarms-have-data")
    assert found.verdict is Verdict.WARN
    assert f"{NO_HEALTHY} is not watching" in found.reason
    assert "targetgroup/express-api" in found.reason


def test_silence_of_a_service_without_tasks_says_nothing() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.services.desired_count = 0
    for _ in range(3):
        stage.pass_time(seconds=10)
    stage.alarms.last_data[NO_HEALTHY] = stage.clock.now() - timedelta(hours=2)
    assert check(stage, "alarms-have-data").verdict is Verdict.SKIPPED


@pytest.mark.parametrize("declared", [None, False])
def test_a_neighbour_on_a_balancer_that_counts_as_the_services_own_is_told(declared: bool | None) -> None:
    found = check(shared(start_simulation(), declared), "load-balancer-is-its-own")
    assert found.verdict is Verdict.WARN
    assert "targetgroup/blog" in found.reason
    assert "set load_balancer_shared to true" in found.reason


def test_a_balancer_that_is_known_to_be_shared_needs_no_warning() -> None:
    assert check(shared(start_simulation(), True), "load-balancer-is-its-own").verdict is Verdict.SKIPPED


def test_a_balancer_that_counts_as_shared_but_is_not_leaves_its_own_errors_unseen() -> None:
    """Shared is the default for a service that others made; a target that hangs is a 504 of the balancer's own."""
    stage = shared(start_simulation(), True)
    stage.world.targets.others = ()  # type: ignore[attr-defined]
    found = check(stage, "load-balancer-is-its-own")
    assert found.verdict is Verdict.WARN
    assert "set load_balancer_shared to false" in found.reason


def test_a_shared_balancer_that_does_not_answer_needs_no_warning() -> None:
    stage = shared(start_simulation(), True)
    stage.world.targets.sibling_target_groups = raise_error(ExternalServiceError("no answer"))  # type: ignore[method-assign]
    assert check(stage, "load-balancer-is-its-own").verdict is Verdict.SKIPPED


def test_a_balancer_of_its_own_is_said_to_be_so() -> None:
    assert check(start_simulation(), "load-balancer-is-its-own").verdict is Verdict.PASS


def test_what_does_not_answer_is_a_warning_and_keeps_no_plan_from_standing() -> None:
    stage = start_simulation()
    silent: Any = raise_error(ExternalServiceError("no answer"))
    stage.alarms.without_data = silent  # type: ignore[method-assign]
    stage.world.targets.sibling_target_groups = silent  # type: ignore[method-assign]
    for name in ("alarms-have-data", "load-balancer-is-its-own"):
        assert check(stage, name).verdict is Verdict.WARN
    assert prepare_standing_plan(SERVICE, stage.world).is_ready
