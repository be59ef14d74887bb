"""cdk-nag findings that are intended, each on its resource, with the reason."""

import json
from typing import Any, cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Token, Validations
from constructs import Construct, IConstruct

from rollback_constructs.attachment import Attachment
from rollback_constructs.functions.functions import PROBING

_UNSCOPED = "only actions without resource-level permissions are allowed on * (tests/constructs/test_access.py)"
_FUNCTIONS = ("Decide", "Service", "Report", "Promote")


def acknowledge_environment(
    scope: Construct, services: tuple[Attachment, ...], workflow: str, deployed_by: tuple[str, ...]
) -> None:
    """Acknowledge wildcards behind a service's own name, and intended properties of state machines and queues."""
    _acknowledge_functions(scope, services, workflow, deployed_by)
    machines = ("Workflow", "Promotion", "ReleaseWatch")
    for machine in (name for name in machines if scope.node.try_find_child(name) is not None):
        acknowledge(
            scope, f"{machine}/Role", "IAM5[Resource::*]", "log delivery and tracing have no resource-level permissions"
        )
        acknowledge(scope, f"{machine}/Machine", "SF1", "only errors are logged, since the ledger has everything else")
    if (reports := scope.node.try_find_child("Reports")) is not None:
        acknowledge(reports, "Bucket", "S1", "the account's owner decides about CloudTrail's data events")
        bucket = _bucket_id(reports)
        role = "Functions/ReportRole"
        acknowledge(scope, role, f"IAM5[Resource::<{bucket}.Arn>/*]", "each report gets a key of its own")
    _acknowledge_pipelines(scope, services, workflow)
    for queue in ("DeadLetters", "FailedInvocations"):
        acknowledge(scope, f"Triggers/{queue}", "SQS3", "this queue is a dead-letter queue itself")


def _acknowledge_functions(
    scope: Construct, services: tuple[Attachment, ...], workflow: str, deployed_by: tuple[str, ...]
) -> None:
    database = _database(scope)
    if scope.node.find_child("Functions").node.try_find_child("Approve") is not None:
        acknowledge(scope, "Functions/ApproveRole", "IAM5[Resource::*]", _UNSCOPED)
        acknowledge(scope, "Functions/Approve", "L1", "the bundle is compiled for this Python minor version")
    for name in (*_FUNCTIONS, *database):
        _acknowledge_each(scope, name, services)
    for name in ("Service", "Report", "Promote"):
        _wildcard(
            scope,
            f"Functions/{name}Role",
            "ecs",
            "task-definition/*",
            "the service's pipeline names the task definition families",
        )
    for name in ("Decide", "Service", "Report"):
        role = f"Functions/{name}Role"
        _stacks(scope, role, deployed_by)
        _wildcard(scope, role, "states", f"execution:{workflow}:*", "each execution gets an id of its own")
    for name in ("Service", "Report", *database):
        resource, reason = (
            "scalable-target/*",
            "each scalable target gets an id of its own; conditions allow those of ECS services only",
        )
        _wildcard(scope, f"Functions/{name}Role", "application-autoscaling", resource, reason)
    _wildcard(
        scope,
        "Functions/PromoteRole",
        "secretsmanager",
        "secret:*",
        "the function only checks that the secrets exist, and can't read their values",
    )
    for name in database:
        _stacks(scope, f"Functions/{name}Role", deployed_by)
        _wildcard(
            scope,
            f"Functions/{name}Role",
            "ecs",
            "task-definition/*",
            "the service's pipeline names the task definition families",
        )
    for name in ("Report", *database):
        for log_group in filter(None, (service.log_group for service in services)):
            group = f"log-group:{log_group}:*"
            _wildcard(scope, f"Functions/{name}Role", "logs", group, "log streams of this group are named after tasks")
    in_vpc = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]"
    for name in PROBING:
        acknowledge(
            scope, f"Functions/{name.title()}Role", in_vpc, "Lambda requires this policy for a function in a VPC"
        )


