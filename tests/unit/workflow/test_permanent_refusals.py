"""A call that AWS refuses permanently is not repeated: the rollback ends at once, with one page that names the fix."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.autoscaling import FakeScaling
from simulations.database import BRANCH, GOOD, DatabaseSimulation
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import AUTOSCALED, PROMOTED, Simulation, alarm_event, deployment_event, start_simulation
from support.builders import NOW, SERVICE, image
from support.stand_ins import DenyingPort, access_denied_error

from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.database.errors import NotFound
from rollback.workflow.janitor import sweep
from rollback.workflow.route import Step
from rollback_cli.direct.run import run_directly

ROLLS_BACK = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def deny_calls(simulation: Simulation, part: str, *methods: str) -> DenyingPort:
    """Deny the methods from now on; the simulation itself still reaches its fakes."""
    stand_in = DenyingPort(getattr(simulation.ports, part), *methods)
    simulation.replace(**{part: stand_in})
    return stand_in


def simulation_with_ecs_rollback() -> Simulation:
    simulation = start_simulation()
    simulation.services.deployment_configuration.update(ROLLS_BACK)
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.calls.clear()
    return simulation


def alarm_input(simulation: Simulation) -> dict[str, Any]:
    return alarm_event()


def outage_input(simulation: Simulation) -> dict[str, Any]:
    return simulation.fire_alarm(OUTAGE)


def operator_input(simulation: Simulation) -> dict[str, Any]:
    return {}


def failed_deployment_input(simulation: Simulation) -> dict[str, Any]:
    simulation.alarms.recover(DEGRADED)
    simulation.begin_deployment("v3", "crashing")
    for _ in range(3):
        simulation.services.tick()
    return deployment_event()


TRIGGERS: list[Callable[[Simulation], dict[str, Any]]] = [
    alarm_input,
    outage_input,
    operator_input,
    failed_deployment_input,
]


def two_hours_later(simulation: Simulation) -> None:
    """Sweep after two hours, and run each execution that the janitor starts."""
    for number in range(24):
        simulation.pass_time(minutes=5)
        with suppress(CallRefused):  # a call that the janitor itself is denied fails its function, which has an alarm
            sweep(simulation.ports)
        while simulation.workflow.started:
            _, execution_input = simulation.workflow.started.pop(0)
            simulation.run(execution_input, f"again-{number}")


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_denied_change_ends_the_rollback_at_once_with_one_page_and_the_lease_is_free(
    trigger: Callable[[Simulation], dict[str, Any]],
) -> None:
    simulation = simulation_with_ecs_rollback()
    ecs = deny_calls(simulation, "services", "update")
    rollback = simulation.run(trigger(simulation))
    duration = simulation.clock.now() - NOW
    two_hours_later(simulation)
    assert rollback.outcome is Outcome.FAILED
    assert rollback.service is not None
    assert rollback.service.attempts == ()  # no other escalation level: it would be refused too
    assert ecs.times["update"] == 1
    assert duration <= timedelta(seconds=simulation.policy.act_timeout_seconds + simulation.policy.poll_seconds)
    assert rollback.open_obligations() == ()
    assert rollback.left_to_operator() == ()  # no setting was changed, so none is to be put back
    assert len(simulation.pages()) == 1
    assert simulation.ledger.lease(SERVICE) is None


def test_the_page_names_the_action_the_resource_the_caller_and_the_missing_statement() -> None:
    simulation = simulation_with_ecs_rollback()
    deny_calls(simulation, "services", "update")
    simulation.run()
    (reason_line,) = [line for line in simulation.pages()[0].splitlines() if line.startswith("Why:")]
    resource = "arn:aws:some:eu-west-1:123456789012:update"
    assert reason_line == (
        f"Why: AWS refused some:update on {resource} to role rollback because no identity-based policy allows the "
        "some:update action (AccessDeniedException); add to the identity-based policy: "
        f'{{"Effect":"Allow","Action":"some:update","Resource":"{resource}"}}'
    )


def test_an_emergency_is_refused_within_the_invocation_that_admitted_it() -> None:
    simulation = simulation_with_ecs_rollback()
    ecs = deny_calls(simulation, "services", "update")
    first_rollback = simulation.admit(outage_input(simulation))
    assert (first_rollback.outcome, ecs.times["update"]) == (Outcome.FAILED, 1)
    assert first_rollback.refusal is not None
    assert first_rollback.refusal.action == "some:update"


def test_an_emergency_acts_although_cloudwatch_elb_and_ecr_refuse_every_call() -> None:
    """A missing answer is no evidence: the rollback is not verified, and does not escalate."""
    simulation = simulation_with_ecs_rollback()
    event = outage_input(simulation)
    deny_calls(simulation, "alarms", "states", "in_alarm_since", "fired_since", "requests_since")
    deny_calls(simulation, "target_groups", "health", "health_checks")
    deny_calls(simulation, "images", "exists", "digest_of")
    rollback = simulation.run(event)
    assert simulation.running() == image("v1")
    assert rollback.outcome is Outcome.FAILED
    assert rollback.reason.startswith("not verified, though all other checks pass: target-health: not checked")
    assert "some:states" in rollback.reason
    assert rollback.service is not None
    assert rollback.service.attempts == ()
    assert simulation.clock.now() - NOW < timedelta(minutes=3)
    assert len(simulation.pages()) == 1


def test_a_target_that_fails_is_escalated_although_another_check_is_refused() -> None:
    simulation = simulation_with_ecs_rollback()
    deny_calls(simulation, "target_groups", "health", "health_checks")
    simulation.healthy_versions = set()  # the alarm stays in ALARM over v1
    rollback = simulation.run()
    assert rollback.service is not None
    assert rollback.service.attempts != ()


def test_a_deployment_with_a_denied_stop_is_replaced_and_the_report_names_the_denial() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2", "crashing")
    ecs = deny_calls(simulation, "services", "stop_deployment")
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert ecs.times["stop_deployment"] == 1
    assert simulation.running() == image("v1")
    assert "could not be stopped: AWS refused some:stop_deployment" in simulation.notifications.sent[-1].message


def test_a_deployment_that_ended_before_it_could_be_stopped_is_described_again() -> None:
    """ECS refuses the call for the deployment's present state, not permanently: the adapter says so."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2", "crashing")
    rollback = simulation.run_until(simulation.admit(), until=Step.SERVICE)
    stop = simulation.services.stop_deployment

    def end_deployment(service_deployment_arn: str) -> None:
        simulation.services.stop_deployment = stop  # type: ignore[method-assign]
        simulation.services.deploy(simulation.arns["v2"], simulation.clock.now())  # another deployment
        stop(service_deployment_arn)

    simulation.services.stop_deployment = end_deployment  # type: ignore[method-assign]
    with pytest.raises(ExternalServiceError) as failure:
        simulation.run_due_step(rollback)
    assert not isinstance(failure.value, CallRefused)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_an_obligation_whose_discharge_is_refused_is_handed_to_an_operator_at_once() -> None:
    simulation = simulation_with_ecs_rollback()
    rollback = simulation.run_until(simulation.admit(), until=Step.CONCLUDE)
    assert rollback.outcome is Outcome.SUCCEEDED
    deny_calls(simulation, "services", "update")
    before = simulation.clock.now()
    rollback = simulation.run_to_end(rollback)
    assert [obligation.kind for obligation in rollback.left_to_operator()] == [ObligationKind.DEPLOYMENT_CONFIGURATION]
    assert simulation.clock.now() - before < timedelta(minutes=1)
    assert "NOT RESTORED: deployment configuration of" in simulation.pages()[-1]
    assert simulation.ledger.lease(SERVICE) is None


