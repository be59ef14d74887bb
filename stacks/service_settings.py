"""Settings of one service of an environment: an existing service, or a workload that `ServiceStack` creates."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rollback.domain.settings.environment import ServiceSettings
from rollback.names import MAX_TARGET_GROUPS


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Existing(_Strict):
    """A service that another stack or tool deploys; full names with random suffixes, as alarm dimensions need them."""

    load_balancer: str = Field(
        pattern=r"^app/[^/]+/[^/]+$", description="full name of the load balancer, `app/<name>/<id>`"
    )
    target_groups: tuple[str, ...] = Field(
        min_length=1,
        max_length=MAX_TARGET_GROUPS,
        description="full names of the service's target groups, `targetgroup/<name>/<id>`",
    )
    task_role_arns: tuple[str, ...] = Field(
        default=(), description="task roles that the service's definitions name; a rollback has to pass them to ECS"
    )
    execution_role_arns: tuple[str, ...] = Field(
        min_length=1,
        description="execution roles that the service's definitions name; a rollback has to pass them to ECS",
    )
    log_group: str = Field(min_length=1, description="log group of the service's container")
    repository: str = Field(min_length=1, description="ECR repository of the service's image")

    @model_validator(mode="after")
    def _require_full_names(self) -> Self:
        for name in self.target_groups:
            if name.count("/") != 2 or not name.startswith("targetgroup/"):
                raise ValueError(f"target_groups has {name!r}; allowed is targetgroup/<name>/<id>")
        if len(set(self.target_groups)) < len(self.target_groups):
            raise ValueError("target_groups has a target group twice; allowed is each once")
        return self


class Workload(_Strict):
    """A service that `ServiceStack` creates."""

    family: str = Field(min_length=1, description="task definition family")
    repository: str = Field(min_length=1, description="ECR repository that the stack creates")
    log_group: str = Field(pattern="^/?[A-Za-z0-9._/#-]+$", description="log group that the stack creates")
    port: int = Field(default=3040, ge=1, le=65535, description="port of the container")
    cpu: int = Field(default=512, ge=256, description="CPU units of a task; 1024 are one vCPU")
    memory_mib: int = Field(default=1024, ge=512, description="memory of a task")
    image_tag: str = Field(
        default="latest", min_length=1, description="tag of the first image; the pipeline deploys later ones"
    )
    initial_desired_count: int | None = Field(
        default=None,
        ge=0,
        description="default: a deployment keeps the running count; 0 while the ECR repository is empty",
    )
    health_check_path: str = Field(default="/health", pattern="^/", description="path that the load balancer asks for")
    health_check_interval_seconds: int = Field(
        default=15, ge=5, le=300, description="time between two health checks of a target"
    )
    health_check_grace_seconds: int = Field(
        default=60, ge=0, description="time after a task's start in which ECS ignores failed health checks"
    )
    unhealthy_threshold: int = Field(
        default=2, ge=2, le=10, description="failed health checks in a row that make a target unhealthy"
    )
    deregistration_delay_seconds: int = Field(
        default=30,
        ge=0,
        le=3600,
        description="time that the load balancer gives a leaving target to finish its requests",
    )
    variables: dict[str, str] = Field(
        default_factory=dict, description="environment variables of the container; no secrets"
    )
    secrets: dict[str, str] = Field(default_factory=dict, description="variable → Secrets Manager ARN")
    certificate_arn: str | None = Field(
        default=None, description="certificate for HTTPS; without it the listener is HTTP"
    )
    nat_gateways: int = Field(default=1, ge=0, description="0 puts the tasks into public subnets")
    retain: bool = Field(
        default=True,
        description="keep repository and logs after the stack; protect stack and load balancer from deletion",
    )
    max_images: int = Field(
        default=100, ge=1, description="ECR expires more images than that, except last-known-good-*"
    )


class Service(ServiceSettings):
    """One service: the settings that the functions read, and either `existing` or `workload`."""

    existing: Existing | None = Field(default=None, description="a service that another stack or tool deploys")
    workload: Workload | None = Field(default=None, description="a service that this product's service stack creates")
    error_log_pattern: str | None = Field(
        default=None,
        min_length=1,
        description="CloudWatch Logs filter pattern of error lines; default: that of `alarms`. Selects the service's "
        "own lines where several services log to one group",
    )
    environment_file_buckets: tuple[str, ...] = Field(
        default=(),
        description="names of the S3 buckets of the definitions' `environmentFiles`; without them readiness can't "
        "check that the files exist",
    )

    @property
    def shares_balancer(self) -> bool:
        """Whether errors of the load balancer itself may be another service's; default: yes for an existing service."""
        return self.existing is not None if self.load_balancer_shared is None else self.load_balancer_shared

    @model_validator(mode="after")
    def _require_one_origin(self) -> Self:
        if (self.existing is None) == (self.workload is None):
            raise ValueError(
                f"service {self.name!r} needs exactly one of existing and workload; set one, remove the other"
            )
        return self

    def runtime_settings(self, url: str | None, stack: str) -> ServiceSettings:
        """Return the settings that the Lambda functions read.

        Args:
            url: URL of the service, if its settings have none.
            stack: name of the stack that creates a service with a workload.
        """
        common = self.model_dump(include=set(ServiceSettings.model_fields))
        created_by = stack if self.workload is not None else self.stack
        derived = {
            "base_url": self.base_url or url,
            "stack": created_by,
            "load_balancer_shared": self.shares_balancer or None,
        }
        return ServiceSettings.model_validate(common | derived)
