"""Optional evidence never blocks a rollback: the report names the service that did not answer."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.aws.autoscaling import FakeScaling
from simulations.database import DatabaseSimulation
from simulations.fake_ports import OUTAGE
from simulations.service import CANDIDATE, PROMOTED, Simulation, alarm_event, start_simulation
from support.builders import SERVICE, image
from support.stand_ins import DenyingPort, RecordingPort, UnavailablePort, access_denied_error

from rollback.adapters.patience import fail_fast_after_silence
from rollback.check import Verdict
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.all_ports import OptionalPorts
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.workflow.route import Step

OPTIONAL = ("target_groups", "scaling", "stacks", "images", "alarms", "workflow", "secrets", "references", "http")


def with_stack(simulation: Simulation, status: str = "UPDATE_COMPLETE") -> Simulation:
    service = simulation.service_settings.model_copy(update={"stack": "S"})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    simulation.stacks.stack = StackView(name="S", status=status)
    return simulation


def minutes_to_verify(simulation: Simulation) -> float:
    """Run a rollback to Verify, and return the minutes that this took."""
    began = simulation.clock.now()
    simulation.run_until(simulation.admit(alarm_event(at=began)), Step.VERIFY)
    return (simulation.clock.now() - began).total_seconds() / 60


# Emergency


@pytest.mark.parametrize("port", OPTIONAL)
def test_an_emergency_updates_the_service_without_an_optional_port(port: str) -> None:
    simulation = with_stack(start_simulation())
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.replace(**{port: UnavailablePort(port)})
    simulation.admit(simulation.fire_alarm(OUTAGE))
    assert simulation.changes() == ["update"]
    assert simulation.running() == image("v1")


def test_an_emergency_calls_only_its_ports_with_short_timeouts() -> None:
    simulation = start_simulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    names = ("target_groups", "scaling", "stacks", "secrets", "references", "images", "alarms", "workflow")
    usual_ports: dict[str, Any] = {name: RecordingPort(getattr(simulation.ports, name)) for name in names}
    emergency_ports: dict[str, Any] = {name: RecordingPort(getattr(simulation.ports, name)) for name in names}
    simulation.replace(**usual_ports, emergency_ports=lambda: OptionalPorts(**emergency_ports))
    simulation.admit(simulation.fire_alarm(OUTAGE))
    assert emergency_ports["alarms"].called
    assert {name: port.called for name, port in usual_ports.items() if port.called} == {}


def test_a_service_rollback_does_not_use_the_ports_with_short_timeouts() -> None:
    simulation = start_simulation()
    simulation.replace(emergency_ports=lambda: pytest.fail("a service rollback uses an emergency's ports"))
    assert simulation.run().outcome is Outcome.SUCCEEDED


def test_a_service_that_gave_no_answer_is_not_called_again_in_the_same_invocation() -> None:
    unavailable_alarms = RecordingPort(UnavailablePort("alarms"))
    alarms = fail_fast_after_silence(unavailable_alarms)
    for _ in range(3):
        with pytest.raises(ExternalServiceError, match="no answer"):
            alarms.states(("a",))
    assert unavailable_alarms.called == ["states"]


@pytest.mark.parametrize("answer", [Throttled("slowly"), CallRefused("no")])
def test_a_throttled_or_refused_call_is_an_answer_and_the_next_call_is_sent(answer: ExternalServiceError) -> None:
    class Answers:
        def describe(self, name: str) -> str:
            if name == "first":
                raise answer
            return name

    port = fail_fast_after_silence(Answers())
    with pytest.raises(type(answer)):
        port.describe("first")
    assert port.describe("second") == "second"


def test_the_standing_plan_uses_separate_ports() -> None:
    simulation = start_simulation()
    names = ("target_groups", "scaling", "stacks", "secrets", "references", "images", "alarms", "workflow")
    usual_ports: dict[str, Any] = {name: RecordingPort(getattr(simulation.ports, name)) for name in names}
    readiness_ports: dict[str, Any] = {name: RecordingPort(getattr(simulation.ports, name)) for name in names}
    simulation.replace(**usual_ports, readiness_ports=lambda: OptionalPorts(**readiness_ports))
    prepare_standing_plan(SERVICE, simulation.ports)
    assert readiness_ports["images"].called
    assert {name: port.called for name, port in usual_ports.items() if port.called} == {}


@pytest.mark.parametrize("port", ["target_groups", "scaling", "secrets", "references", "images"])
def test_a_standing_plan_is_made_although_a_service_gives_no_answer(port: str) -> None:
    simulation = start_simulation()
    simulation.replace(**{port: UnavailablePort(port)})
    assert [target.release.version for target in prepare_standing_plan(SERVICE, simulation.ports).targets] == ["v1"]


# CloudFormation


def silence_cloudformation(simulation: Simulation) -> Simulation:
    """Give the service a stack about which CloudFormation does not answer."""
    with_stack(simulation).replace(stacks=UnavailablePort("stacks"))
    return simulation


def test_a_stack_that_could_not_be_described_is_a_warning_in_the_plan() -> None:
    simulation = silence_cloudformation(start_simulation())
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    check = simulation.check(rollback, "stack-is-quiet")
    assert check.verdict is Verdict.WARN
    assert "not checked" in check.reason


def test_rule_6_an_update_without_an_answer_of_cloudformation_waits_until_the_service_counts_as_stuck() -> None:
    simulation = silence_cloudformation(start_simulation(policy=Policy(stuck_minutes=2)))
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    began = simulation.clock.now()
    while not simulation.changes():
        rollback = simulation.run_due_step(rollback)
    waited_minutes = (simulation.clock.now() - began).total_seconds() / 60
    assert 2 <= waited_minutes < 3
    assert rollback.service is not None
    assert any("CloudFormation could not be asked whether" in note for note in rollback.service.notes)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_rule_6_without_an_answer_of_cloudformation_a_deployment_in_flight_is_stopped() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2")
    silence_cloudformation(simulation)
    simulation.run_until(simulation.admit(), Step.VERIFY)
    assert simulation.changes() == ["stop_deployment"]


def test_a_rollback_does_not_wait_for_an_answer_that_cloudformation_refuses() -> None:
    simulation = with_stack(start_simulation())
    simulation.replace(stacks=DenyingPort(simulation.stacks, "describe", refused=access_denied_error("describe")))
    began = simulation.clock.now()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    while not simulation.changes():
        rollback = simulation.run_due_step(rollback)
    assert (simulation.clock.now() - began).total_seconds() < 60


@pytest.mark.parametrize(
    "status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"]
)
def test_a_rollback_does_not_wait_for_a_stack_that_only_removes_old_resources(status: str) -> None:
    simulation = with_stack(start_simulation(), status)
    assert minutes_to_verify(simulation) < 3
    assert simulation.running() == image("v1")


# Plan


def test_a_registry_that_does_not_answer_is_a_warning_in_the_plan() -> None:
    simulation = start_simulation()
    simulation.replace(images=deny_image_lookup(simulation))
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.check(rollback, "image-exists").reason.startswith("not checked")


def deny_image_lookup(simulation: Simulation) -> Any:
    return DenyingPort(simulation.images, "exists", refused=CallRefused("ECR: no"))


# Fence


def add_predictive_scaling(simulation: Simulation) -> None:
    target = ScalableTarget(min_capacity=2, max_capacity=4, suspended=dict.fromkeys(SCALING_FLAGS, False))
    scaling = FakeScaling(simulation.services, target)
    scaling.predictive = ("by-forecast",)
    simulation.replace(scaling=scaling)


def test_a_fence_that_predictive_scaling_could_break_is_refused() -> None:
    """No flag of SuspendedState suspends predictive scaling, which could start writers during a restore."""
    simulation = DatabaseSimulation()
    add_predictive_scaling(simulation)
    rollback = simulation.read(simulation.run())
    assert rollback.outcome is Outcome.REFUSED
    assert "by-forecast" in rollback.reason
    assert simulation.changes() == []
    assert simulation.neon.calls == []


def test_a_service_rollback_ignores_predictive_scaling() -> None:
    simulation = start_simulation()
    add_predictive_scaling(simulation)
    assert simulation.run().outcome is Outcome.SUCCEEDED


def test_scaling_that_can_not_be_read_before_a_fence_is_a_warning() -> None:
    simulation = DatabaseSimulation()
    simulation.replace(
        scaling=DenyingPort(
            simulation.scaling, "predictive_policies", refused=access_denied_error("predictive_policies")
        )
    )
    rollback = simulation.read(simulation.run())
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.check(rollback, "nothing-starts-tasks").verdict is Verdict.WARN


def test_the_state_of_a_release_is_no_optional_evidence() -> None:
    """A release without a promotion is refused: the tests above can't pass by skipping every check."""
    simulation = Simulation()
    simulation.ship("v1", CANDIDATE, hours_ago=48)
    simulation.ship("v2")
    assert simulation.run().outcome is Outcome.REFUSED
    assert replace(simulation.ports).ledger is simulation.ports.ledger
