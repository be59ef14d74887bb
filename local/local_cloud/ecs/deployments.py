"""Records that ECS keeps of a service: service revisions, deployments and service deployments."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local_cloud.ecr import images
from local_cloud.ecs.tasks import Task

FINISHED = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
DEFAULT_CONFIGURATION: dict[str, Any] = {
    "strategy": "ROLLING",
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
}


def now() -> datetime:
    """Return the present time in aware UTC."""
    return datetime.now(UTC)


def _arn(service: Any, kind: str) -> str:
    prefix = str(service.cluster_arn).rpartition(":")[0]
    return f"{prefix}:{kind}/{service.cluster_name}/{service.name}/{secrets.randbelow(10**19):019d}"


@dataclass(eq=False)
class ServiceRevision:
    """A task definition with the service's settings and the image digests that ECS resolved for it."""

    service: Any
    definition: Any
    settings: dict[str, Any]
    arn: str = ""
    created_at: datetime = field(default_factory=now)
    images: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.arn = _arn(self.service, "service-revision")
        for container in self.definition.container_definitions:
            if container.get("versionConsistency") == "disabled":
                continue  # each task resolves the tag when it starts
            try:
                self.images[container["name"]] = images.pull(str(container["image"])).digest
            except images.CannotPullContainerError:
                continue  # no digest to pin: each task tries to pull, and fails

    def to_api_shape(self) -> dict[str, Any]:
        """Return the API's ServiceRevision shape."""
        return {
            "serviceRevisionArn": self.arn,
            "serviceArn": self.service.arn,
            "clusterArn": self.service.cluster_arn,
            "taskDefinition": self.definition.arn,
            "createdAt": self.created_at,
            "platformFamily": "Linux",
            "containerImages": [
                {"containerName": c["name"], "image": c["image"]}
                | ({"imageDigest": self.images[c["name"]]} if c["name"] in self.images else {})
                for c in self.definition.container_definitions
            ],
            **self.settings,
        }


@dataclass(eq=False)
class Deployment:
    """One entry of ``deployments`` in DescribeServices, with its tasks."""

    revision: ServiceRevision
    desired_count: int
    is_rollback: bool = False
    id: str = field(default_factory=lambda: f"ecs-svc/{secrets.randbelow(10**19):019d}")
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    reason: str = ""
    failed_tasks: int = 0
    tasks: list[Task] = field(default_factory=list)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        self.reason = f"ECS deployment {self.id} in progress."

    @property
    def live(self) -> list[Task]:
        """Tasks that are neither draining nor stopped."""
        return [task for task in self.tasks if task.is_live]

    @property
    def running_count(self) -> int:
        """Number of tasks in RUNNING."""
        return sum(task.status == "RUNNING" for task in self.tasks)

    @property
    def pending_count(self) -> int:
        """Number of tasks on their way to RUNNING."""
        return len(self.live) - self.running_count

    @property
    def ready_count(self) -> int:
        """Number of tasks that are running and healthy."""
        return sum(task.is_ready for task in self.tasks)

    def to_api_shape(self) -> dict[str, Any]:
        """Return the API's Deployment shape."""
        return {
            "id": self.id,
            "status": self.status,
            "taskDefinition": self.revision.definition.arn,
            "desiredCount": self.desired_count if self.status == "PRIMARY" else len(self.live),
            "pendingCount": self.pending_count,
            "runningCount": self.running_count,
            "failedTasks": self.failed_tasks,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "platformFamily": "Linux",
            "rolloutState": self.rollout_state,
            "rolloutStateReason": self.reason,
            **{key: value for key, value in self.revision.settings.items() if key != "loadBalancers"},
        }


@dataclass(eq=False)
class ServiceDeployment:
    """A service deployment, from the request until it is successful, rolled back or stopped."""

    service: Any
    deployment: Deployment
    sources: list[dict[str, Any]]
    configuration: dict[str, Any]
    threshold: int
    arn: str = ""
    status: str = "IN_PROGRESS"
    reason: str | None = None
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    rollback: dict[str, Any] | None = None
    rollback_deployment: Deployment | None = None

    def __post_init__(self) -> None:
        self.arn = _arn(self.service, "service-deployment")

    @property
    def is_finished(self) -> bool:
        """Whether the status is final."""
        return self.status in FINISHED

    def enter(self, status: str, reason: str | None = None) -> None:
        """Change the status; a final one sets the time of the end."""
        self.status, self.updated_at = status, now()
        self.reason = reason or self.reason
        if self.is_finished:
            self.finished_at = self.updated_at

    def to_brief_api_shape(self) -> dict[str, Any]:
        """Return the API's ServiceDeploymentBrief shape."""
        return {
            "serviceDeploymentArn": self.arn,
            "serviceArn": self.service.arn,
            "clusterArn": self.service.cluster_arn,
            "createdAt": self.created_at,
            "startedAt": self.created_at,
            "finishedAt": self.finished_at,
            "targetServiceRevisionArn": self.deployment.revision.arn,
            "status": self.status,
            "statusReason": self.reason,
        }

    def to_api_shape(self) -> dict[str, Any]:
        """Return the API's ServiceDeployment shape."""
        breaker = (self.configuration.get("deploymentCircuitBreaker") or {}).get("enable", False)
        triggered = self.deployment.failed_tasks >= self.threshold
        brief = self.to_brief_api_shape()
        del brief["targetServiceRevisionArn"]
        return {
            **brief,
            "updatedAt": self.updated_at,
            "stoppedAt": self.stopped_at,
            "sourceServiceRevisions": self.sources,
            "targetServiceRevision": revision_summaries([self.deployment])[0],
            "deploymentConfiguration": self.configuration,
            "lifecycleStage": "CLEAN_UP" if self.is_finished else "SCALE_UP",
            "rollback": self.rollback,
            "deploymentCircuitBreaker": {
                "status": ("TRIGGERED" if triggered else "MONITORING") if breaker else "DISABLED",
                "failureCount": self.deployment.failed_tasks,
                "threshold": self.threshold,
            },
        }


def revision_summaries(deployments: Sequence[Deployment]) -> list[dict[str, Any]]:
    """Return the API's ServiceRevisionSummary shape, one for each revision. Deployments may share a revision."""
    summaries: dict[str, dict[str, Any]] = {}
    for deployment in deployments:
        counts = {
            "requestedTaskCount": deployment.desired_count,
            "runningTaskCount": deployment.running_count,
            "pendingTaskCount": deployment.pending_count,
        }
        summary = summaries.setdefault(deployment.revision.arn, {"arn": deployment.revision.arn})
        summary.update({name: summary.get(name, 0) + count for name, count in counts.items()})
    return list(summaries.values())
