"""An ECS service as it stands: what the steps decide by, cut from four Describe calls."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.resources.aws.service_shape import ServiceShape

ROLLING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
IN_FLIGHT = frozenset({"PENDING", "IN_PROGRESS", "STOP_REQUESTED"}) | ROLLING_BACK
ENDED_ELSEWHERE = frozenset({"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED"})


SCALING_FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeployedRevision(_Frozen):
    """What a deployment runs: a task definition as one service revision resolved it.

    Attributes:
        revision_arn: None: ECS does not tell, or its answers disagree (`model.primary_revision`).
        deployment_id: `ecs-svc/…`, which the tasks name in `startedBy`; None: not known.
    """

    definition_arn: str
    revision_arn: str | None
    began_at: AwareDatetime
    deployment_id: str | None = None


class ServiceRevision(_Frozen):
    """One of DescribeServiceRevisions. `images`: container → image by digest, as ECS resolved it for the revision."""

    definition_arn: str
    images: dict[str, str] = {}


class Deployment(_Frozen):
    """One entry of DescribeServices' `deployments`; ECS does not name its revision there."""

    id: str
    is_primary: bool
    definition_arn: str
    revision_arn: str | None = None
    rollout_state: str
    running_count: int
    created_at: AwareDatetime

    @property
    def deployed(self) -> DeployedRevision:
        """What it runs."""
        return DeployedRevision(
            definition_arn=self.definition_arn,
            revision_arn=self.revision_arn,
            began_at=self.created_at,
            deployment_id=self.id,
        )


class ServiceDeployment(_Frozen):
    """The newest service deployment (ListServiceDeployments); definitions of its target and source revisions.

    `source_…` is where a stop would go back to; `rollback_revision_arn`: where ECS goes, or went, back to.
    """

    arn: str
    status: str
    target_definition_arn: str
    target_revision_arn: str | None = None
    source_definition_arn: str | None
    source_revision_arn: str | None = None
    rollback_revision_arn: str | None = None
    created_at: AwareDatetime
    finished_at: AwareDatetime | None = None

    @property
    def target(self) -> DeployedRevision:
        """What it tried to bring."""
        return DeployedRevision(
            definition_arn=self.target_definition_arn, revision_arn=self.target_revision_arn, began_at=self.created_at
        )

    @property
    def source(self) -> DeployedRevision | None:
        """Where a stop would go back to; None: not known, or nowhere."""
        if self.source_definition_arn is None:
            return None
        return DeployedRevision(
            definition_arn=self.source_definition_arn, revision_arn=self.source_revision_arn, began_at=self.created_at
        )


class ServiceView(_Frozen):
    """The whole.

    Attributes:
        revisions: by ARN, those that the newest service deployment and `currentServiceRevisions` name.
        current_revisions: ARN → running tasks (`currentServiceRevisions`); empty where ECS tells none.
    """

    arn: str
    desired_count: int
    running_count: int
    pending_count: int
    deployments: tuple[Deployment, ...]
    newest: ServiceDeployment | None
    deployment_configuration: dict[str, Any]
    target_groups: tuple[str, ...] = ()
    shape: ServiceShape = ServiceShape()
    revisions: dict[str, ServiceRevision] = {}
    current_revisions: dict[str, int] = {}
    last_events: tuple[str, ...] = ()

    def images_of(self, revision_arn: str | None) -> dict[str, str]:
        """Container → image by digest, as ECS resolved it for a revision; empty where ECS tells none."""
        found = self.revisions.get(revision_arn) if revision_arn is not None else None
        return dict(found.images) if found is not None else {}

    def has_revisions_of(self, definition_arn: str) -> bool:
        """Whether ECS tells of a revision with this definition: its deployments may be of different ones."""
        return any(one.definition_arn == definition_arn for one in self.revisions.values())

    @property
    def other_deployments(self) -> int:
        """Deployments or revisions beside PRIMARY's that still have tasks.

        With early success criteria and DEFERRED clean-up a deployment is COMPLETED while the former revision's tasks
        still run (ECS API reference, DeploymentEarlySuccessCriteria).
        """
        listed = sum(1 for one in self.deployments if not one.is_primary)
        with_tasks = sum(1 for running in self.current_revisions.values() if running > 0)
        return max(listed, with_tasks - 1)

    @property
    def why_not_stable(self) -> tuple[str, ...]:
        """What keeps PRIMARY from being alone and complete; COMPLETED alone does not say so. Empty: it is stable."""
        problems = []
        if self.primary.rollout_state != "COMPLETED":
            problems.append(f"its rollout is {self.primary.rollout_state}")
        if self.running_count < self.desired_count:
            problems.append(f"{self.running_count} of {self.desired_count} tasks run")
        if self.other_deployments:
            problems.append("an older deployment still has tasks")
        return tuple(problems)

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
    """One HTTP request; `status` is None if there was no answer, and `error` then says why.

    `body`: the beginning of it, only where it was asked for.
    """

    status: int | None
    seconds: float
    error: str = ""
    body: str = ""
