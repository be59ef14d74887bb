"""Settings of one service of an environment: an existing service, or a workload that `ServiceStack` creates."""

import re
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.watched import Unwatched
from rollback.names import MAX_TARGET_GROUPS
from rollback_constructs.settings.log_patterns import find_mistake

_CONTAINER_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)  # ECS API reference, ContainerDefinition


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Balancer(_Strict):
    """A load balancer, and the service's target groups behind it."""

    load_balancer: str = Field(
        min_length=1, description="ARN of the load balancer, or its full name, `app/<name>/<id>` or `net/<name>/<id>`"
    )
    target_groups: tuple[str, ...] = Field(
        min_length=1,
        max_length=MAX_TARGET_GROUPS,
        description="ARNs of the service's target groups behind it, or their full names, `targetgroup/<name>/<id>`",
    )
    shared: bool | None = Field(
        default=None,
        description="whether other services use this load balancer too; default: the service's `load_balancer_shared`",
    )


class Existing(_Strict):
    """A service that another stack or tool deploys; full names with random suffixes, as alarm dimensions need them."""

    load_balancer: str | None = Field(
        default=None,
        min_length=1,
        description="ARN of the load balancer, or its full name, `app/<name>/<id>` or `net/<name>/<id>`; without it, "
        "the service is a worker",
    )
    target_groups: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_TARGET_GROUPS,
        description="ARNs of the service's target groups, or their full names, `targetgroup/<name>/<id>`; required "
        "with `load_balancer`",
    )
    load_balancers: tuple[Balancer, ...] = Field(
        default=(),
        max_length=MAX_TARGET_GROUPS,
        description="load balancers of a service that has several, in place of `load_balancer` and `target_groups`",
    )
    task_role_arns: tuple[str, ...] = Field(
        default=(), description="task roles that the service's definitions name; a rollback has to pass them to ECS"
    )
    execution_role_arns: tuple[str, ...] = Field(
        default=(),
        description="execution roles that the service's definitions name; a rollback has to pass them to ECS. None: "
        "the definitions name none, as on EC2 instances whose own role pulls the images",
    )
    log_group: str | None = Field(
        default=None,
        min_length=1,
        description="name or ARN of the log group of the service's container; without it, as with FireLens, no alarm "
        "counts error lines",
    )
    repository: str | None = Field(
        default=None,
        min_length=1,
        description="name, ARN or URI of the ECR repository of the service's image, of any account and region; without "
        "it, as for images outside of ECR, their expiry is not known",
    )
    sidecar_repositories: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="names, ARNs or URIs of the ECR repositories of the other containers' images, of any account and "
        "region",
    )

    @property
    def balancers(self) -> tuple[Balancer, ...]:
        """The load balancers, whichever setting describes them; none for a worker."""
        if self.load_balancer is not None:
            return (Balancer(load_balancer=self.load_balancer, target_groups=self.target_groups),)
        return self.load_balancers

    @model_validator(mode="after")
    def _describe_load_balancers_once(self) -> Self:
        if self.load_balancers and (self.load_balancer is not None or self.target_groups):
            raise ValueError(
                "load_balancers is set beside load_balancer and target_groups; allowed is one of the two: move them "
                "into load_balancers"
            )
        if self.load_balancer is not None and not self.target_groups:
            raise ValueError(
                f"target_groups is empty; allowed are the service's target groups behind load_balancer, "
                f"{self.load_balancer}"
            )
        if self.load_balancer is None and self.target_groups:
            raise ValueError(
                f"load_balancer is missing; allowed is the load balancer of target_groups, "
                f"{', '.join(self.target_groups)}"
            )
        return self

    @model_validator(mode="after")
    def _name_each_resource_once(self) -> Self:
        groups = [group for balancer in self.load_balancers for group in balancer.target_groups]
        if len(set(self.target_groups)) < len(self.target_groups):
            raise ValueError("target_groups has a target group twice; allowed is each once")
        if twice := _repeated(groups):
            raise ValueError(f"load_balancers has {twice} twice; allowed is each target group once")
        if twice := _repeated([balancer.load_balancer for balancer in self.load_balancers]):
            raise ValueError(f"load_balancers has {twice} twice; allowed is each load balancer once")
        if len(groups) > MAX_TARGET_GROUPS:
            raise ValueError(
                f"load_balancers has {len(groups)} target groups; allowed are at most {MAX_TARGET_GROUPS} together"
            )
        if twice := _repeated(list(self.sidecar_repositories)):
            raise ValueError(f"sidecar_repositories has {twice} twice; allowed is each once")
        return self