def test_a_report_that_sns_refuses_delays_nothing_and_the_janitor_sends_it_later() -> None:
    simulation = simulation_with_ecs_rollback()
    deny_calls(simulation, "services", "update")
    topic = deny_calls(simulation, "notifications", "publish")
    rollback = simulation.run()
    assert rollback.concluded_at is not None
    assert not rollback.is_reported
    assert simulation.clock.now() - NOW <= timedelta(
        seconds=simulation.policy.act_timeout_seconds + simulation.policy.poll_seconds
    )
    assert simulation.ledger.lease(SERVICE) is None
    topic.methods.clear()
    sweep(simulation.ports)
    assert len(simulation.pages()) == 1


@pytest.mark.parametrize("execution_input", [{}, {"type": "emergency"}])
def test_direct_mode_does_not_repeat_a_refused_call(execution_input: dict[str, Any]) -> None:
    simulation = simulation_with_ecs_rollback()
    ecs = deny_calls(simulation, "services", "update")
    cursor = run_directly(
        execution_input, simulation.ports, lambda _: None, lambda seconds: simulation.pass_time(seconds=seconds)
    )
    assert simulation.ledger.read(SERVICE, cursor.rollback_id).outcome is Outcome.FAILED
    assert ecs.times["update"] == 1
    assert len(simulation.pages()) == 1


