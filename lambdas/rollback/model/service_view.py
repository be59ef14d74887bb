"""An ECS service as it stands: what the steps decide by, cut from four Describe calls."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.model.service_shape import ServiceShape

ROLLING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
IN_FLIGHT = frozenset({"PENDING", "IN_PROGRESS", "STOP_REQUESTED"}) | ROLLING_BACK
ENDED_ELSEWHERE = frozenset({"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED"})


SCALING_FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Deployment(_Frozen):
    """One entry of DescribeServices' `deployments`."""

    id: str
    is_primary: bool
    definition_arn: str
    rollout_state: str
    running_count: int
    created_at: AwareDatetime


class ServiceDeployment(_Frozen):
    """The newest service deployment (ListServiceDeployments); definitions of its target and source revisions."""

    arn: str
    status: str
    target_definition_arn: str
    source_definition_arn: str | None
    created_at: AwareDatetime


class ServiceView(_Frozen):
    """The whole. `images`: definition ARN → container → image by digest, as ECS resolved it for a revision."""

    arn: str
    desired_count: int
    running_count: int
    pending_count: int
    deployments: tuple[Deployment, ...]
    newest: ServiceDeployment | None
    deployment_configuration: dict[str, Any]
    target_groups: tuple[str, ...] = ()
    shape: ServiceShape = ServiceShape()
    images: dict[str, dict[str, str]] = {}
    last_events: tuple[str, ...] = ()

    @property
    def primary(self) -> Deployment:
        """The deployment that decides what will run.

        Raises:
            StopIteration: the service has none; an ACTIVE service always has one.
        """
        return next(d for d in self.deployments if d.is_primary)


class TargetHealth(_Frozen):
    """One target of a target group (DescribeTargetHealth)."""

    target: str
    state: str
    reason: str = ""


class ScalableTarget(_Frozen):
    """How a service is scaled (DescribeScalableTargets); `suspended` are the three flags of SuspendedState."""

    min_capacity: int
    max_capacity: int
    suspended: dict[str, bool]

    @property
    def is_active(self) -> bool:
        """Whether autoscaling could change the desired count now."""
        return not all(self.suspended.get(flag, False) for flag in SCALING_FLAGS)

    def all_suspended(self) -> "ScalableTarget":
        """The same with in, out and scheduled scaling suspended (rule 2)."""
        return self.model_copy(update={"suspended": dict.fromkeys(SCALING_FLAGS, True)})


class ProbeResult(_Frozen):
    """One HTTP request; `status` is None if there was no answer, and `error` then says why."""

    status: int | None
    seconds: float
    error: str = ""
