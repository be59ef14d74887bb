from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import release

from rollback.service.next_action import ServiceMove, ServiceSnapshot, desired_count_for, next_service_move

GOOD, BAD, OTHER = "good", "bad", "other"


def snapshot(**changes: Any) -> ServiceSnapshot:
    """A snapshot in which the bad release runs, deployed and settled."""
    fields = {
        "primary_fingerprint": BAD,
        "is_primary_completed": True,
        "other_deployments": 0,
        "running_count": 2,
        "desired_count": 2,
    }
    return ServiceSnapshot.model_validate({**fields, **changes})


def test_a_settled_bad_release_is_replaced_by_an_update() -> None:
    assert next_service_move(snapshot(), GOOD) is ServiceMove.UPDATE_SERVICE


def test_a_bad_deployment_in_flight_that_came_from_the_target_is_stopped() -> None:
    in_flight = snapshot(is_primary_completed=False, in_flight_source_fingerprint=GOOD)
    assert next_service_move(in_flight, GOOD) is ServiceMove.STOP_DEPLOYMENT


def test_a_bad_deployment_in_flight_from_a_quarantined_release_is_not_stopped() -> None:
    in_flight = snapshot(is_primary_completed=False, in_flight_source_fingerprint=OTHER)
    assert next_service_move(in_flight, GOOD) is ServiceMove.UPDATE_SERVICE


def test_a_rollback_by_ecs_is_adopted_if_it_deploys_the_target_and_awaited_otherwise() -> None:
    rolling = {"is_primary_completed": False, "is_ecs_rolling_back": True}
    assert (
        next_service_move(snapshot(**rolling, in_flight_source_fingerprint=GOOD), GOOD) is ServiceMove.WAIT_FOR_TARGET
    )
    assert next_service_move(snapshot(**rolling, in_flight_source_fingerprint=OTHER), GOOD) is ServiceMove.WAIT_FOR_ECS


@pytest.mark.parametrize("changes", [{"is_primary_completed": False}, {"other_deployments": 1}, {"running_count": 1}])
def test_a_rollback_waits_for_a_target_that_is_not_settled(changes: dict[str, Any]) -> None:
    assert next_service_move(snapshot(primary_fingerprint=GOOD, **changes), GOOD) is ServiceMove.WAIT_FOR_TARGET


def test_a_settled_target_is_done() -> None:
    assert next_service_move(snapshot(primary_fingerprint=GOOD), GOOD) is ServiceMove.DONE


@given(
    st.builds(
        ServiceSnapshot,
        primary_fingerprint=st.sampled_from([GOOD, BAD, OTHER]),
        is_primary_completed=st.booleans(),
        other_deployments=st.integers(0, 2),
        running_count=st.integers(0, 3),
        desired_count=st.integers(0, 3),
        in_flight_source_fingerprint=st.sampled_from([None, GOOD, BAD, OTHER]),
        is_ecs_rolling_back=st.booleans(),
    )
)
def test_a_rollback_changes_nothing_while_the_target_is_primary_or_ecs_rolls_back(view: ServiceSnapshot) -> None:
    move = next_service_move(view, GOOD)
    if view.primary_fingerprint == GOOD or view.is_ecs_rolling_back:
        assert move not in {ServiceMove.STOP_DEPLOYMENT, ServiceMove.UPDATE_SERVICE}
    if move is ServiceMove.DONE:
        assert view.primary_fingerprint == GOOD
        assert view.running_count >= view.desired_count


def test_the_desired_count_never_falls_below_the_recorded_one() -> None:
    assert desired_count_for(release("v1", desired_count=4), 2) == 4
    assert desired_count_for(release("v1", desired_count=2), 5) == 5