READS = [
    ("services", "describe"),
    ("services", "definition"),
    ("services", "register"),
    ("services", "update"),
    ("services", "unstopped_tasks"),
    ("services", "service_tasks"),
    ("alarms", "states"),
    ("alarms", "in_alarm_since"),
    ("alarms", "requests_since"),
    ("target_groups", "health"),
    ("target_groups", "health_checks"),
    ("scaling", "describe"),
    ("scaling", "put"),
    ("images", "exists"),
    ("images", "digest_of"),
    ("stacks", "describe"),
    ("notifications", "publish"),
]


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize(("part", "method"), READS)
def test_a_rollback_refused_from_the_start_ends_soon_pages_once_and_has_no_open_obligation(
    part: str, method: str, trigger: Callable[[Simulation], dict[str, Any]]
) -> None:
    simulation = simulation_with_ecs_rollback()
    simulation.replace(scaling=FakeScaling(simulation.services, AUTOSCALED))
    event = trigger(simulation)
    stand_in = deny_calls(simulation, part, method)
    rollback = simulation.run(event)
    duration = simulation.clock.now() - NOW
    two_hours_later(simulation)
    assert rollback.concluded_at is not None
    assert rollback.open_obligations() == ()
    assert simulation.ledger.lease(SERVICE) is None
    assert stand_in.times[method] <= 40
    assert duration < timedelta(minutes=5)
    if method != "publish":
        assert len(simulation.pages()) == (0 if rollback.outcome is Outcome.SUCCEEDED else 1)


@pytest.mark.parametrize(("part", "method"), READS)
def test_a_rollback_that_a_refusal_ended_is_never_reported_as_a_success(part: str, method: str) -> None:
    simulation = simulation_with_ecs_rollback()
    stand_in = deny_calls(simulation, part, method)
    rollback = simulation.run(alarm_input(simulation))
    if rollback.outcome is Outcome.SUCCEEDED:
        assert simulation.running() == image("v1")
        checks = rollback.verification.checks if rollback.verification is not None else ()
        assert all("not checked" not in check.reason for check in checks)
    else:
        assert stand_in.times[method] > 0


# A rollback with a database


def run_full_rollback(simulation: DatabaseSimulation) -> Rollback:
    return simulation.run({"type": "full", "target_version": "v1"})


def no_lease_is_held(simulation: DatabaseSimulation) -> bool:
    return simulation.ledger.lease(SERVICE) is None and simulation.ledger.lease(simulation.branch_key) is None


def test_a_refused_fence_leaves_the_database_unchanged_and_the_service_running() -> None:
    simulation = DatabaseSimulation()
    ecs = deny_calls(simulation, "services", "update")
    rollback = run_full_rollback(simulation)
    assert rollback.outcome is Outcome.REFUSED
    assert "some:update" in rollback.reason
    assert ecs.times["update"] == 1
    assert simulation.neon.rows(BRANCH) != GOOD
    assert simulation.services.desired_count > 0
    assert rollback.open_obligations() == ()
    assert len(simulation.pages()) == 1
    assert no_lease_is_held(simulation)


