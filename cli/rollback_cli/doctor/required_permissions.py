"""Permissions that the role of each function needs, on the environment's real resources.

The list follows `rollback_constructs.functions`, which draws the roles; a test holds the two together. The team's own
KMS keys are left out: neither the stack's outputs nor the functions' variables name them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rollback.domain.settings.environment import (
    APPROVALS_KEY_VARIABLE,
    CHAT_TOPIC_VARIABLE,
    CRITICAL_TOPIC_VARIABLE,
    NOTIFICATION_TOPIC_VARIABLE,
    REPORT_BUCKET_VARIABLE,
    ServiceSettings,
    Settings,
)
from rollback.names import database_function, event_source
from rollback.resources.aws.account_and_region import AccountAndRegion

_ANY = ("*",)
_TO_TASKS = {"iam:PassedToService": ("ecs-tasks.amazonaws.com",)}
_ID = "00000000-0000-0000-0000-000000000000"  # stands for an id of ECS or Step Functions behind a wildcard


@dataclass(frozen=True)
class Need:
    """Actions that a role has to be allowed on each of some resources.

    Attributes:
        context: condition key → values of the request.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...] = _ANY
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceResources:
    """Resources of one service, as its task definitions name them."""

    service: ServiceSettings
    roles: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resources:
    """Resources of an environment.

    Attributes:
        variables: environment variables of the function whose role is judged.
    """

    settings: Settings
    place: AccountAndRegion
    table: str
    workflow_arn: str
    services: tuple[ServiceResources, ...]
    variables: Mapping[str, str]

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN in the environment's account and region."""
        return f"arn:{self.place.partition}:{service}:{self.place.region}:{self.place.account}:{resource}"

    def of_services(self, kind: str, suffix: str = "") -> tuple[str, ...]:
        """Return ARNs of ECS that contain the cluster and the name of each service."""
        names = (f"{s.service.cluster}/{s.service.ecs_service}" for s in self.services)
        return tuple(self.arn("ecs", f"{kind}/{name}{suffix}") for name in names)

    def clusters(self) -> tuple[str, ...]:
        """Names of the clusters."""
        return tuple(dict.fromkeys(s.service.cluster for s in self.services))

    def variable(self, name: str) -> tuple[str, ...]:
        """Return the value of a variable; empty if the function has none."""
        value = self.variables.get(name)
        return (value,) if value else ()


def needs_of(function: str, resources: Resources) -> tuple[Need, ...]:
    """Return all needs of a function; those without a resource are left out."""
    needs = (*_NEEDS[function](resources), *_of_the_runtime(function, resources))
    return tuple(need for need in needs if need.resources)


def actions_of(needs: Iterable[Need]) -> set[str]:
    """Return the actions of some needs."""
    return {action for need in needs for action in need.actions}


def _of_the_runtime(function: str, r: Resources) -> Iterator[Need]:
    """Yield what Lambda itself does with the role: logs, traces, and events on which the function failed."""
    group = r.arn("logs", f"log-group:/aws/lambda/{r.settings.prefix}-rollback-{function}:*")
    yield Need(("logs:CreateLogStream", "logs:PutLogEvents"), (group,))
    yield Need(("xray:PutTraceSegments", "xray:PutTelemetryRecords"))
    if function in ("report", "promote", "database"):
        yield Need(("sqs:SendMessage",), (r.arn("sqs", f"{r.settings.prefix}-rollback-failed-invocations"),))


def _decide(r: Resources) -> Iterator[Need]:
    yield from _steps(r)
    yield from _labels(r)
    yield from _leases(r)
    yield _images(r)
    yield Need(
        (
            "cloudwatch:DescribeAlarms",
            "cloudwatch:ListAlarmMuteRules",
            "cloudwatch:GetMetricData",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "application-autoscaling:DescribeScalableTargets",
            *(("application-autoscaling:DescribeScalingPolicies",) if r.settings.database else ()),
        )
    )
    yield _stacks(r)
    yield _stop_execution(r)
    yield _publish(r, NOTIFICATION_TOPIC_VARIABLE, CRITICAL_TOPIC_VARIABLE)
    if key := r.variable(APPROVALS_KEY_VARIABLE):
        yield _token("kms:Encrypt", key)
        yield Need(("states:SendTaskSuccess",))


def _service(r: Resources) -> Iterator[Need]:
    yield from _steps(r)
    yield from _leases(r)
    yield from _register(r)
    yield from _scaling(r)
    yield _update(r)
    deployments = (*r.of_services("service-deployment", f"/{_ID}"), *r.of_services("service"))
    yield Need(("ecs:StopServiceDeployment",), deployments)
    yield _images(r)
    yield Need(
        (
            "cloudwatch:DescribeAlarms",
            "cloudwatch:ListAlarmMuteRules",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        )
    )
    yield _stacks(r)
    yield _stop_execution(r)


