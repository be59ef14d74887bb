"""Description of an ECS service for `RollbackGuard`: read from the CDK's objects as far as they have it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

from aws_cdk import Fn, Stack, Token
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import IConstruct
from pydantic import BaseModel

from rollback.domain.settings.connections import ConnectionSettings
from rollback.domain.settings.environment import HealthEndpoint
from rollback.domain.settings.watched import ExtraAlarm, Queue
from rollback_constructs.settings.service import Balancer, Existing

# `<account>.dkr.ecr.<region>.<suffix>/<name>:<tag>`, each part of which may be a token
_ECR_IMAGE = re.compile(
    r"(?P<registry>[^/]+\.dkr[.-]ecr[^/]*)/(?P<name>(?:\$\{Token\[[^\]]*\]\}|\$\{AWS::\w+\}|[^:@$])+)(?:[:@].*)?"
)
_ECR_PLACE = re.compile(r"\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.")


class ServiceProps(TypedDict, total=False):
    """Properties of one service; each has the meaning, the default and the limits of its setting in `cdk.json`.

    Attributes:
        name: this product's name of the service, in ledger, alarms and reports. Default: the container's name. Set it
            if the container may get another name: releases are recorded under it.
        container: container whose image names the release's version. Default: the definition's default container.
        base_url: address of the service. Default: none, and HTTP checks are skipped.
        endpoints: endpoints that must answer after a rollback. Default: none.
        load_balancer: load balancer, or its ARN or full name. A token is the ARN of an Application Load Balancer.
            Default: that of the target groups.
        target_groups: target groups, or their ARNs or full names. Default: those that the service is attached to.
        load_balancers: load balancers with their target groups, for a service behind several; instead of the two
            above. Default: none.
        load_balancer_shared: whether other services use the load balancer. Default: yes.
        task_roles: task roles, or their ARNs, old and new ones. Default: that of the task definition.
        execution_roles: execution roles, or their ARNs, old and new ones. Default: that of the task definition.
        log_group: log group of the container, or its name or ARN. Default: that of the container's `awslogs` driver.
        error_log_pattern: filter pattern of error lines. Default: that of `alarms`.
        repository: repository of the container's image, or its name, ARN or URI. Default: that of the image.
        sidecar_repositories: repositories of the other containers' images, or their names, ARNs or URIs. Default: none.
        queues: SQS queues that the service reads, with the age that a message may have. Default: none.
        extra_alarms: alarms of the team's own about the service, and what each starts. Default: none.
        environment_file_buckets: buckets of the definition's `environmentFiles`, or their names. Default: none.
        commit_from: source of a release's git commit. Default: `variable:GIT_COMMIT`.
        stack: name of the CloudFormation stack that deploys the service. Default: the stack of the service's construct.
        connection: connection to the environment's database. Default: no check.
        smoke_command: command of the container, run once in each verification. Default: none.
        smoke_timeout_seconds: limit of the smoke command's task. Default: 120.
    """

    name: str
    container: str
    base_url: str
    endpoints: Sequence[HealthEndpoint | Mapping[str, Any]]
    load_balancer: elbv2.ILoadBalancerV2 | str
    target_groups: Sequence[elbv2.ITargetGroup | str]
    load_balancers: Sequence[Balancer | Mapping[str, Any]]
    load_balancer_shared: bool
    task_roles: Sequence[iam.IRole | str]
    execution_roles: Sequence[iam.IRole | str]
    log_group: logs.ILogGroup | str
    error_log_pattern: str
    repository: ecr.IRepository | str
    sidecar_repositories: Sequence[ecr.IRepository | str]
    queues: Sequence[Queue | Mapping[str, Any]]
    extra_alarms: Sequence[ExtraAlarm | Mapping[str, Any]]
    environment_file_buckets: Sequence[s3.IBucket | str]
    commit_from: str
    stack: str
    connection: ConnectionSettings | Mapping[str, Any]
    smoke_command: Sequence[str]
    smoke_timeout_seconds: float


_SETTING_OF_PROP = {"task_roles": "task_role_arns", "execution_roles": "execution_role_arns"}
PROP_OF_SETTING = {setting: prop for prop, setting in _SETTING_OF_PROP.items()}
_EXISTING = tuple(Existing.model_fields)  # the section `existing` in `cdk.json`; other settings are the service's own
# Setting that is optional → what is left out without it.
_WITHOUT = {
    "execution_role_arns": "a rollback can't deploy a definition that names an execution role",
    "log_group": "its error lines are not counted",
    "repository": "the expiry of its images is not looked at",
}
# Attributes of constructs that are the value of a setting; a construct has one of them.
_VALUES = (
    "role_arn", "secret_arn", "key_arn", "bucket_name", "log_group_name", "repository_name", "queue_name", "alarm_name",
)  # fmt: skip


class RollbackService:
    """An ECS service that a `RollbackGuard` rolls back.

    Attributes:
        settings: the service as in `cdk.json`; strings may be tokens.
        problems: properties that can't be used, a line each.
        hints: setting → why it was not read from the service.
        construct: construct of the service; None: it is described by its attributes.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        problems: Sequence[str] = (),
        hints: Mapping[str, str] | None = None,
        construct: ecs.BaseService | None = None,
    ) -> None:
        """Take settings as they are; `from_service` and `from_attributes` make them."""
        self.settings, self.problems, self.hints, self.construct = dict(settings), problems, hints or {}, construct

    @classmethod
    def from_service(cls, service: ecs.BaseService, **props: Unpack[ServiceProps]) -> "RollbackService":
        """Describe a service that this app creates: `ecs.FargateService` or `ecs.Ec2Service`.

        Create it behind the containers and the load balancer's listeners: what is added later is not seen.

        Args:
            service: the service.
            **props: properties that can't be read from the service, or that differ.
        """
        hints: dict[str, str] = {}
        read = dict(_read_service(service, props.get("container"), hints))
        settings = {**read, **_to_settings(props)}
        return cls(_nest(settings), problems=list(_find_unfit(service)), hints=hints, construct=service)

    @classmethod
    def from_attributes(
        cls, *, cluster: ecs.ICluster | str, ecs_service: ecs.IService | str, **props: Unpack[ServiceProps]
    ) -> "RollbackService":
        """Describe a service that another app or tool deploys; nothing is looked up.

        Args:
            cluster: the cluster, or its name or ARN.
            ecs_service: the service, or its name or ARN.
            **props: `container`, `execution_roles`, `log_group`, `repository` and, behind a load balancer,
                `load_balancer` and `target_groups` have no default here.
        """
        cluster_name = cluster if isinstance(cluster, str) else cluster.cluster_name
        service_name = ecs_service if isinstance(ecs_service, str) else ecs_service.service_name
        if Token.is_unresolved(cluster_name) and not Token.is_unresolved(service_name):
            service_name = service_name.rpartition("/")[2]  # the cluster in an ARN can't be compared with a token
        settings = {"cluster": cluster_name, "ecs_service": service_name, **_to_settings(props)}
        return cls(_nest(settings))

    @property
    def left_out(self) -> list[str]:
        """A line for each property that the service can do without, and then is watched or rolled back less well."""
        known = {*self.settings, *self.settings["existing"]} if "existing" in self.settings else set(self.settings)
        return [
            f"{self.settings.get('name')} has no {PROP_OF_SETTING.get(name, name)} "
            f"({self.hints.get(name, 'it was not given')}): {consequence}"
            for name, consequence in _WITHOUT.items()
            if name not in known
        ]

    def target_groups_now(self) -> int:
        """Count the target groups that the service's construct is attached to by now."""
        return len(_attached_groups(self.construct)) if self.construct is not None else 0


