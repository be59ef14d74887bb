"""The last escalation level: all tasks stop, then the target starts (rules 1, 2, 3 and 4)."""

from typing import Any

import pytest
from fakes.aws.elb import FakeTargetGroups
from simulations.fake_ports import OUTAGE
from simulations.service import PROMOTED, Simulation, start_simulation
from simulations.service import start_simulation_at_zero as at_zero_scaled
from support.builders import SERVICE

from rollback.domain.escalation import EscalationLevel
from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.operations.pause_abort_unlock import abort
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.service.next_action import DrainStatus, ServiceMove, next_restart_move
from rollback.workflow.janitor import conclude_execution, sweep
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

SUSPENDED = {**dict.fromkeys(SCALING_FLAGS, False), "ScheduledScalingSuspended": True}
SCALED = ScalableTarget(min_capacity=2, max_capacity=10, suspended=SUSPENDED)


def simulation_with_failing_health_checks(
    scalable: ScalableTarget | None = SCALED, *, until_restarted: bool = True
) -> Simulation:
    """Fail every health check until the service was once at zero."""
    simulation = start_simulation()
    simulation.scaling.target = scalable
    simulation.services.default_behaviour = "stale" if until_restarted else "unhealthy"
    return simulation


def run_until_zero(simulation: Simulation, rollback: Rollback) -> Rollback:
    """Run until the desired count is 0."""
    for _ in range(400):
        rollback = simulation.run_due_step(rollback)
        if rollback.is_fenced and simulation.services.desired_count == 0:
            return rollback
    raise AssertionError("it never came to zero")


@pytest.mark.parametrize(
    ("view", "move"),
    [
        (DrainStatus(is_scaling_active=True, desired_count=4, unstopped_tasks=4), ServiceMove.SUSPEND_SCALING),
        (DrainStatus(is_scaling_active=False, desired_count=4, unstopped_tasks=4), ServiceMove.SCALE_TO_ZERO),
        (DrainStatus(is_scaling_active=False, desired_count=0, unstopped_tasks=1), ServiceMove.WAIT_FOR_STOPPED),
        (DrainStatus(is_scaling_active=False, desired_count=0, unstopped_tasks=0), ServiceMove.START_FROM_ZERO),
    ],
)
def test_rule_2_scaling_is_suspended_before_zero_and_nothing_starts_before_all_is_stopped(
    view: DrainStatus, move: ServiceMove
) -> None:
    assert next_restart_move(view) is move


def test_a_service_that_needs_a_restart_from_zero_restarts_on_its_last_known_good() -> None:
    simulation = simulation_with_failing_health_checks()
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.reason == "v2 → v1, by restart from zero (tried before: service, emergency)"
    assert rollback.service is not None
    counts = [arguments["desired_count"] for _, arguments in simulation.services.calls if "desired_count" in arguments]
    assert 0 in counts
    assert simulation.services.desired_count == 2  # the larger of 2 and the recorded count
    assert rollback.open_obligations() == ()
    assert {o.kind for o in rollback.obligations if o.discharged_at} >= {ObligationKind.FENCE, ObligationKind.SCALING}


def test_rule_2_the_exact_prior_scaling_is_restored_only_with_enough_running_tasks() -> None:
    simulation = simulation_with_failing_health_checks()
    put_target = simulation.scaling.put
    running_then: list[int] = []

    def record_put(service: Any, target: ScalableTarget) -> None:
        running_then.append(simulation.services.unstopped_tasks(service))
        put_target(service, target)

    simulation.scaling.put = record_put  # type: ignore[method-assign]
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    suspended, restored_target = simulation.scaling.puts
    assert all(suspended.suspended.values())
    assert len(suspended.suspended) == 3
    assert (restored_target, simulation.scaling.target) == (SCALED, SCALED)
    assert running_then[-1] >= SCALED.min_capacity


def test_rule_2_a_service_rollback_does_not_change_autoscaling() -> None:
    simulation = start_simulation()
    simulation.scaling.target = SCALED
    assert simulation.run().outcome is Outcome.SUCCEEDED
    assert simulation.scaling.puts == []


def test_a_service_without_autoscaling_is_restarted_without_scaling_calls() -> None:
    simulation = simulation_with_failing_health_checks(scalable=None)
    assert simulation.run().outcome is Outcome.SUCCEEDED
    assert simulation.scaling.puts == []


def test_each_obligation_is_recorded_before_its_change() -> None:
    simulation = simulation_with_failing_health_checks()
    rollback = simulation.admit()
    update, put_target = simulation.services.update, simulation.scaling.put
    changes: list[tuple[str, set[str]]] = []

    def open_kinds() -> set[str]:
        return {o.kind for o in simulation.read(rollback).open_obligations()}

    def record_update(*args: Any, **kwargs: Any) -> None:
        if kwargs.get("desired_count") == 0:
            changes.append(("zero", open_kinds()))
        update(*args, **kwargs)

    def record_put(*args: Any) -> None:
        changes.append(("suspend", open_kinds()))
        put_target(*args)

    simulation.services.update, simulation.scaling.put = record_update, record_put  # type: ignore[method-assign, assignment]
    run_until_zero(simulation, rollback)
    (first_change, kinds_at_suspend), (second_change, kinds_at_zero) = changes[:2]
    assert (first_change, second_change) == ("suspend", "zero")
    assert "scaling" in kinds_at_suspend
    assert {"scaling", "fence"} <= kinds_at_zero


