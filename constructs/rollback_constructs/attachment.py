"""What a rollback stack knows of a service that runs already, whoever made it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attachment:
    """One ECS service and what is around it; strings may be CDK tokens.

    `load_balancer` and `target_groups` are full names as CloudWatch's dimensions have them: `app/<name>/<id>` and
    `targetgroup/<name>/<id>`. Roles are those that its task definitions name, before and after.
    `load_balancer_shared`: others answer through it too, so that the errors it gives by itself are not this service's.
    `environment_file_buckets`: S3 buckets of the `environmentFiles` of its task definitions, whose keys are listed.
    `error_log_pattern`: None takes that of the alarms' settings.
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
