"""State of ECS tasks: of one-off tasks, and of the tasks of a service, with the question whether a task failed.

Sources: Amazon ECS API reference, "Task" (`stopCode`, `healthStatus`) and "DescribeTasks": stopped tasks are listed for
at least one hour. Developer guide, "Amazon ECS stopped tasks error messages": `Task failed container health checks`.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.resources.aws.ecs_service import Deployment

FAILURE_WINDOW = timedelta(minutes=5)  # a single failure leaves it, a crash loop does not
LISTED_MINUTES = 60  # ECS may leave out tasks that stopped earlier
_BY_SIGNAL = frozenset({137, 143})  # 128 + SIGKILL, 128 + SIGTERM: ECS sends both to the other containers of a task
_FAILED_HEALTH_CHECK = "task failed container health checks"
_CREDENTIALS = re.compile(r"://[^/\s@]*@")


class TaskView(BaseModel):
    """Task that a rollback started.

    Attributes:
        command: command of the container, in place of its image's own.
        started: the containers ran; False for a task that ECS could not start.
        exit_code: of the container; None if the container has not ended, or never began.
        reason: ECS's reason why the task stopped.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    arn: str
    command: tuple[str, ...]
    is_stopped: bool
    started: bool = False
    exit_code: int | None = None
    reason: str = ""


def without_passwords(line: str) -> str:
    """Remove passwords from a line of a log: tools log the URI to which they failed to connect."""
    return _CREDENTIALS.sub("://…@", line)


class ServiceTask(BaseModel):
    """Task of a service, running or stopped within about an hour.

    Attributes:
        deployment_id: `ecs-svc/…`, the deployment that started the task; empty if ECS does not name it.
        stop_code: `stopCode`; empty while the task runs.
        stop_reason: `stoppedReason`, with the reasons of its containers.
        exit_codes: container → exit code, of the containers that have one.
        is_unhealthy: a container fails the health check of its own definition.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arn: str
    definition_arn: str
    deployment_id: str = ""
    is_stopped: bool = False
    stopped_at: AwareDatetime | None = None
    stop_code: str = ""
    stop_reason: str = ""
    exit_codes: dict[str, int] = {}
    is_unhealthy: bool = False

    @property
    def id(self) -> str:
        """Last part of the ARN."""
        return self.arn.rsplit("/", 1)[-1]


def is_of_deployment(task: ServiceTask, deployment: Deployment) -> bool:
    """Whether a deployment started the task; without its id the definition decides."""
    if task.deployment_id:
        return task.deployment_id == deployment.id
    return task.definition_arn == deployment.definition_arn


def failures_since(
    since: datetime, tasks: Iterable[ServiceTask], deployment: Deployment, container: str
) -> dict[str, str]:
    """Return task → failure, of the tasks of a deployment that stopped since a time.

    Args:
        since: begin.
        tasks: tasks of the service.
        deployment: the deployment whose tasks are judged.
        container: the service's own container.
    """
    return {
        task.id: failure
        for task in tasks
        if is_of_deployment(task, deployment) and task.stopped_at is not None and task.stopped_at >= since
        if (failure := why_failed(task, container)) is not None
    }


def why_failed(task: ServiceTask, container: str) -> str | None:
    """Say how a stopped task failed; None: ECS, an operator or a scale-in stopped the task, or its code was 0.

    Args:
        task: a task.
        container: the service's own container. If this container ends with 0, ECS stops the others by a signal, and
            their codes are no failure.
    """
    match task.stop_code:
        case "TaskFailedToStart":
            return f"could not start{_because(task)}"
        case "EssentialContainerExited":
            return _why_exit_failed(task, container)
        case "ServiceSchedulerInitiated" if task.stop_reason.lower().startswith(_FAILED_HEALTH_CHECK):
            return "failed its container's health check"
        case _:
            return None


def has_ended_well(task: ServiceTask, container: str) -> bool:
    """Whether the task ended of itself, and not by a failure: a service restarts such a task too."""
    return task.stop_code == "EssentialContainerExited" and why_failed(task, container) is None


def _why_exit_failed(task: ServiceTask, container: str) -> str | None:
    codes = {name: code for name, code in task.exit_codes.items() if code != 0}
    if not task.exit_codes:
        return f"ended without an exit code{_because(task)}"
    if task.exit_codes.get(container) == 0 and set(codes.values()) <= _BY_SIGNAL:
        return None
    if not codes:
        return None
    shown = container if container in codes else min(codes)
    return f"ended: exit code {codes[shown]} of container {shown}{_because(task)}"


def _because(task: ServiceTask) -> str:
    return f" ({task.stop_reason[:200]})" if task.stop_reason else ""