def to_plain(value: Any) -> Any:
    """Turn models and constructs in properties into values as `cdk.json` has them.

    Raises:
        TypeError: a value is none of them.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(inner) for inner in value]
    if hasattr(value, "load_balancer_arn"):
        return _balancer_name(value)
    if hasattr(value, "target_group_arn"):
        return _group_name(value)
    for attribute in _VALUES:
        if (name := getattr(value, attribute, None)) is not None:
            return name
    raise TypeError(f"a property is {type(value).__name__}; allowed are text, numbers, models of settings, constructs")


def _to_settings(props: ServiceProps) -> dict[str, Any]:
    """Translate properties to settings of `cdk.json`; an unknown one stays, and the settings' own check names it."""
    settings: dict[str, Any] = {
        _SETTING_OF_PROP.get(name, name): value for name, value in props.items() if value is not None
    }
    if "load_balancer" in settings:
        settings["load_balancer"] = _balancer_name(settings["load_balancer"])
    if "target_groups" in settings:
        settings["target_groups"] = [_group_name(group) for group in settings["target_groups"]]
    plain = {name: to_plain(value) for name, value in settings.items()}
    if "container" in plain:
        plain.setdefault("name", plain["container"])
    return plain


def _nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in settings.items() if name not in _EXISTING}
    return {**own, "existing": {name: settings[name] for name in _EXISTING if name in settings}}


def _find_unfit(service: ecs.BaseService) -> Iterator[str]:
    """Yield a line for a deployment controller whose deployments this product can't roll back."""
    resource = service.node.try_find_child("Service")
    controller = getattr(resource, "deployment_controller", None)
    kind = getattr(controller, "type", None)
    if kind in {"CODE_DEPLOY", "EXTERNAL"}:
        yield f"service has the deployment controller {kind}; allowed is ECS, whose rolling deployments are rolled back"


