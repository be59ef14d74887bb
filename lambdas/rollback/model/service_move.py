"""Which move brings a service to its target: the fastest safe one, decided from what ECS says now.

Facts from the ECS API reference: `StopServiceDeployment(stopType=ROLLBACK)` works only while a deployment is in flight
and goes back to its source revision; a deployment that ECS rolled back itself ends with the *old* revision COMPLETED,
so only the PRIMARY deployment's definition tells what will run.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from rollback.model.release import Release


class Move(StrEnum):
    """What to do next; every move but the two changes is a look."""

    DONE = "done"
    WAIT_FOR_TARGET = "wait_for_target"  # a deployment of the target is under way, whoever started it: adopt it
    WAIT_FOR_ECS = "wait_for_ecs"  # ECS rolls back to something else: let it end, never two deployments fighting
    STOP_DEPLOYMENT = "stop_deployment"
    UPDATE_SERVICE = "update_service"
    RAISE_CAPACITY = "raise_capacity"  # the target runs, but on less than it was recorded with


class ServiceSnapshot(BaseModel):
    """What decides, cut from DescribeServices and DescribeServiceDeployments.

    Fingerprints, not ARNs: one release may be registered more than once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_fingerprint: str
    primary_completed: bool
    other_deployments: int = Field(ge=0, description="deployments besides PRIMARY that still have tasks")
    running_count: int = Field(ge=0)
    desired_count: int = Field(ge=0)
    in_flight_source_fingerprint: str | None = Field(
        default=None, description="source revision of the deployment in flight; None if none is, or if it had no source"
    )
    ecs_is_rolling_back: bool = False


def next_move(snapshot: ServiceSnapshot, target_fingerprint: str, least_desired_count: int = 0) -> Move:
    """The next move towards the target; the same again when nothing changed in between."""
    if snapshot.primary_fingerprint == target_fingerprint:
        if snapshot.desired_count < least_desired_count:
            return Move.RAISE_CAPACITY
        settled = snapshot.primary_completed and not snapshot.other_deployments
        return Move.DONE if settled and snapshot.running_count >= snapshot.desired_count else Move.WAIT_FOR_TARGET
    if snapshot.ecs_is_rolling_back:
        goes_to_target = snapshot.in_flight_source_fingerprint == target_fingerprint
        return Move.WAIT_FOR_TARGET if goes_to_target else Move.WAIT_FOR_ECS
    if snapshot.in_flight_source_fingerprint == target_fingerprint:
        return Move.STOP_DEPLOYMENT
    return Move.UPDATE_SERVICE


def desired_count_for(target: Release, current_desired_count: int) -> int:
    """Capacity is kept: autoscaling may have shrunk a failing service, so never below what was recorded."""
    return max(target.desired_count, current_desired_count)
