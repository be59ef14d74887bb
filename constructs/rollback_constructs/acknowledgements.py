"""cdk-nag findings that are intended, each on its resource, with the reason."""

from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Token, Validations
from constructs import IConstruct

from rollback_constructs.attachment import Attachment
from rollback_constructs.functions.functions import PROBING

_UNSCOPED = "only actions without resource-level permissions are allowed on * (tests/constructs/test_access.py)"
_FUNCTIONS = ("Decide", "Service", "Report", "Promote")


def acknowledge_service_stack(stack: IConstruct) -> None:
    """Acknowledge what the service stack leaves to the account's owner."""
    _acknowledge(stack, "Vpc", "VPC7", "the account's owner decides about flow logs")
    _acknowledge(
        stack, "Task", "ECS2", "plain variables have no secrets; the task reads secrets from Secrets Manager by ARN"
    )
    _acknowledge(
        stack, "Task/ExecutionRole", "IAM5[Resource::*]", "ecr:GetAuthorizationToken has no resource-level permissions"
    )
    _acknowledge(stack, "LoadBalancer", "ELB2", "access logs need a bucket of the account; the alarms use metrics")
    _acknowledge(stack, "LoadBalancer/SecurityGroup", "EC23", "a public API is open to the public")


def acknowledge_rollback_stack(
    stack: Stack, services: tuple[Attachment, ...], workflow: str, deployed_by: tuple[str, ...]
) -> None:
    """Acknowledge wildcards behind a service's own name, and intended properties of state machines and queues."""
    _acknowledge_functions(stack, services, workflow, deployed_by)
    for machine in ("Workflow", "Promotion"):
        _acknowledge(
            stack, f"{machine}/Role", "IAM5[Resource::*]", "log delivery and tracing have no resource-level permissions"
        )
        _acknowledge(stack, f"{machine}/Machine", "SF1", "only errors are logged, since the ledger has everything else")
    if (reports := stack.node.try_find_child("Reports")) is not None:
        _acknowledge(reports, "Bucket", "S1", "the account's owner decides about CloudTrail's data events")
        bucket = stack.get_logical_id(cast(CfnElement, reports.node.find_child("Bucket").node.default_child))
        role = "Functions/ReportRole"
        _acknowledge(stack, role, f"IAM5[Resource::<{bucket}.Arn>/*]", "each report gets a key of its own")
    _acknowledge_pipelines(stack, services, workflow)
    for queue in ("DeadLetters", "FailedInvocations"):
        _acknowledge(stack, f"Triggers/{queue}", "SQS3", "this queue is a dead-letter queue itself")


def _acknowledge_functions(
    stack: Stack, services: tuple[Attachment, ...], workflow: str, deployed_by: tuple[str, ...]
) -> None:
    database = _database(stack)
    if stack.node.find_child("Functions").node.try_find_child("Approve") is not None:
        _acknowledge(stack, "Functions/ApproveRole", "IAM5[Resource::*]", _UNSCOPED)
        _acknowledge(stack, "Functions/Approve", "L1", "the bundle is compiled for this Python minor version")
    for name in (*_FUNCTIONS, *database):
        _acknowledge_each(stack, name, services)
    for name in ("Service", "Report", "Promote"):
        _wildcard(
            stack,
            f"Functions/{name}Role",
            "ecs",
            "task-definition/*",
            "the service's pipeline names the task definition families",
        )
    for name in ("Decide", "Service", "Report"):
        role = f"Functions/{name}Role"
        _stacks(stack, role, deployed_by)
        _wildcard(stack, role, "states", f"execution:{workflow}:*", "each execution gets an id of its own")
    for name in ("Service", "Report", *database):
        resource, reason = (
            "scalable-target/*",
            "each scalable target gets an id of its own; conditions allow those of ECS services only",
        )
        _wildcard(stack, f"Functions/{name}Role", "application-autoscaling", resource, reason)
    _wildcard(
        stack,
        "Functions/PromoteRole",
        "secretsmanager",
        "secret:*",
        "the function only checks that the secrets exist, and can't read their values",
    )
    for name in database:
        _stacks(stack, f"Functions/{name}Role", deployed_by)
        _wildcard(
            stack,
            f"Functions/{name}Role",
            "ecs",
            "task-definition/*",
            "the service's pipeline names the task definition families",
        )
    for name in ("Report", *database):
        for service in services:
            group = f"log-group:{service.log_group}:*"
            _wildcard(stack, f"Functions/{name}Role", "logs", group, "log streams of this group are named after tasks")
    in_vpc = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]"
    for name in PROBING:
        _acknowledge(
            stack, f"Functions/{name.title()}Role", in_vpc, "Lambda requires this policy for a function in a VPC"
        )


