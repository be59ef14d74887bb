"""Moves of a service while CloudFormation or ECS acts too, in and out of an emergency."""

from typing import Any

import pytest
from support.builders import release

from rollback.resources.aws.cloudformation_stack import StackState
from rollback.service.next_action import (
    DrainStatus,
    ServiceMove,
    ServiceSnapshot,
    Situation,
    desired_count_for,
    next_restart_move,
    next_service_move,
)

GOOD, BAD, OTHER = "good", "bad", "other"
BUSY_STACKS = (StackState.UPDATING, StackState.ROLLING_BACK, StackState.NOT_KNOWN)


def snapshot(**changes: Any) -> ServiceSnapshot:
    """A snapshot in which the target runs, deployed and settled, with two tasks."""
    fields = {
        "primary_fingerprint": GOOD,
        "is_primary_completed": True,
        "other_deployments": 0,
        "running_count": 2,
        "desired_count": 2,
    }
    return ServiceSnapshot.model_validate({**fields, **changes})


SETTLED_BAD = snapshot(primary_fingerprint=BAD)
BAD_IN_FLIGHT = snapshot(primary_fingerprint=BAD, is_primary_completed=False, in_flight_source_fingerprint=GOOD)
ECS_TO_TARGET = BAD_IN_FLIGHT.model_copy(update={"is_ecs_rolling_back": True})
ECS_TO_OTHER = ECS_TO_TARGET.model_copy(update={"in_flight_source_fingerprint": OTHER})


@pytest.mark.parametrize(
    ("view", "stack", "move"),
    [
        (SETTLED_BAD, StackState.UPDATING, ServiceMove.WAIT_FOR_STACK),
        (SETTLED_BAD, StackState.NOT_KNOWN, ServiceMove.WAIT_FOR_STACK),
        (SETTLED_BAD, StackState.ROLLING_BACK, ServiceMove.WAIT_FOR_STACK),
        (BAD_IN_FLIGHT, StackState.UPDATING, ServiceMove.STOP_DEPLOYMENT),
        (BAD_IN_FLIGHT, StackState.NOT_KNOWN, ServiceMove.STOP_DEPLOYMENT),
        (BAD_IN_FLIGHT, StackState.ROLLING_BACK, ServiceMove.WAIT_FOR_STACK),
        (ECS_TO_OTHER, StackState.UPDATING, ServiceMove.WAIT_FOR_ECS),
        (ECS_TO_OTHER, StackState.ROLLING_BACK, ServiceMove.WAIT_FOR_STACK),
        (ECS_TO_TARGET, StackState.UPDATING, ServiceMove.WAIT_FOR_TARGET),
    ],
)
def test_rule_6_a_rollback_stops_a_deployment_during_a_stack_update_and_changes_nothing_during_a_stack_rollback(
    view: ServiceSnapshot, stack: StackState, move: ServiceMove
) -> None:
    assert next_service_move(view, GOOD, situation=Situation(stack=stack)) is move


@pytest.mark.parametrize("stack", [StackState.STABLE, *BUSY_STACKS])
@pytest.mark.parametrize(
    ("view", "move"),
    [
        (SETTLED_BAD, ServiceMove.UPDATE_SERVICE),
        (BAD_IN_FLIGHT, ServiceMove.STOP_DEPLOYMENT),
        (ECS_TO_OTHER, ServiceMove.UPDATE_SERVICE),
        (ECS_TO_TARGET, ServiceMove.WAIT_FOR_TARGET),
        (snapshot(), ServiceMove.DONE),
    ],
)
def test_rule_6_an_emergency_makes_the_same_move_in_every_state_of_the_stack(
    view: ServiceSnapshot, move: ServiceMove, stack: StackState
) -> None:
    assert next_service_move(view, GOOD, situation=Situation(is_emergency=True, stack=stack)) is move