def _acknowledge_pipelines(scope: Construct, services: tuple[Attachment, ...], workflow: str) -> None:
    """Acknowledge the wildcards of the roles of GitHub Actions, which are those of the functions."""
    roles = scope.node.try_find_child("GitHubActions")
    if roles is None:
        return
    for name in ("Rollback", "Approve", "Deploy"):
        if roles.node.try_find_child(f"{name}Role") is None:
            continue
        path = f"GitHubActions/{name}Role"
        acknowledge(scope, path, "IAM5[Resource::*]", _UNSCOPED)
        _stacks(scope, path, (Stack.of(scope).stack_name,))
        _wildcard(scope, path, "states", f"execution:{workflow}:*", "each execution gets an id of its own")
        _wildcard(scope, path, "ecs", "task-definition/*", "the service's pipeline names the task definition families")
        for service in services:
            for kind in ("service-deployment", "service-revision"):
                resource = f"{kind}/{service.cluster}/{service.ecs_service}/*"
                _wildcard(scope, path, "ecs", resource, "each deployment of this service gets an id of its own")
            _wildcard(scope, path, "ecs", f"task/{service.cluster}/*", "each task gets an id of its own")
        if (reports := scope.node.try_find_child("Reports")) is not None:
            bucket = Stack.of(scope).get_logical_id(
                cast(CfnElement, reports.node.find_child("Bucket").node.default_child)
            )
            acknowledge(scope, path, f"IAM5[Resource::<{bucket}.Arn>/*]", "each report gets a key of its own")


def _bucket_id(reports: IConstruct) -> str:
    bucket = reports.node.find_child("Bucket").node.default_child
    return Stack.of(reports).get_logical_id(cast(CfnElement, bucket))


def _database(scope: Construct) -> tuple[str, ...]:
    has_database = scope.node.find_child("Functions").node.try_find_child("Database") is not None
    return ("Database",) if has_database else ()


def _acknowledge_each(scope: Construct, name: str, services: tuple[Attachment, ...]) -> None:
    role, function = f"Functions/{name}Role", f"Functions/{name}"
    acknowledge(scope, role, "IAM5[Resource::*]", _UNSCOPED)
    acknowledge(scope, function, "L1", "the bundle is compiled for this Python minor version")
    for service in services:
        for kind in ("service-deployment", "service-revision"):
            resource = f"{kind}/{service.cluster}/{service.ecs_service}/*"
            _wildcard(scope, role, "ecs", resource, "each deployment of this service gets an id of its own")
        _wildcard(scope, role, "ecs", f"task/{service.cluster}/*", "each task gets an id of its own")


def _stacks(scope: Construct, role: str, deployed_by: tuple[str, ...]) -> None:
    for name in deployed_by:
        _wildcard(scope, role, "cloudformation", f"stack/{name}/*", "a stack that is created again gets another id")


def _wildcard(scope: Construct, path: str, service: str, resource: str, reason: str) -> None:
    arn = f"arn:{_named(Stack.of(scope).partition, 'Partition')}:{service}:{_here(scope)}:{resource}"
    acknowledge(scope, path, f"IAM5[Resource::{arn}]", reason)


def _here(scope: Construct) -> str:
    return f"{_named(Stack.of(scope).region, 'Region')}:{_named(Stack.of(scope).account, 'AccountId')}"


def _named(value: str, parameter: str) -> str:
    """Write a value as cdk-nag does: a pseudo parameter by its name."""
    return f"<AWS::{parameter}>" if Token.is_unresolved(value) else value


def acknowledge(scope: IConstruct, path: str, rule: str, reason: str) -> None:
    """Acknowledge a finding of cdk-nag's pack AwsSolutions on the construct at a path below the scope."""
    construct = scope
    for part in path.split("/"):
        construct = construct.node.find_child(part)
    finding = _flatten(Stack.of(construct).resolve(rule))
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{finding}", reason=reason))


def _flatten(value: Any) -> str:
    """Write references as cdk-nag does (its `flattenCfnReference`): `<LogicalId>`, `<LogicalId.Attribute>`."""
    match value:
        case {"Fn::Join": [str() as sign, list() as parts]}:
            return sign.join(map(_flatten, parts))
        case {"Ref": str() as name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str() as name, str() as attribute]}:
            return f"<{name}.{attribute}>"
        case str():
            return value
    return json.dumps(value, separators=(",", ":"))