def test_a_denied_read_of_neons_api_key_is_refused_before_any_change() -> None:
    """AWS refuses the secret, not Neon: without the key no call reaches Neon."""
    simulation = DatabaseSimulation()
    neon = DenyingPort(simulation.neon, "project", "branches", "branch", "endpoints", "branch_named")
    simulation.replace(neon=neon)
    rollback = run_full_rollback(simulation)
    assert rollback.outcome is Outcome.REFUSED
    assert "database-is-accessible: AWS refused some:" in rollback.reason
    assert sum(neon.times.values()) == 1
    assert len(simulation.pages()) == 1
    assert no_lease_is_held(simulation)


def run_behind_fence(simulation: DatabaseSimulation, neon: DenyingPort, *, until: str | None = None) -> Rollback:
    """Run until the service stands at zero, then until Neon got the call `until`; from now on Neon refuses."""
    methods = set(neon.methods)
    neon.methods.clear()
    simulation.replace(neon=neon)
    rollback = simulation.admit({"type": "full", "target_version": "v1"})
    while simulation.services.desired_count or (until is not None and until not in simulation.neon.calls):
        rollback = simulation.run_due_step(rollback)
    simulation.neon.settle()  # its operations end by themselves
    simulation.pass_time(minutes=1)
    neon.methods |= methods
    return rollback


def test_a_preview_that_neon_refuses_to_describe_stops_no_service() -> None:
    simulation = DatabaseSimulation()
    neon = DenyingPort(simulation.neon, "operation")
    neon.methods.clear()
    simulation.replace(neon=neon)
    rollback = simulation.admit({"type": "full", "target_version": "v1"})
    while "create_branch" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    neon.methods.add("operation")
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.REFUSED
    assert "some:operation" in rollback.reason
    assert simulation.services.desired_count > 0
    assert rollback.obligations == ()


@pytest.mark.parametrize("method", ["branch", "endpoints", "branch_named"])
def test_a_refusal_by_neon_behind_the_fence_before_the_restore_restores_the_services(method: str) -> None:
    simulation = DatabaseSimulation()
    neon = DenyingPort(simulation.neon, method)
    rollback = run_behind_fence(simulation, neon)
    before = simulation.clock.now()
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.REFUSED
    assert f"some:{method}" in rollback.reason
    assert simulation.clock.now() - before < timedelta(minutes=3)
    assert neon.times[method] <= 5
    assert simulation.services.desired_count > 0
    assert rollback.open_obligations() == ()
    assert len(simulation.pages()) == 1
    assert no_lease_is_held(simulation)


@pytest.mark.parametrize("method", ["branch", "branch_named"])
def test_a_refusal_by_neon_after_the_restore_was_sent_starts_no_release_on_unknown_data(method: str) -> None:
    simulation = DatabaseSimulation()
    neon = DenyingPort(simulation.neon, method)
    rollback = run_behind_fence(simulation, neon, until="restore")
    before = simulation.clock.now()
    rollback = simulation.run_to_end(rollback)
    assert rollback.outcome is Outcome.FAILED
    assert f"some:{method}" in rollback.reason
    assert simulation.clock.now() - before < timedelta(minutes=3)
    assert simulation.services.desired_count == 0
    assert ObligationKind.FENCE in [obligation.kind for obligation in rollback.left_to_operator()]
    assert rollback.open_obligations() == ()
    assert no_lease_is_held(simulation)


def test_a_branch_that_disappears_between_two_reads_is_read_again() -> None:
    simulation = DatabaseSimulation()
    neon = DenyingPort(simulation.neon, "endpoints", refused=NotFound("404: branch not found"))
    neon.methods.clear()
    simulation.replace(neon=neon)
    rollback = simulation.admit({"type": "full", "target_version": "v1"})
    while simulation.services.desired_count:
        rollback = simulation.run_due_step(rollback)
    neon.methods.add("endpoints")
    for _ in range(3):
        rollback = simulation.run_due_step(rollback)
    neon.methods.clear()
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_denial_has_its_kind_action_and_resource() -> None:
    error = access_denied_error("update")
    assert (error.kind, error.action) == (RefusalKind.ACCESS, "some:update")
    assert error.resource == "arn:aws:some:eu-west-1:123456789012:update"
