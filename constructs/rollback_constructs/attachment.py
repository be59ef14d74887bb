"""Description of a running service for its rollback stack, whichever stack or tool deploys the service."""

from dataclasses import dataclass

from rollback_constructs.settings.service import Service


@dataclass(frozen=True)
class Attachment:
    """One ECS service and the resources around it; strings may be CDK tokens.

    Attributes:
        load_balancer: full name as in CloudWatch's dimension, `app/<name>/<id>`.
        target_groups: full names as in CloudWatch's dimension, `targetgroup/<name>/<id>`.
        task_role_arns: task roles that its task definitions name, old and new ones.
        execution_role_arns: execution roles that its task definitions name, old and new ones.
        load_balancer_shared: other services use the load balancer too, so its own errors may be theirs.
        error_log_pattern: filter pattern of error lines; None: the pattern in the alarms' settings.
        environment_file_buckets: S3 buckets of the `environmentFiles` of its task definitions.
    """

    name: str
    cluster: str
    ecs_service: str
    load_balancer: str
    target_groups: tuple[str, ...]
    task_role_arns: tuple[str, ...]
    execution_role_arns: tuple[str, ...]
    log_group: str
    repository: str
    url: str | None = None
    load_balancer_shared: bool = False
    error_log_pattern: str | None = None
    environment_file_buckets: tuple[str, ...] = ()


def to_attachment(service: Service) -> Attachment:
    """Return the description of a service whose settings have `existing`.

    Raises:
        ValueError: a stack creates the service, and describes it itself.
    """
    if service.existing is None:
        raise ValueError(f"service {service.name!r} has no `existing`: a stack creates it")
    shared = {
        "load_balancer_shared": service.shares_balancer,
        "error_log_pattern": service.error_log_pattern,
        "environment_file_buckets": service.environment_file_buckets,
    }
    return Attachment(
        name=service.name,
        cluster=service.cluster,
        ecs_service=service.ecs_service,
        **{**dict(service.existing), **shared},
    )
