"""Description of a running service for its rollback stack, whichever stack or tool deploys the service."""

from dataclasses import dataclass

from rollback.domain.settings.watched import ExtraAlarm, Queue
from rollback_constructs.settings.service import Service


@dataclass(frozen=True, kw_only=True)
class AttachedBalancer:
    """A load balancer, and the service's target groups behind it; strings may be CDK tokens.

    Attributes:
        name: full name as in CloudWatch's dimension, `app/<name>/<id>` or `net/<name>/<id>`.
        target_groups: full names as in CloudWatch's dimension, `targetgroup/<name>/<id>`.
        is_shared: other services use the load balancer too, so its own errors may be theirs.
        is_network: a Network Load Balancer; True is needed if the name is a token, which has no `net/` to read.
    """

    name: str
    target_groups: tuple[str, ...]
    is_shared: bool = False
    is_network: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_network", self.is_network or self.name.startswith("net/"))


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """One ECS service and the resources around it; strings may be CDK tokens.

    Attributes:
        load_balancer: full name as in CloudWatch's dimension, `app/<name>/<id>`; None: none, or `load_balancers`.
        target_groups: full names as in CloudWatch's dimension, `targetgroup/<name>/<id>`.
        load_balancers: the load balancers of a service with several, in place of the two above.
        task_role_arns: task roles that its task definitions name, old and new ones.
        execution_role_arns: execution roles that its task definitions name, old and new ones.
        log_group: name of the log group; None: no alarm counts error lines.
        repository: name of the repository of its image, or its ARN if it is of another account or region; None: the
            image is not in ECR.
        sidecar_repositories: the same of its other containers' images.
        container: name of the container whose exit code says whether a task failed; None: that of any container.
        queues: SQS queues by their names.
        extra_alarms: alarms of the team's own by their names.
        load_balancer_shared: other services use the load balancer too, so its own errors may be theirs.
        error_log_pattern: filter pattern of error lines; None: the pattern in the alarms' settings.
        environment_file_buckets: S3 buckets of the `environmentFiles` of its task definitions.
    """

    name: str
    cluster: str
    ecs_service: str
    task_role_arns: tuple[str, ...]
    execution_role_arns: tuple[str, ...]
    load_balancer: str | None = None
    target_groups: tuple[str, ...] = ()
    load_balancers: tuple[AttachedBalancer, ...] = ()
    log_group: str | None = None
    repository: str | None = None
    sidecar_repositories: tuple[str, ...] = ()
    container: str | None = None
    queues: tuple[Queue, ...] = ()
    extra_alarms: tuple[ExtraAlarm, ...] = ()
    url: str | None = None
    load_balancer_shared: bool = False
    error_log_pattern: str | None = None
    environment_file_buckets: tuple[str, ...] = ()

    @property
    def balancers(self) -> tuple[AttachedBalancer, ...]:
        """The load balancers, whichever attribute describes them; none for a worker."""
        if self.load_balancer is None:
            return self.load_balancers
        balancer = AttachedBalancer(
            name=self.load_balancer, target_groups=self.target_groups, is_shared=self.load_balancer_shared
        )
        return (balancer,)

    @property
    def is_worker(self) -> bool:
        """Whether the service has no load balancer."""
        return not self.balancers


def to_attachment(service: Service) -> Attachment:
    """Return the description of a service whose settings have `existing`.

    Raises:
        ValueError: a stack creates the service, and describes it itself.
    """
    if service.existing is None:
        raise ValueError(f"service {service.name!r} has no `existing`: a stack creates it")
    existing = service.existing
    return Attachment(
        name=service.name,
        cluster=service.cluster,
        ecs_service=service.ecs_service,
        container=service.container,
        load_balancers=tuple(
            AttachedBalancer(
                name=balancer.load_balancer,
                target_groups=balancer.target_groups,
                is_shared=service.is_shared(balancer),
            )
            for balancer in existing.balancers
        ),
        task_role_arns=existing.task_role_arns,
        execution_role_arns=existing.execution_role_arns,
        log_group=existing.log_group,
        repository=existing.repository,
        sidecar_repositories=existing.sidecar_repositories,
        queues=service.queues,
        extra_alarms=service.extra_alarms,
        error_log_pattern=service.error_log_pattern,
        environment_file_buckets=service.environment_file_buckets,
    )
