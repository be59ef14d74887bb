"""State of an ECS service: the members of four Describe operations on which decisions rest."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.resources.aws.service_shape import ServiceShape

ROLLING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
IN_FLIGHT = frozenset({"PENDING", "IN_PROGRESS", "STOP_REQUESTED"}) | ROLLING_BACK
ENDED_ELSEWHERE = frozenset({"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED"})


NO_LOAD_BALANCER = "no load balancer: no requests were counted"
SCALING_FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeployedRevision(_Frozen):
    """Task definition of a deployment, as one service revision resolved it.

    Attributes:
        revision_arn: None if ECS does not name it, or its answers disagree (`resources.aws.primary_revision`).
        deployment_id: `ecs-svc/…`, which tasks have in `startedBy`; None if not known.
    """

    definition_arn: str
    revision_arn: str | None
    began_at: AwareDatetime
    deployment_id: str | None = None


class ServiceRevision(_Frozen):
    """Service revision of DescribeServiceRevisions.

    Attributes:
        images: container → image by digest, as ECS resolved it for the revision.
    """

    definition_arn: str
    images: dict[str, str] = {}


class Deployment(_Frozen):
    """Entry of `deployments` in DescribeServices, where ECS does not name the revision."""

    id: str
    is_primary: bool
    definition_arn: str
    revision_arn: str | None = None
    rollout_state: str
    running_count: int
    created_at: AwareDatetime

    @property
    def deployed(self) -> DeployedRevision:
        """Revision that the deployment runs."""
        return DeployedRevision(
            definition_arn=self.definition_arn,
            revision_arn=self.revision_arn,
            began_at=self.created_at,
            deployment_id=self.id,
        )


class ServiceDeployment(_Frozen):
    """Newest service deployment (ListServiceDeployments), with definitions of its target and source revisions.

    Attributes:
        source_definition_arn: definition to which ECS would go back if the deployment were stopped.
        rollback_revision_arn: revision to which ECS goes, or went, back.
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
        """Revision that the service deployment tries to bring."""
        return DeployedRevision(
            definition_arn=self.target_definition_arn, revision_arn=self.target_revision_arn, began_at=self.created_at
        )

    @property
    def source(self) -> DeployedRevision | None:
        """Revision to which ECS would go back after a stop; None if there is none or it is not known."""
        if self.source_definition_arn is None:
            return None
        return DeployedRevision(
            definition_arn=self.source_definition_arn, revision_arn=self.source_revision_arn, began_at=self.created_at
        )


class ServiceView(_Frozen):
    """View of an ECS service.

    Attributes:
        revisions: ARN → revision, of the newest service deployment and of `currentServiceRevisions`.
        current_revisions: ARN → running tasks (`currentServiceRevisions`); empty if ECS lists none.
        classic_load_balancers: names of Classic Load Balancers, which have no target groups and are not looked at.
    """

    arn: str
    desired_count: int
    running_count: int
    pending_count: int
    deployments: tuple[Deployment, ...]
    newest: ServiceDeployment | None
    deployment_configuration: dict[str, Any]
    target_groups: tuple[str, ...] = ()
    classic_load_balancers: tuple[str, ...] = ()
    shape: ServiceShape = ServiceShape()
    revisions: dict[str, ServiceRevision] = {}
    current_revisions: dict[str, int] = {}
    last_events: tuple[str, ...] = ()

    def images_of(self, revision_arn: str | None) -> dict[str, str]:
        """Return container → image by digest, as ECS resolved it for a revision; empty if ECS lists none."""
        revision = self.revisions.get(revision_arn) if revision_arn is not None else None
        return dict(revision.images) if revision is not None else {}

    def has_revisions_of(self, definition_arn: str) -> bool:
        """Report whether ECS lists a revision with this definition; its deployments may have different revisions."""
        return any(revision.definition_arn == definition_arn for revision in self.revisions.values())

    @property
    def why_not_counted(self) -> str:
        """Reason why no requests are counted and no targets checked; empty if the service has target groups."""
        if self.target_groups:
            return ""
        if self.classic_load_balancers:
            names = ", ".join(self.classic_load_balancers)
            return f"Classic Load Balancer {names} is not looked at: no requests were counted"
        return NO_LOAD_BALANCER

    @property
    def other_deployments(self) -> int:
        """Number of deployments or revisions beside PRIMARY's that still have tasks.

        With early success criteria and DEFERRED clean-up a deployment is COMPLETED while the former revision's tasks
        still run (ECS API reference, DeploymentEarlySuccessCriteria).
        """
        listed = sum(1 for deployment in self.deployments if not deployment.is_primary)
        with_tasks = sum(1 for running in self.current_revisions.values() if running > 0)
        return max(listed, with_tasks - 1)

    @property
    def why_not_stable(self) -> tuple[str, ...]:
        """Reasons why PRIMARY is not alone and complete, which COMPLETED alone does not mean; empty if stable."""
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
        """Deployment that decides what will run.

        Raises:
            StopIteration: the service has no PRIMARY deployment; an ACTIVE service always has one.
        """
        return next(d for d in self.deployments if d.is_primary)


class TargetHealth(_Frozen):
    """Target of a target group (DescribeTargetHealth)."""

    target: str
    state: str
    reason: str = ""


class ScalableTarget(_Frozen):
    """Scalable target of a service (DescribeScalableTargets).

    Attributes:
        suspended: the three flags of SuspendedState.
    """

    min_capacity: int
    max_capacity: int
    suspended: dict[str, bool]

    @property
    def is_active(self) -> bool:
        """Whether Application Auto Scaling could change the desired count now."""
        return not all(self.suspended.get(flag, False) for flag in SCALING_FLAGS)

    def all_suspended(self) -> "ScalableTarget":
        """Return the same target with all scaling suspended.

        Rule 2: in, out and scheduled scaling are suspended before the desired count becomes 0.
        """
        return self.model_copy(update={"suspended": dict.fromkeys(SCALING_FLAGS, True)})


class ProbeResult(_Frozen):
    """Result of an HTTP probe.

    Attributes:
        status: None without an answer; `error` then says why.
        body: beginning of the body, if the probe asked for it.
    """

    status: int | None
    seconds: float
    error: str = ""
    body: str = ""
