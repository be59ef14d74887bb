"""Ports to Amazon ECS: services, one-off tasks, and the scaling of a service's desired count."""

from collections.abc import Mapping
from typing import Any, Protocol

from rollback.domain.settings.environment import ServiceSettings
from rollback.effects import changes_state, reads
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.resources.aws.ecs_task import ServiceTask, TaskView


class Services(Protocol):
    """ECS services and task definitions. The SDK never retries a method that changes state."""

    @reads
    def describe(self, service: ServiceSettings) -> ServiceView:
        """Describe the service as ECS reports it now.

        Raises:
            UnsupportedService: the service is gone or not ACTIVE.
            UnsupportedKind: the service is a daemon, or not deployed by ECS's rolling update.
        """
        ...

    @reads
    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        """Return `taskDefinition` of DescribeTaskDefinition with its `tags`, or None if ECS has no such definition.

        A family means its newest ACTIVE revision.
        """
        ...

    @changes_state
    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """Register a task definition in a family and return its ARN.

        Args:
            definition: as ECS described it or as the ledger stored it. Members unknown to this code are sent too,
                unless ECS refuses them.
            family: family to register in.
            release: fingerprint of the release, kept as a tag: ECS may add defaults to the registered definition.
            tags: tags of the release's own definition; None adds no others.
        """
        ...

    @reads
    def task_images(self, service: ServiceSettings, definition_arn: str, deployment_id: str | None) -> dict[str, str]:
        """Return container → image by digest, read from the running tasks of a definition.

        A container whose tasks run different images is left out.

        Args:
            service: the service.
            definition_arn: the tasks' definition.
            deployment_id: `ecs-svc/…` limits the answer to tasks of this deployment; None counts all tasks.
        """
        ...

    @changes_state
    def update(
        self,
        service: ServiceSettings,
        *,
        definition_arn: str | None = None,
        desired_count: int | None = None,
        deployment_configuration: Mapping[str, Any] | None = None,
        force_new_deployment: bool = False,
    ) -> None:
        """Update the service with the given values only; ECS keeps everything else."""
        ...

    @reads
    def unstopped_tasks(self, service: ServiceSettings) -> int:
        """Count the tasks whose last status is not STOPPED; stopping and draining tasks still run."""
        ...

    @reads
    def service_tasks(self, service: ServiceSettings) -> tuple[ServiceTask, ...]:
        """List the tasks of the service that run now or stopped within about an hour, of all its deployments."""
        ...

    @reads
    def has_container_insights(self, cluster: str) -> bool:
        """Report whether the cluster publishes running and desired task counts (`enabled` or `enhanced`)."""
        ...

    @changes_state
    def stop_deployment(self, service_deployment_arn: str) -> None:
        """Stop a deployment in flight, so that ECS rolls it back to its source.

        Raises:
            ExternalServiceError: the deployment ended before the call, or the call failed. Describe the service again.
        """
        ...


class Tasks(Protocol):
    """One-off tasks of a service's release, which run migrations. The SDK retries nothing here."""

    @changes_state
    def run(
        self, service: ServiceSettings, definition_arn: str, command: tuple[str, ...], started_by: str, token: str
    ) -> str:
        """Start a task in the service's network, with another command for its container, and return its ARN.

        Args:
            service: the service whose network and container the task uses.
            definition_arn: task definition.
            command: command in place of the container's own.
            started_by: up to 128 letters, numbers, `-`, `/` and `_`; the method `started_by` finds the task by it.
            token: up to 64 characters; the same token with the same arguments starts no second task.

        Raises:
            RequestRefused: no task was started, and none will be.
            Throttled: no task was started; the same call may be sent again.
            OutcomeUnknown: a task may have been started.
        """
        ...

    @reads
    def started_by(self, service: ServiceSettings, started_by: str) -> tuple[TaskView, ...]:
        """List the tasks with this `startedBy` that run now or stopped within the last hour."""
        ...

    @reads
    def describe(self, service: ServiceSettings, arn: str) -> TaskView | None:
        """Describe one task, or return None if ECS does not (or no longer) know it."""
        ...

    @reads
    def logs(self, service: ServiceSettings, arn: str, lines: int) -> tuple[str, ...]:
        """Return the last lines that the task's container wrote to CloudWatch Logs.

        The answer is empty if the container logs elsewhere or its lines have not arrived yet.
        """
        ...

    @changes_state
    def stop(self, service: ServiceSettings, arn: str, reason: str) -> None:
        """Stop a task; a task that has already ended counts as success."""
        ...


class Scaling(Protocol):
    """Application Auto Scaling of an ECS service's desired count."""

    @reads
    def describe(self, service: ServiceSettings) -> ScalableTarget | None:
        """Return the scalable target, or None if the service is not scaled automatically."""
        ...

    @reads
    def predictive_policies(self, service: ServiceSettings) -> tuple[str, ...]:
        """Name the policies that scale by forecast: no flag of the scalable target suspends them."""
        ...

    @changes_state
    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        """Register exactly this target.

        Rule 2: any registration lifts the desired count to the minimum capacity.
        """
        ...
