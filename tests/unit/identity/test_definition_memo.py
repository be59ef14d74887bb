"""A task definition is read once per invocation on the way from an alarm to `UpdateService`."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from fakes.aws.ecs_services import FakeServices
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import CANDIDATE, FAMILY, PROMOTED, Simulation
from support.builders import SERVICE

from rollback.identity.task_definition import with_definition_memo
from rollback.promotion.readiness import prepare_standing_plan
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import cursor_of, run_step


class CountingServices:
    """ECS that counts how often each definition is described."""

    def __init__(self, services: FakeServices) -> None:
        self._services = services
        self.reads: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        self.reads[arn_or_family] += 1
        return self._services.definition(arn_or_family)


def simulation_with_bad_release() -> tuple[Simulation, CountingServices]:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=50)
    simulation.ship("v1", PROMOTED, hours_ago=20)
    simulation.ship("v2", CANDIDATE)
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.calls.clear()
    counting = CountingServices(simulation.services)
    simulation.replace(services=counting)
    return simulation, counting


def test_an_emergency_describes_each_definition_once_before_it_updates_the_service() -> None:
    simulation, counting = simulation_with_bad_release()
    simulation.admit(simulation.fire_alarm(OUTAGE))
    assert "update" in [name for name, _ in simulation.services.calls]
    assert counting.reads[simulation.arns["v2"]] == 1
    assert max(counting.reads.values()) == 1


def test_a_service_rollback_describes_the_running_definition_once_per_invocation() -> None:
    simulation, counting = simulation_with_bad_release()
    event = simulation.fire_alarm(DEGRADED)
    assert entrance(event) is Step.ADMIT
    rollback = simulation.admit(event)
    for step in (Step.PLAN, Step.SERVICE):
        assert cursor_of(rollback).next is step
        counting.reads.clear()
        run_step(rollback.id, step, simulation.ports)
        rollback = simulation.ledger.read(SERVICE, rollback.id)
        assert counting.reads[simulation.arns["v2"]] == 1, step
        assert max(counting.reads.values()) == 1, step
    assert "update" in [name for name, _ in simulation.services.calls]


@pytest.mark.parametrize("missing", [FAMILY, "arn:aws:ecs:eu-west-1:123456789012:task-definition/gone:7"])
def test_a_family_and_a_missing_revision_are_described_each_time(missing: str) -> None:
    simulation, counting = simulation_with_bad_release()
    ports = with_definition_memo(simulation.ports)
    ports.services.definition(missing)
    ports.services.definition(missing)
    assert counting.reads[missing] == 2


def test_ports_with_a_definition_memo_are_not_wrapped_a_second_time() -> None:
    simulation, _ = simulation_with_bad_release()
    ports = with_definition_memo(simulation.ports)
    assert with_definition_memo(ports) is ports