def _read_service(service: ecs.BaseService, container: str | None, hints: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield each setting that the service's construct has; note in `hints` why one is missing."""
    yield "cluster", service.cluster.cluster_name
    yield "ecs_service", service.service_name
    stack = Stack.of(service)
    if not Token.is_unresolved(stack.stack_name):  # that of a nested stack is not known here
        yield "stack", stack.stack_name
    definition = service.task_definition
    yield "task_role_arns", [definition.task_role.role_arn]
    if definition.execution_role is not None:
        yield "execution_role_arns", [definition.execution_role.role_arn]
    else:
        hints["execution_role_arns"] = "the task definition has no execution role"
    yield from _read_container(definition, container, hints)
    yield from _read_target_groups(service, hints)


def _read_container(
    definition: ecs.TaskDefinition, name: str | None, hints: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    found = definition.find_container(name) if name is not None else definition.default_container
    if found is None:
        why = f"the task definition has no container {name!r}" if name else "the task definition has no container yet"
        hints.update(dict.fromkeys(("name", "container", "log_group", "repository"), f"{why}: create the guard last"))
        return
    yield "container", found.container_name
    yield "name", found.container_name
    log = found.log_driver_config
    group = (log.options or {}).get("awslogs-group") if log is not None else None
    if group is not None:
        yield "log_group", group
    else:
        driver = f"the log driver {log.log_driver}" if log is not None else "no log driver"
        hints["log_group"] = f"the container has {driver}, not awslogs"
    repository = _repository_of(found.image_name, Stack.of(definition))
    if repository is not None:
        yield "repository", repository
    else:
        hints["repository"] = "the container's image is in no repository of ECR"


def _repository_of(image: str, stack: Stack) -> str | None:
    """Return the repository of an image in ECR; its URI only where account and region are known."""
    if Token.is_unresolved(image) and isinstance(resolved := stack.resolve(image), Mapping) and "Fn::Sub" in resolved:
        image = str(resolved["Fn::Sub"])  # an image asset
    found = _ECR_IMAGE.fullmatch(image)
    if found is None:
        return None
    name = found["name"]
    if "${AWS::" in name:
        return Fn.sub(name)
    place = _ECR_PLACE.match(found["registry"])
    return f"{place[0]}amazonaws.com/{name}" if place is not None else name  # the suffix is of no importance


def _attached_groups(service: ecs.BaseService) -> list[str]:
    """Return the target groups' ARNs in the service's resource, in the form of CloudFormation."""
    resource = service.node.try_find_child("Service")
    resolved = Stack.of(service).resolve(getattr(resource, "load_balancers", None)) or []
    arns = [entry.get("targetGroupArn") or entry.get("TargetGroupArn") for entry in resolved]
    return [repr(arn) for arn in arns if arn is not None]


def _read_target_groups(service: ecs.BaseService, hints: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield target groups and load balancer, if constructs of this app have all of them."""
    arns = _attached_groups(service)
    if not arns:
        why = "the service has no target group yet: create the guard behind the load balancer's listener"
        hints.update({"load_balancer": why, "target_groups": why})
        return
    stack = Stack.of(service)
    groups = {
        repr(stack.resolve(group.target_group_arn)): group
        for scope in (service.node.root, stack)  # where two stacks use one logical id, that of the service's stack
        for group in cast(Sequence[IConstruct], scope.node.find_all())
        if isinstance(group, elbv2.ApplicationTargetGroup | elbv2.NetworkTargetGroup)
    }
    found = [groups[arn] for arn in arns if arn in groups]
    if len(found) < len(arns):
        why = "a target group of the service is no construct of this app"
        hints.update({"load_balancer": why, "target_groups": why})
        return
    yield "target_groups", [_group_name(group) for group in found]
    try:
        name = found[0].first_load_balancer_full_name
    except RuntimeError:  # jsii's: the target group has no listener
        hints["load_balancer"] = "the service's target group has no listener"
        return
    kind = "net" if isinstance(found[0], elbv2.NetworkTargetGroup) else "app"
    yield "load_balancer", f"{kind}/{name.partition('/')[2]}" if "/" in name else name


def _balancer_name(balancer: Any) -> str:
    """Return the full name, `app/<name>/<id>`; a literal ARN or name is left to the settings' own check."""
    if not isinstance(balancer, str):
        kind = "net" if isinstance(balancer, elbv2.NetworkLoadBalancer) else "app"
        full_name = getattr(balancer, "load_balancer_full_name", None)
        if full_name is not None:
            return _join_full_name(kind, full_name, first=1)
        balancer = balancer.load_balancer_arn
    return _join_full_name("app", balancer, first=2) if _is_one_token(balancer) else str(balancer)


def _group_name(group: Any) -> str:
    """Return the full name, `targetgroup/<name>/<id>`; a literal ARN or name is left to the settings' own check."""
    if not isinstance(group, str):
        full_name = getattr(group, "target_group_full_name", None)
        group = full_name if full_name is not None else group.target_group_arn
    # Neither the full name nor the ARN has another slash.
    return _join_full_name("targetgroup", group, first=1) if _is_one_token(group) else str(group)


def _join_full_name(kind: str, text: str, first: int) -> str:
    """Write a full name whose kind is known at synthesis, from a token of the full name or of the ARN."""
    if not Token.is_unresolved(text):
        return text
    parts = Fn.split("/", text)
    return f"{kind}/{Fn.select(first, parts)}/{Fn.select(first + 1, parts)}"


def _is_one_token(text: str) -> bool:
    return text.startswith("${Token[") and text.count("${Token[") == 1 and text.endswith("]}")