def _report(r: Resources) -> Iterator[Need]:
    database, github = r.settings.database, r.settings.github
    yield from _steps(r)
    yield from _leases(r)
    yield from _scaling(r)
    yield _update(r)
    yield Need(
        (
            "cloudwatch:DescribeAlarms",
            "cloudwatch:DescribeAlarmHistory",
            "cloudwatch:GetMetricData",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        )
    )
    buckets = r.variable(REPORT_BUCKET_VARIABLE)
    objects = tuple(f"arn:{r.place.partition}:s3:::{bucket}/reports/a.html" for bucket in buckets)
    yield Need(("s3:PutObject", "s3:GetObject"), objects)
    yield _stacks(r)
    yield _publish(r, NOTIFICATION_TOPIC_VARIABLE, CRITICAL_TOPIC_VARIABLE, CHAT_TOPIC_VARIABLE)
    yield Need(("states:StartExecution",), (r.workflow_arn,))
    yield Need(("states:DescribeExecution",), (_execution(r),))
    keys = (
        database.api_key_secret_arn if database else None,
        github.secret_arn if github else None,
        *r.settings.chat.secret_arns,
    )
    yield Need(("secretsmanager:GetSecretValue",), tuple(key for key in keys if key))
    yield from _invoke_database(r)
    if r.settings.runs_smoke_tasks:
        yield from _run_tasks(r)
    if r.settings.runs_smoke_tasks or (database is not None and database.down_command):
        yield _task_logs(r)


def _promote(r: Resources) -> Iterator[Need]:
    yield from _reads(r)
    yield from _labels(r)
    yield _lease_check(r)
    yield from _register(r)
    yield _images(r)
    yield Need(("ecr:BatchGetImage", "ecr:PutImage"), _repositories(r))
    yield Need(
        (
            "cloudwatch:DescribeAlarms",
            "cloudwatch:DescribeAlarmHistory",
            "cloudwatch:GetMetricData",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeRules",
            "application-autoscaling:DescribeScalingPolicies",
            "logs:DescribeLogGroups",
            "ssm:DescribeParameters",
        )
    )
    yield Need(("ecs:DescribeClusters",), tuple(r.arn("ecs", f"cluster/{name}") for name in r.clusters()))
    yield Need(("iam:GetRole",), _roles(r))
    buckets = dict.fromkeys(bucket for s in r.services for bucket in s.buckets)
    yield Need(("s3:ListBucket",), tuple(f"arn:{r.place.partition}:s3:::{bucket}" for bucket in buckets))
    yield Need(("secretsmanager:DescribeSecret",), (r.arn("secretsmanager", "secret:any-AbCdEf"),))
    yield from _invoke_database(r)
    if r.settings.release_watch.is_on:
        yield Need(("states:StartExecution",), (r.workflow_arn,))


def _database(r: Resources) -> Iterator[Need]:
    yield from _steps(r)
    yield from _leases(r)
    yield from _scaling(r)
    yield _images(r)
    yield _update(r)
    yield _stacks(r)
    database = r.settings.database
    if database is None:
        return
    connection = database.connection_secret_arn
    secrets = (database.api_key_secret_arn, *((connection,) if connection else ()))
    yield Need(("secretsmanager:GetSecretValue",), secrets)
    yield Need(("secretsmanager:PutSecretValue",), (connection,) if connection else ())
    if database.down_command or r.settings.runs_connection_tasks:
        yield from _run_tasks(r)
        yield _task_logs(r)


def _approve(r: Resources) -> Iterator[Need]:
    table = (r.arn("dynamodb", f"table/{r.table}"),)
    approvals = {"dynamodb:LeadingKeys": ("APPROVAL#any",)}
    services = tuple(f"SERVICE#{name}" for name in r.settings.service_names)
    yield Need(("dynamodb:GetItem",), table, {"dynamodb:LeadingKeys": services})
    yield Need(("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"), table, approvals)
    yield _token("kms:Decrypt", r.variable(APPROVALS_KEY_VARIABLE))
    yield Need(("states:SendTaskSuccess",))


_NEEDS = {
    "decide": _decide,
    "service": _service,
    "report": _report,
    "promote": _promote,
    "database": _database,
    "approve": _approve,
}


