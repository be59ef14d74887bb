"""cdk-nag findings that are meant: one by one, on the resource they are about, with the reason."""

from aws_cdk import Acknowledgment, Stack, Token, Validations
from constructs import IConstruct

from rollback_constructs.attachment import Attachment
from rollback_constructs.functions import PROBING

_UNSCOPED = "only actions that know no resources are allowed on all (tests/constructs/test_access.py)"
_FUNCTIONS = ("Decide", "Service", "Report", "Promote")


def acknowledge_service_stack(stack: IConstruct) -> None:
    """What the service stack leaves to its owner."""
    _acknowledge(stack, "Vpc", "VPC7", "flow logs are the account's choice, not a deployment's")
    _acknowledge(stack, "Task", "ECS2", "plain variables hold no secrets; those come from Secrets Manager by ARN")
    _acknowledge(stack, "Task/ExecutionRole", "IAM5[Resource::*]", "ecr:GetAuthorizationToken knows no resources")
    _acknowledge(
        stack, "LoadBalancer", "ELB2", "access logs need a bucket of the account's; metrics are what alarms use"
    )
    _acknowledge(stack, "LoadBalancer/SecurityGroup", "EC23", "a public API is open to the public")


def acknowledge_rollback_stack(
    stack: Stack, services: tuple[Attachment, ...], workflow: str, deployed_by: tuple[str, ...]
) -> None:
    """Wildcards behind a service's own name, and what the state machines and queue do on purpose."""
    _acknowledge_functions(stack, services, workflow, deployed_by)
    for machine in ("Workflow", "Promotion"):
        _acknowledge(stack, f"{machine}/Role", "IAM5[Resource::*]", "log delivery and tracing know no resources")
        _acknowledge(stack, f"{machine}/Machine", "SF1", "errors are logged; the ledger has everything else")
    for queue in ("DeadLetters", "FailedInvocations"):
        _acknowledge(stack, f"Triggers/{queue}", "SQS3", "it is a dead-letter queue")


def _acknowledge_functions(
    stack: Stack, services: tuple[Attachment, ...], workflow: str, deployed_by: tuple[str, ...]
) -> None:
    database = _database(stack)
    for name in (*_FUNCTIONS, *database):
        _acknowledge_each(stack, name, services)
    for name in ("Service", "Promote"):
        _wildcard(stack, f"Functions/{name}Role", "ecs", "task-definition/*", "families are the service's to name")
    for name in ("Decide", "Service", "Report"):
        role = f"Functions/{name}Role"
        _stacks(stack, role, deployed_by)
        _wildcard(stack, role, "states", f"execution:{workflow}:*", "executions get ids of their own")
    for name in ("Service", "Report", *database):
        resource, why = "scalable-target/*", "scalable targets get ids of their own; those of ECS services only"
        _wildcard(stack, f"Functions/{name}Role", "application-autoscaling", resource, why)
    _wildcard(stack, "Functions/PromoteRole", "secretsmanager", "secret:*", "that they exist, never what they say")
    for name in database:
        _stacks(stack, f"Functions/{name}Role", deployed_by)
        _wildcard(stack, f"Functions/{name}Role", "ecs", "task-definition/*", "families are the service's to name")
    for name in (*database, *(("Report",) if database else ())):
        for service in services:
            group = f"log-group:{service.log_group}:*"
            _wildcard(stack, f"Functions/{name}Role", "logs", group, "streams of this group are named after tasks")
    in_vpc = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]"
    for name in PROBING:
        _acknowledge(stack, f"Functions/{name.title()}Role", in_vpc, "Lambda insists on it for a function in a VPC")


def _database(stack: Stack) -> tuple[str, ...]:
    has_database = stack.node.find_child("Functions").node.try_find_child("Database") is not None
    return ("Database",) if has_database else ()


def _acknowledge_each(stack: Stack, name: str, services: tuple[Attachment, ...]) -> None:
    role, function = f"Functions/{name}Role", f"Functions/{name}"
    _acknowledge(stack, role, "IAM5[Resource::*]", _UNSCOPED)
    _acknowledge(stack, function, "L1", "the bundle is compiled for this very Python minor version")
    for service in services:
        for kind in ("service-deployment", "service-revision"):
            resource = f"{kind}/{service.cluster}/{service.ecs_service}/*"
            _wildcard(stack, role, "ecs", resource, "deployments of this service get ids of their own")
        _wildcard(stack, role, "ecs", f"task/{service.cluster}/*", "tasks get ids of their own")


def _stacks(stack: Stack, role: str, deployed_by: tuple[str, ...]) -> None:
    for name in deployed_by:
        _wildcard(stack, role, "cloudformation", f"stack/{name}/*", "a stack that is made again gets another id")


def _wildcard(stack: Stack, path: str, service: str, resource: str, reason: str) -> None:
    arn = f"arn:{_named(stack.partition, 'Partition')}:{service}:{_here(stack)}:{resource}"
    _acknowledge(stack, path, f"IAM5[Resource::{arn}]", reason)


def _here(stack: Stack) -> str:
    return f"{_named(stack.region, 'Region')}:{_named(stack.account, 'AccountId')}"


def _named(value: str, parameter: str) -> str:
    """As cdk-nag writes it: what CloudFormation fills in by its name."""
    return f"<AWS::{parameter}>" if Token.is_unresolved(value) else value


def _acknowledge(stack: IConstruct, path: str, rule: str, reason: str) -> None:
    construct = stack
    for part in path.split("/"):
        construct = construct.node.find_child(part)
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))