def _acknowledge_pipelines(stack: Stack, services: tuple[Attachment, ...], workflow: str) -> None:
    """Acknowledge the wildcards of the roles of GitHub Actions, which are those of the functions."""
    roles = stack.node.try_find_child("GitHubActions")
    if roles is None:
        return
    for name in ("Rollback", "Approve", "Deploy"):
        if roles.node.try_find_child(f"{name}Role") is None:
            continue
        path = f"GitHubActions/{name}Role"
        _acknowledge(stack, path, "IAM5[Resource::*]", _UNSCOPED)
        _stacks(stack, path, (stack.stack_name,))
        _wildcard(stack, path, "states", f"execution:{workflow}:*", "each execution gets an id of its own")
        _wildcard(stack, path, "ecs", "task-definition/*", "the service's pipeline names the task definition families")
        for service in services:
            for kind in ("service-deployment", "service-revision"):
                resource = f"{kind}/{service.cluster}/{service.ecs_service}/*"
                _wildcard(stack, path, "ecs", resource, "each deployment of this service gets an id of its own")
            _wildcard(stack, path, "ecs", f"task/{service.cluster}/*", "each task gets an id of its own")
        if (reports := stack.node.try_find_child("Reports")) is not None:
            bucket = stack.get_logical_id(cast(CfnElement, reports.node.find_child("Bucket").node.default_child))
            _acknowledge(stack, path, f"IAM5[Resource::<{bucket}.Arn>/*]", "each report gets a key of its own")


def _database(stack: Stack) -> tuple[str, ...]:
    has_database = stack.node.find_child("Functions").node.try_find_child("Database") is not None
    return ("Database",) if has_database else ()


def _acknowledge_each(stack: Stack, name: str, services: tuple[Attachment, ...]) -> None:
    role, function = f"Functions/{name}Role", f"Functions/{name}"
    _acknowledge(stack, role, "IAM5[Resource::*]", _UNSCOPED)
    _acknowledge(stack, function, "L1", "the bundle is compiled for this Python minor version")
    for service in services:
        for kind in ("service-deployment", "service-revision"):
            resource = f"{kind}/{service.cluster}/{service.ecs_service}/*"
            _wildcard(stack, role, "ecs", resource, "each deployment of this service gets an id of its own")
        _wildcard(stack, role, "ecs", f"task/{service.cluster}/*", "each task gets an id of its own")


def _stacks(stack: Stack, role: str, deployed_by: tuple[str, ...]) -> None:
    for name in deployed_by:
        _wildcard(stack, role, "cloudformation", f"stack/{name}/*", "a stack that is created again gets another id")


def _wildcard(stack: Stack, path: str, service: str, resource: str, reason: str) -> None:
    arn = f"arn:{_named(stack.partition, 'Partition')}:{service}:{_here(stack)}:{resource}"
    _acknowledge(stack, path, f"IAM5[Resource::{arn}]", reason)


def _here(stack: Stack) -> str:
    return f"{_named(stack.region, 'Region')}:{_named(stack.account, 'AccountId')}"


def _named(value: str, parameter: str) -> str:
    """Write a value as cdk-nag does: a pseudo parameter by its name."""
    return f"<AWS::{parameter}>" if Token.is_unresolved(value) else value


def _acknowledge(stack: IConstruct, path: str, rule: str, reason: str) -> None:
    construct = stack
    for part in path.split("/"):
        construct = construct.node.find_child(part)
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))
