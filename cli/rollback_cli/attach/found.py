"""Facts about a running service, as `rollback init` found them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollback_cli.attach.names import EcrRepository, ServicePlace, parse_image
from rollback_cli.attach.reading import Unread


@dataclass(frozen=True)
class Container:
    """One container of the running task definition.

    Attributes:
        variables: names of its environment variables and secrets; values are left in the definition.
        queue_urls: values of its variables that are URLs of SQS queues.
        environment_file_buckets: S3 buckets of its environment files.
    """

    name: str
    image: str
    is_essential: bool
    log_driver: str | None
    log_group: str | None
    log_region: str | None
    variables: tuple[str, ...]
    queue_urls: tuple[str, ...]
    environment_file_buckets: tuple[str, ...]

    @property
    def repository(self) -> EcrRepository | None:
        """Private ECR repository of the image; None: another registry has the image."""
        return parse_image(self.image)


@dataclass(frozen=True)
class Definition:
    """The running task definition, and the roles of the newest revisions of its family.

    Attributes:
        task_roles, execution_roles: ARNs, those of the running revision first.
        revision_count: revisions whose roles were read, the running one included.
    """

    arn: str
    family: str
    containers: tuple[Container, ...]
    task_roles: tuple[str, ...]
    execution_roles: tuple[str, ...]
    revision_count: int


class BalancerKind(StrEnum):
    """Kinds of load balancers, as ELB names them."""

    APPLICATION = "application"
    NETWORK = "network"
    GATEWAY = "gateway"


@dataclass(frozen=True)
class TargetGroup:
    """A target group of the service.

    Attributes:
        full_name: `targetgroup/<name>/<id>`.
        health_path: path of an HTTP health check; None: the check is no HTTP.
        health_codes: answers that the health check accepts, such as `200-299`.
        protocol_version: HTTP1, HTTP2 or GRPC.
    """

    arn: str
    full_name: str
    container: str | None
    health_path: str | None
    health_codes: str | None
    protocol_version: str | None


@dataclass(frozen=True)
class Rule:
    """A rule of a listener, or its default actions.

    Attributes:
        hosts, paths: patterns; empty: every host or path.
        has_other_conditions: the rule looks at headers, methods, queries or addresses too, or rewrites the request.
        groups: ARNs of the target groups to which the rule forwards.
        action: type of the last action, such as `forward` or `redirect`.
        needs_login: users log in before the rule forwards.
        answers_with_error: the load balancer itself answers with a status of 500 or above.
    """

    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    has_other_conditions: bool
    groups: tuple[str, ...]
    action: str
    needs_login: bool
    answers_with_error: bool = False


@dataclass(frozen=True)
class Listener:
    """A listener of a load balancer; its rules in the order in which ELB evaluates them, the default one last."""

    protocol: str
    port: int
    needs_client_certificate: bool
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Balancer:
    """A load balancer that forwards to the service.

    Attributes:
        full_name: `app/<name>/<id>`, or `net/…`, `gwy/…`.
        listeners: None: they could not be read.
        other_groups: ARNs of target groups of other services; None: the listeners could not be read.
    """

    arn: str
    full_name: str
    kind: BalancerKind
    is_internal: bool
    dns_name: str
    vpc_id: str | None
    subnets: tuple[tuple[str, str], ...]
    security_groups: tuple[str, ...]
    groups: tuple[TargetGroup, ...]
    listeners: tuple[Listener, ...] | None
    other_groups: tuple[str, ...] | None

    @property
    def is_exclusive(self) -> bool | None:
        """Whether all errors of the load balancer itself are the service's; None: the listeners could not be read.

        A fixed response is one of the load balancer's own answers, which `HTTPCode_ELB_5XX_Count` counts (ELB user
        guide, "CloudWatch metrics for your Application Load Balancer").
        """
        if self.listeners is None:
            return None
        has_error_page = any(rule.answers_with_error for listener in self.listeners for rule in listener.rules)
        return not self.other_groups and not has_error_page


@dataclass(frozen=True)
class LogGroup:
    """A log group of CloudWatch.

    Attributes:
        log_class: STANDARD, INFREQUENT_ACCESS or DELIVERY; None: the group does not exist.
    """

    name: str
    log_class: str | None


@dataclass(frozen=True)
class Scaling:
    """Application Auto Scaling of the service; None: it has none."""

    min_capacity: int
    max_capacity: int
    policies: tuple[str, ...]
    scheduled_actions: tuple[str, ...]


@dataclass(frozen=True)
class Sharing:
    """Services of the same cluster that use the same things.

    Attributes:
        looked_at: services of the cluster that were compared.
        total: services of the cluster beside this one.
        log_group, family, repository: names of the services that share it.
    """

    looked_at: int
    total: int
    log_group: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Facts about one service.

    Attributes:
        container: the container whose image names the version.
        service: `service` of DescribeServices.
        has_insights: whether Container Insights is on; None: not read.
        unbalanced_groups: full names of target groups that no load balancer forwards to.
        unread_groups: ARNs of target groups whose load balancer could not be read.
        classic_balancers: names of Classic Load Balancers.
        log_group: log group of the container; None: it has none here, or the group could not be read.
        repositories: repository → whether it exists; None: not read.
        scaling: None: not read, or there is none; `unread` tells the two apart.
        sharing: None: not read.
    """

    place: ServicePlace
    cluster: str
    ecs_service: str
    container: Container
    service: Mapping[str, Any]
    definition: Definition
    stack: str | None
    has_insights: bool | None
    balancers: tuple[Balancer, ...]
    unbalanced_groups: tuple[str, ...]
    unread_groups: tuple[str, ...]
    classic_balancers: tuple[str, ...]
    log_group: LogGroup | None
    repositories: Mapping[EcrRepository, bool | None]
    scaling: Scaling | None
    sharing: Sharing | None
    unread: tuple[Unread, ...]

    @property
    def is_worker(self) -> bool:
        """Whether no load balancer belongs to the service."""
        return not (self.balancers or self.unread_groups)
