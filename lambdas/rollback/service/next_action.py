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
    WAIT_FOR_TARGET = "wait_for_target"  # adopt a deployment of the target, by whomever it was started
    WAIT_FOR_ECS = "wait_for_ecs"  # ECS rolls back to another release: deploy after that
    WAIT_FOR_STACK = "wait_for_stack"  # CloudFormation changes the service: deploy after that
    WAIT_FOR_STOPPED = "wait_for_stopped"  # draining tasks still run, and write
    STOP_DEPLOYMENT = "stop_deployment"
    UPDATE_SERVICE = "update_service"
    RAISE_CAPACITY = "raise_capacity"  # the target runs, but on less than it was recorded with
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
    primary_completed: bool
    other_deployments: int = Field(ge=0, description="deployments or revisions besides PRIMARY that still have tasks")
    running_count: int = Field(ge=0)
    desired_count: int = Field(ge=0)
    in_flight_source_fingerprint: str | None = Field(
        default=None, description="source revision of the deployment in flight; None if none is, or if it had no source"
    )
    ecs_is_rolling_back: bool = False


class Situation(BaseModel):
    """The circumstances of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    emergency: bool = Field(
        default=False, description="proceed over ECS and CloudFormation (rule 6: an emergency re-asserts its target)"
    )
    stack: StackState = StackState.STABLE
    is_stuck: bool = Field(default=False, description="the deployment had its time, and was not forced yet")


class DrainStatus(BaseModel):
    """Progress of a service on its way to zero tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scaling_is_active: bool = Field(description="whether autoscaling could start tasks (rule 2: suspend before zero)")
    desired_count: int = Field(ge=0)
    unstopped_tasks: int = Field(ge=0, description="every task that is not STOPPED: draining ones run and write")


def next_service_move(
    snapshot: ServiceSnapshot,
    target_fingerprint: str,
    least_desired_count: int = 0,
    situation: Situation = Situation(),  # noqa: B008 - frozen
) -> ServiceMove:
    """Decide the next move towards the target; the same again when nothing changed in between."""
    alone = situation.emergency or situation.stack is StackState.STABLE
    if snapshot.primary_fingerprint == target_fingerprint:
        return _settle(snapshot, least_desired_count, situation, alone=alone)
    if not alone and situation.stack is StackState.ROLLING_BACK:
        return ServiceMove.WAIT_FOR_STACK
    if snapshot.ecs_is_rolling_back:
        if snapshot.in_flight_source_fingerprint != target_fingerprint:
            return ServiceMove.UPDATE_SERVICE if situation.emergency else ServiceMove.WAIT_FOR_ECS
        return ServiceMove.UPDATE_SERVICE if situation.emergency and situation.is_stuck else ServiceMove.WAIT_FOR_TARGET
    if snapshot.in_flight_source_fingerprint == target_fingerprint:
        return ServiceMove.STOP_DEPLOYMENT
    return ServiceMove.UPDATE_SERVICE if alone else ServiceMove.WAIT_FOR_STACK


def next_restart_move(seen: DrainStatus) -> ServiceMove:
    """Decide the next move of a restart (rule 2: suspend scaling before desired 0, start after all are STOPPED)."""
    if seen.scaling_is_active:
        return ServiceMove.SUSPEND_SCALING
    if seen.desired_count > 0:
        return ServiceMove.SCALE_TO_ZERO
    return ServiceMove.WAIT_FOR_STOPPED if seen.unstopped_tasks else ServiceMove.START_FROM_ZERO


def desired_count_for(target: Release, current_desired_count: int, scaling_maximum: int | None = None) -> int:
    """Return the desired count, never below the recorded one: autoscaling may have shrunk a failing service.

    Args:
        target: the release to run, with its recorded count.
        current_desired_count: the desired count now.
        scaling_maximum: autoscaling's maximum now, which may have been lowered since; None: no bound is known.
    """
    recorded = target.desired_count if scaling_maximum is None else min(target.desired_count, scaling_maximum)
    return max(recorded, current_desired_count)


def _settle(snapshot: ServiceSnapshot, least_desired_count: int, situation: Situation, *, alone: bool) -> ServiceMove:
    if snapshot.desired_count < least_desired_count and alone:
        return ServiceMove.RAISE_CAPACITY
    settled = snapshot.primary_completed and not snapshot.other_deployments
    if settled and snapshot.running_count >= snapshot.desired_count:
        return ServiceMove.DONE if alone else ServiceMove.WAIT_FOR_STACK
    return ServiceMove.FORCE_NEW_DEPLOYMENT if situation.is_stuck and alone else ServiceMove.WAIT_FOR_TARGET