def test_only_an_emergency_replaces_ecs_s_own_rollback_to_the_target_once_it_is_stuck() -> None:
    stuck = Situation(is_stuck=True)
    assert next_service_move(ECS_TO_TARGET, GOOD, situation=stuck) is ServiceMove.WAIT_FOR_TARGET
    stuck_emergency = Situation(is_emergency=True, is_stuck=True)
    assert next_service_move(ECS_TO_TARGET, GOOD, situation=stuck_emergency) is ServiceMove.UPDATE_SERVICE


@pytest.mark.parametrize("emergency", [False, True])
def test_only_a_stuck_deployment_of_the_target_is_forced(emergency: bool) -> None:
    unsettled_service = snapshot(running_count=1)
    stuck, timely = (Situation(is_emergency=emergency, is_stuck=is_stuck) for is_stuck in (True, False))
    assert next_service_move(unsettled_service, GOOD, situation=stuck) is ServiceMove.FORCE_NEW_DEPLOYMENT
    assert next_service_move(unsettled_service, GOOD, situation=timely) is ServiceMove.WAIT_FOR_TARGET


@pytest.mark.parametrize("stack", BUSY_STACKS)
def test_a_settled_target_is_not_done_while_cloudformation_changes_the_service(stack: StackState) -> None:
    assert next_service_move(snapshot(), GOOD, situation=Situation(stack=stack)) is ServiceMove.WAIT_FOR_STACK


@pytest.mark.parametrize("stack", BUSY_STACKS)
def test_a_rollback_neither_raises_capacity_nor_forces_a_deployment_while_cloudformation_acts(
    stack: StackState,
) -> None:
    situation = Situation(stack=stack, is_stuck=True)
    assert next_service_move(snapshot(), GOOD, 3, situation) is ServiceMove.WAIT_FOR_STACK
    assert next_service_move(snapshot(running_count=1), GOOD, 2, situation) is ServiceMove.WAIT_FOR_TARGET


def test_a_target_on_exactly_its_recorded_capacity_is_done_and_on_one_task_less_is_raised() -> None:
    assert next_service_move(snapshot(), GOOD, 2) is ServiceMove.DONE
    assert next_service_move(snapshot(), GOOD, 3) is ServiceMove.RAISE_CAPACITY


def test_a_target_whose_recorded_capacity_is_not_given_may_run_on_zero_tasks() -> None:
    assert next_service_move(snapshot(running_count=0, desired_count=0), GOOD) is ServiceMove.DONE


@pytest.mark.parametrize(
    ("is_scaling_active", "desired_count", "unstopped_tasks", "move"),
    [
        (True, 0, 0, ServiceMove.SUSPEND_SCALING),
        (True, 2, 2, ServiceMove.SUSPEND_SCALING),
        (False, 1, 1, ServiceMove.SCALE_TO_ZERO),
        (False, 1, 0, ServiceMove.SCALE_TO_ZERO),
        (False, 0, 1, ServiceMove.WAIT_FOR_STOPPED),
        (False, 0, 0, ServiceMove.START_FROM_ZERO),
    ],
)
def test_rule_2_a_restart_suspends_scaling_then_goes_to_zero_and_starts_once_every_task_is_stopped(
    is_scaling_active: bool,
    desired_count: int,
    unstopped_tasks: int,
    move: ServiceMove,
) -> None:
    status = DrainStatus(
        is_scaling_active=is_scaling_active, desired_count=desired_count, unstopped_tasks=unstopped_tasks
    )
    assert next_restart_move(status) is move


@pytest.mark.parametrize(
    ("recorded", "current", "scaling_maximum", "count"),
    [
        (4, 2, None, 4),
        (4, 2, 3, 3),
        (4, 2, 4, 4),
        (4, 2, 9, 4),
        (4, 5, 3, 5),
        (4, 0, 0, 0),
    ],
)
def test_the_desired_count_is_the_recorded_one_within_autoscaling_s_maximum_and_never_less_than_now(
    recorded: int, current: int, scaling_maximum: int | None, count: int
) -> None:
    assert desired_count_for(release("v1", desired_count=recorded), current, scaling_maximum) == count