def test_rule_1_the_outage_that_our_own_restart_causes_is_suppressed_and_rechecked() -> None:
    simulation = simulation_with_failing_health_checks()
    rollback = run_until_zero(simulation, simulation.admit())
    simulation.alarms.fire(OUTAGE, simulation.clock.now())
    outage = simulation.admit(simulation.fire_alarm(OUTAGE), "execution-2")
    assert outage.outcome is Outcome.SUPPRESSED
    assert "has fenced the service, which causes the outage" in outage.reason
    assert outage.recheck_at is not None
    simulation.run_until(outage)
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED
    simulation.pass_time(minutes=10)
    sweep(simulation.ports)
    assert simulation.read(outage).recheck_at is None
    assert simulation.workflow.started == []  # the alarm is OK by now


def test_rule_3_a_rollback_aborted_at_zero_stays_suspended_and_a_page_gives_the_state() -> None:
    simulation = simulation_with_failing_health_checks()
    rollback = run_until_zero(simulation, simulation.admit())
    aborted_rollback = simulation.ledger.save(
        rollback.evolve(outcome=Outcome.ABORTED, reason="stopped by ada", wait_seconds=0)
    )
    rollback = simulation.run_until(aborted_rollback)
    assert simulation.services.desired_count == 0
    assert simulation.scaling.target is not None
    assert not simulation.scaling.target.is_active
    handed_over_kinds = {o.kind for o in rollback.obligations if o.handed_to == "operator"}
    assert {ObligationKind.FENCE, ObligationKind.SCALING} <= handed_over_kinds
    page = simulation.pages()[-1]
    for text in ("NOT RESTORED: desired count of", "NOT RESTORED: scalable target of", "rollback unfence production"):
        assert text in page


def test_an_unsuccessful_restart_from_zero_ends_with_a_positive_desired_count_and_a_page() -> None:
    simulation = simulation_with_failing_health_checks(until_restarted=False)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [
        EscalationLevel.SERVICE,
        EscalationLevel.EMERGENCY,
        EscalationLevel.RESTART_FROM_ZERO,
    ]
    assert simulation.services.desired_count >= 2
    assert "restart from zero was the last escalation level" in simulation.pages()[0]


def test_a_rollback_that_crashes_at_zero_is_concluded_with_its_desired_count_restored() -> None:
    """Only the rollback wanted zero tasks: the janitor restores the count, for the current PRIMARY."""
    simulation = simulation_with_failing_health_checks()
    rollback = run_until_zero(simulation, simulation.admit())
    simulation.pass_time(minutes=simulation.policy.lease_minutes + 1)
    for _ in range(12):
        sweep(simulation.ports)
        simulation.pass_time(minutes=5)
    rollback = simulation.read(rollback)
    assert rollback.concluded_at is not None
    assert rollback.outcome is Outcome.FAILED
    assert simulation.services.desired_count >= 2
    assert simulation.scaling.target == SCALED
    assert simulation.ledger.lease(SERVICE) is None


def test_rule_4_a_target_that_became_healthy_just_before_zero_is_not_stopped() -> None:
    simulation = simulation_with_failing_health_checks()
    rollback = simulation.admit()
    for _ in range(400):
        rollback = simulation.run_due_step(rollback)
        if rollback.service is not None and rollback.service.escalation_level is EscalationLevel.RESTART_FROM_ZERO:
            break
    simulation.services.default_behaviour = "healthy"  # its tasks needed longer than the level before allowed
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert all(arguments.get("desired_count", 1) > 0 for _, arguments in simulation.services.calls)
    assert simulation.scaling.target == SCALED


def test_rule_4_a_service_that_serves_in_one_of_two_target_groups_is_never_brought_to_zero() -> None:
    simulation = start_simulation()
    (group,) = simulation.services.target_groups
    other_group = group.replace("express-api", "internal")
    simulation.services.target_groups = (group, other_group)
    targets = FakeTargetGroups(simulation.services)
    targets.answers[other_group] = ()
    simulation.replace(target_groups=targets)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert all(arguments.get("desired_count", 1) > 0 for _, arguments in simulation.services.calls)


def test_rule_3_an_execution_that_an_operator_stops_at_zero_leaves_the_service_fenced() -> None:
    """The operator stops the execution in the console, and only EventBridge's rule on aborted executions reports it."""
    simulation, fenced = at_zero_scaled()
    reason = "its execution ended as ABORTED: no cause given"
    for _ in range(20):
        conclude_execution(fenced.execution, reason, simulation.ports, by_operator=True)
        simulation.pass_time(minutes=1)
    rollback = simulation.read(fenced)
    assert (rollback.outcome, simulation.services.desired_count) == (Outcome.ABORTED, 0)
    assert {o.kind for o in rollback.left_to_operator()} >= {ObligationKind.FENCE, ObligationKind.SCALING}


def test_rule_3_no_alarm_restarts_a_service_whose_rollback_an_operator_aborted_at_zero() -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=48)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    simulation.ship("v2")
    simulation.scaling.target = SCALED
    simulation.services.default_behaviour = "stale"
    fenced = run_until_zero(simulation, simulation.admit({"type": "emergency"}))
    abort(fenced.id, Operator("ann", "the database is being moved"), simulation.ports)
    simulation.run_until(fenced)
    run_step(fenced.id, Step.DONE, simulation.ports)
    simulation.pass_time(minutes=15)
    outage = simulation.run_alarm_rollback(OUTAGE)
    assert outage.outcome is Outcome.SUPPRESSED
    assert outage.recheck_at is not None
    assert simulation.services.desired_count == 0


def test_a_rollback_at_zero_acquires_its_expired_lease_again() -> None:
    """Step Functions or Lambda paused for longer than a lease, and the service must not stay at zero for that."""
    simulation, fenced = at_zero_scaled()
    simulation.pass_time(minutes=simulation.policy.lease_minutes + 0.5)
    rollback = simulation.run_until(fenced)
    assert rollback.outcome is not Outcome.ABORTED
    assert simulation.services.desired_count >= 2