def _repeated(names: Sequence[str]) -> str | None:
    """Return a name that a list has twice."""
    return next((name for name in names if names.count(name) > 1), None)


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

    @field_validator("container")
    @classmethod
    def _is_container_name(cls, name: str) -> str:
        if _CONTAINER_NAME.fullmatch(name) is None:
            raise ValueError("allowed are 1 to 255 letters, digits, hyphens and underscores, as in the task definition")
        return name

    @field_validator("base_url")
    @classmethod
    def _is_base_url(cls, url: str | None) -> str | None:
        if url is not None and not is_web_address(url):
            raise ValueError("allowed is https://<host>, without user, query and spaces; http:// too")
        return url

    @field_validator("error_log_pattern")
    @classmethod
    def _is_log_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None and (mistake := find_mistake(pattern)) is not None:
            raise ValueError(f"allowed is a filter pattern of CloudWatch Logs: {mistake}")
        return pattern

    @model_validator(mode="after")
    def _has_address_for_its_endpoints(self) -> Self:
        if self.endpoints and self.existing is not None and self.base_url is None:
            raise ValueError("base_url is missing; endpoints are checked there: set it, or remove endpoints")
        if self.endpoints and self.workload is not None and self.workload.certificate_arn and self.base_url is None:
            raise ValueError(
                "base_url is missing; endpoints are checked there: with a certificate it is https://<domain of the "
                "certificate>"
            )
        return self

    @model_validator(mode="after")
    def _watches_each_resource_once(self) -> Self:
        if twice := _repeated([queue.queue for queue in self.queues]):
            raise ValueError(f"queues has {twice} twice; allowed is each queue once")
        if twice := _repeated([extra.alarm for extra in self.extra_alarms]):
            raise ValueError(f"extra_alarms has {twice} twice; allowed is each alarm once")
        if self.unwatched:
            raise ValueError("unwatched is set; allowed is no value, existing determines the list: remove the setting")
        return self

    @model_validator(mode="after")
    def _has_what_its_settings_are_about(self) -> Self:
        if self.existing is None:
            return self
        if self.load_balancer_shared is not None and not self.existing.balancers:
            raise ValueError(
                "load_balancer_shared is set, but existing names no load balancer; name the load balancer, or remove "
                "load_balancer_shared"
            )
        if self.error_log_pattern is not None and self.existing.log_group is None:
            raise ValueError(
                "error_log_pattern is set, but existing names no log group; set existing.log_group, or remove "
                "error_log_pattern"
            )
        return self

    @property
    def shares_balancer(self) -> bool:
        """Whether errors of a load balancer itself may be another service's; default: yes for an existing service."""
        if self.existing is None:
            return bool(self.load_balancer_shared)
        return any(self.is_shared(balancer) for balancer in self.existing.balancers)

    def is_shared(self, balancer: Balancer) -> bool:
        """Whether other services use one of the load balancers too; default: yes for an existing service."""
        if balancer.shared is not None:
            return balancer.shared
        return True if self.load_balancer_shared is None else self.load_balancer_shared

    @property
    def is_worker(self) -> bool:
        """Whether the service has no load balancer."""
        return self.existing is not None and not self.existing.balancers

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
            "unwatched": self._find_unwatched(),
        }
        return ServiceSettings.model_validate(common | derived)

    def _find_unwatched(self) -> tuple[Unwatched, ...]:
        """List the resources that the settings don't name; the stack of a workload creates all of them."""
        if self.existing is None:
            return ()
        named = {Unwatched.LOG_GROUP: self.existing.log_group, Unwatched.REPOSITORY: self.existing.repository}
        return tuple(resource for resource, name in named.items() if name is None)


def is_web_address(url: str) -> bool:
    """Return whether a URL is absolute, by HTTP or HTTPS, and has nothing but a host, a port and a path."""
    if re.search(r"[\s\\]", url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    has_more = parts.username is not None or parts.query or parts.fragment
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not has_more and port != 0
