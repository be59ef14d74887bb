"""Decide the fastest safe move that brings a service to its target, from ECS's description of the service.

Facts from the ECS API reference:
    - `StopServiceDeployment(stopType=ROLLBACK)` works only while a deployment is in flight. It goes back to the
      deployment's source revision.
    - A deployment that ECS itself rolled back ends with the *old* revision COMPLETED. So only the PRIMARY deployment's
      definition shows what will run.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from rollback.domain.releases.release import Release
from rollback.resources.aws.cloudformation_stack import StackState


class ServiceMove(StrEnum):
    """The moves of a service step. `SERVICE_CHANGES` lists those that change something."""

    DONE = "done"
    WAIT_FOR_TARGET = "wait_for_target"  # adopt a deployment of the target, whatever actor started it
    WAIT_FOR_ECS = "wait_for_ecs"  # ECS rolls back to another release: deploy after that
    WAIT_FOR_STACK = "wait_for_stack"  # CloudFormation changes the service: deploy after that
    WAIT_FOR_STOPPED = "wait_for_stopped"  # draining tasks still run, and write
    STOP_DEPLOYMENT = "stop_deployment"
    UPDATE_SERVICE = "update_service"
    RAISE_CAPACITY = "raise_capacity"  # the target runs on fewer tasks than were recorded with the release
    FORCE_NEW_DEPLOYMENT = "force_new_deployment"  # once, if the deployment is stuck
    SUSPEND_SCALING = "suspend_scaling"
    SCALE_TO_ZERO = "scale_to_zero"
    START_FROM_ZERO = "start_from_zero"


SERVICE_CHANGES = frozenset(
    {
        ServiceMove.STOP_DEPLOYMENT,
        ServiceMove.UPDATE_SERVICE,
        ServiceMove.RAISE_CAPACITY,
        ServiceMove.FORCE_NEW_DEPLOYMENT,
        ServiceMove.SUSPEND_SCALING,
        ServiceMove.SCALE_TO_ZERO,
        ServiceMove.START_FROM_ZERO,
    }
)


class ServiceSnapshot(BaseModel):
    """The facts that decide, cut from DescribeServices and DescribeServiceDeployments.

    Releases are distinguished by fingerprint: one release may be registered under several ARNs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_fingerprint: str
    is_primary_completed: bool
    other_deployments: int = Field(ge=0, description="deployments or revisions besides PRIMARY that still have tasks")
    running_count: int = Field(ge=0)
    desired_count: int = Field(ge=0)
    in_flight_source_fingerprint: str | None = Field(
        default=None,
        description="source revision of the deployment in flight; None: no deployment in flight, or no source",
    )
    is_ecs_rolling_back: bool = False


class Situation(BaseModel):
    """The circumstances of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_emergency: bool = Field(
        default=False, description="override ECS and CloudFormation (rule 6: an emergency re-asserts its target)"
    )
    stack: StackState = StackState.STABLE
    is_stuck: bool = Field(
        default=False, description="the deployment exceeded its time limit, and no deployment was forced yet"
    )


class DrainStatus(BaseModel):
    """Progress of a service on its way to zero tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_scaling_active: bool = Field(description="whether autoscaling could start tasks (rule 2: suspend before zero)")
    desired_count: int = Field(ge=0)
    unstopped_tasks: int = Field(ge=0, description="every task that is not STOPPED: draining ones run and write")


def next_service_move(
    snapshot: ServiceSnapshot,
    target_fingerprint: str,
    least_desired_count: int = 0,
    situation: Situation = Situation(),  # noqa: B008 - frozen
) -> ServiceMove:
    """Decide the next move towards the target. The same snapshot gives the same move."""
    is_unobstructed = situation.is_emergency or situation.stack is StackState.STABLE
    if snapshot.primary_fingerprint == target_fingerprint:
        return _settle(snapshot, least_desired_count, situation, is_unobstructed=is_unobstructed)
    if not is_unobstructed and situation.stack is StackState.ROLLING_BACK:
        return ServiceMove.WAIT_FOR_STACK
    if snapshot.is_ecs_rolling_back:
        if snapshot.in_flight_source_fingerprint != target_fingerprint:
            return ServiceMove.UPDATE_SERVICE if situation.is_emergency else ServiceMove.WAIT_FOR_ECS
        return (
            ServiceMove.UPDATE_SERVICE if situation.is_emergency and situation.is_stuck else ServiceMove.WAIT_FOR_TARGET
        )
    if snapshot.in_flight_source_fingerprint == target_fingerprint:
        return ServiceMove.STOP_DEPLOYMENT
    return ServiceMove.UPDATE_SERVICE if is_unobstructed else ServiceMove.WAIT_FOR_STACK


def next_restart_move(status: DrainStatus) -> ServiceMove:
    """Decide the next move of a restart (rule 2: suspend scaling before desired 0, start after all are STOPPED)."""
    if status.is_scaling_active:
        return ServiceMove.SUSPEND_SCALING
    if status.desired_count > 0:
        return ServiceMove.SCALE_TO_ZERO
    return ServiceMove.WAIT_FOR_STOPPED if status.unstopped_tasks else ServiceMove.START_FROM_ZERO


def desired_count_for(target: Release, current_desired_count: int, scaling_maximum: int | None = None) -> int:
    """Return the desired count, never below the recorded one: autoscaling may have shrunk a failing service.

    Args:
        target: the release to run, with its recorded count.
        current_desired_count: the desired count now.
        scaling_maximum: autoscaling's maximum now, which may have been lowered since; None: no bound is known.
    """
    recorded = target.desired_count if scaling_maximum is None else min(target.desired_count, scaling_maximum)
    return max(recorded, current_desired_count)


def _settle(
    snapshot: ServiceSnapshot, least_desired_count: int, situation: Situation, *, is_unobstructed: bool
) -> ServiceMove:
    if snapshot.desired_count < least_desired_count and is_unobstructed:
        return ServiceMove.RAISE_CAPACITY
    is_settled = snapshot.is_primary_completed and not snapshot.other_deployments
    if is_settled and snapshot.running_count >= snapshot.desired_count:
        return ServiceMove.DONE if is_unobstructed else ServiceMove.WAIT_FOR_STACK
    return ServiceMove.FORCE_NEW_DEPLOYMENT if situation.is_stuck and is_unobstructed else ServiceMove.WAIT_FOR_TARGET