def _reads(r: Resources) -> Iterator[Need]:
    actions = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem")
    yield Need(actions, (r.arn("dynamodb", f"table/{r.table}"),))
    services = r.of_services("service")
    yield Need(("ecs:DescribeServices", "ecs:ListServiceDeployments"), services)
    parts = (*r.of_services("service-deployment", f"/{_ID}"), *r.of_services("service-revision", "/1"), *services)
    yield Need(("ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"), parts)
    yield Need(("ecs:DescribeTaskDefinition",))
    yield Need(("ecs:DescribeTasks",), _tasks(r))
    for cluster in r.clusters():
        yield Need(("ecs:ListTasks",), _ANY, {"ecs:cluster": (r.arn("ecs", f"cluster/{cluster}"),)})


def _steps(r: Resources) -> Iterator[Need]:
    yield from _reads(r)
    source = {"events:source": (event_source(r.settings.application),)}
    yield Need(("events:PutEvents",), (r.arn("events", "event-bus/default"),), source)


def _leases(r: Resources) -> Iterator[Need]:
    table = r.arn("dynamodb", f"table/{r.table}")
    yield Need(("dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"), (table,))


def _lease_check(r: Resources) -> Need:
    return Need(("dynamodb:ConditionCheckItem",), (r.arn("dynamodb", f"table/{r.table}"),))


def _labels(r: Resources) -> Iterator[Need]:
    if r.settings.reads_labels:
        yield Need(("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), _repositories(r))


def _images(r: Resources) -> Need:
    return Need(("ecr:DescribeImages",), _repositories(r))


def _update(r: Resources) -> Need:
    return Need(("ecs:UpdateService",), r.of_services("service"))


def _stacks(r: Resources) -> Need:
    names = dict.fromkeys(s.service.stack for s in r.services if s.service.stack)
    arns = (name if name.startswith("arn:") else r.arn("cloudformation", f"stack/{name}/{_ID}") for name in names)
    return Need(("cloudformation:DescribeStacks", "cloudformation:ListStackResources"), tuple(arns))


def _register(r: Resources) -> Iterator[Need]:
    definitions = (r.arn("ecs", "task-definition/any:1"),)
    yield Need(("ecs:RegisterTaskDefinition",), definitions)
    yield Need(("ecs:TagResource",), definitions, {"ecs:CreateAction": ("RegisterTaskDefinition",)})
    yield Need(("iam:PassRole",), _roles(r), _TO_TASKS)


def _scaling(r: Resources) -> Iterator[Need]:
    yield Need(("application-autoscaling:DescribeScalableTargets",))
    context = {
        "application-autoscaling:service-namespace": ("ecs",),
        "application-autoscaling:scalable-dimension": ("ecs:service:DesiredCount",),
    }
    target = r.arn("application-autoscaling", "scalable-target/any")
    yield Need(("application-autoscaling:RegisterScalableTarget",), (target,), context)


def _run_tasks(r: Resources) -> Iterator[Need]:
    for cluster in r.clusters():
        context = {"ecs:cluster": (r.arn("ecs", f"cluster/{cluster}"),)}
        yield Need(("ecs:RunTask",), (r.arn("ecs", "task-definition/any:1"),), context)
    yield Need(("ecs:StopTask",), _tasks(r))
    yield Need(("iam:PassRole",), _roles(r), _TO_TASKS)


def _task_logs(r: Resources) -> Need:
    groups = dict.fromkeys(group for s in r.services for group in s.log_groups)
    return Need(("logs:GetLogEvents",), tuple(r.arn("logs", f"log-group:{group}:log-stream:any") for group in groups))


def _invoke_database(r: Resources) -> Iterator[Need]:
    if r.settings.database is not None:
        yield Need(("lambda:InvokeFunction",), (r.arn("lambda", f"function:{database_function(r.settings.prefix)}"),))


def _publish(r: Resources, *variables: str) -> Need:
    return Need(("sns:Publish",), tuple(arn for name in variables for arn in r.variable(name)))


def _stop_execution(r: Resources) -> Need:
    return Need(("states:StopExecution",), (_execution(r),))


def _execution(r: Resources) -> str:
    return f"{r.workflow_arn.replace(':stateMachine:', ':execution:')}:{_ID}"


def _token(action: str, keys: tuple[str, ...]) -> Need:
    return Need((action,), keys, {"kms:EncryptionContextKeys": ("rollback_id",)})


def _tasks(r: Resources) -> tuple[str, ...]:
    return tuple(r.arn("ecs", f"task/{cluster}/{_ID}") for cluster in r.clusters())


def _roles(r: Resources) -> tuple[str, ...]:
    return tuple(dict.fromkeys(role for s in r.services for role in s.roles))


def _repositories(r: Resources) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arn for s in r.services for arn in s.repositories))
