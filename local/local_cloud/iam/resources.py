"""Permissions that IAM requires for each API call: actions, their resources, and condition keys.

Source: AWS Service Authorization Reference. A role may not make a call that no table here lists.
"""

from collections.abc import Callable, Iterator

from moto.secretsmanager.models import secretsmanager_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local_cloud.iam.containers import ecs_checks
from local_cloud.iam.databases import dynamodb_checks
from local_cloud.iam.request import AuthorizedCall, PermissionCheck, pass_role

_WITHOUT_RESOURCE_LEVEL = {
    "application-autoscaling": "Describe*",
    "cloudformation": "DescribeAccountLimits ListStacks ListExports ListImports ValidateTemplate GetTemplateSummary",
    "cloudwatch": "GetMetricData GetMetricStatistics ListMetrics GetMetricWidgetImage ListDashboards "
    "DescribeAlarmsForMetric",
    "ec2": "Describe*",
    "ecr": "GetAuthorizationToken",
    "elasticloadbalancing": "Describe*",
    "events": "ListEventBuses ListRules TestEventPattern ListRuleNamesByTarget",
    "iam": "ListRoles ListPolicies ListUsers GetAccountSummary ListAccountAliases",
    "lambda": "ListFunctions GetAccountSettings ListEventSourceMappings",
    "logs": "CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery ListLogDeliveries "
    "PutResourcePolicy DescribeResourcePolicies GetQueryResults StopQuery DescribeQueries",
    "secretsmanager": "ListSecrets GetRandomPassword",
    "sns": "ListTopics ListSubscriptions",
    "sqs": "ListQueues",
    "ssm": "DescribeParameters",
    "states": "ListStateMachines ListActivities ValidateStateMachineDefinition",
    "sts": "GetCallerIdentity GetSessionToken",
    "xray": "PutTraceSegments PutTelemetryRecords GetSamplingRules GetSamplingTargets",
}
_ACTION_NAMES = {("lambda", "Invoke"): "InvokeFunction", ("lambda", "InvokeAsync"): "InvokeFunction"}


class Unmapped(Exception):
    """No table says which resources an API call needs permission for."""

    def __init__(self, action: str) -> None:
        super().__init__(f"the embedded cloud has no IAM mapping for {action}: add it to local_cloud/iam/resources.py")


def permission_checks(request: AuthorizedCall) -> list[PermissionCheck]:
    """Return every permission that the call needs.

    Raises:
        Unmapped: no table lists the call.
    """
    operation = _ACTION_NAMES.get((request.service, request.operation), request.operation)
    if _is_listed(request.service, operation):
        return [PermissionCheck(f"{request.service}:{operation}", "*")]
    mapping = _SERVICES.get(request.service)
    checks = list(mapping(request)) if mapping else []
    if not checks:
        raise Unmapped(f"{request.service}:{operation}")
    return [check if ":" in check.action else check.named(f"{request.service}:{operation}") for check in checks]


def _is_listed(service: str, operation: str) -> bool:
    names = _WITHOUT_RESOURCE_LEVEL.get(service, "").split()
    return any(operation == name or (name.endswith("*") and operation.startswith(name[:-1])) for name in names)


def _on(*resources: str, **context: str) -> Iterator[PermissionCheck]:
    """Require the call's own action on each resource."""
    for resource in resources:
        yield PermissionCheck("", resource, {key.replace("__", ":"): [value] for key, value in context.items()})


def _ecr(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    names = request.all("repositoryNames") or request.all("repositoryName")
    if request.operation == "DescribeRepositories" and not names:
        names = ["*"]
    return _on(*(request.arn("ecr", f"repository/{name}") for name in names))


def _cloudwatch(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    operation = request.operation
    if operation == "PutMetricData":
        return iter([PermissionCheck("", "*", {"cloudwatch:namespace": [request.one("Namespace")]})])
    if operation == "ListAlarmMuteRules":
        return _on(request.arn("cloudwatch", "alarm-mute-rule:*"))
    names = request.all("AlarmNames") or request.all("AlarmName")
    if operation == "DescribeAlarms" and (not names or "CompositeAlarm" in request.all("AlarmTypes")):
        return _on("*")  # only a permission on `*` shows composite alarms
    if "Dashboard" in operation:
        names = request.all("DashboardNames") or request.all("DashboardName")
        return _on(*(f"arn:aws:cloudwatch::{request.account}:dashboard/{name}" for name in names))
    if request.has("ResourceARN"):
        return _on(request.one("ResourceARN"))
    return _on(*(request.arn("cloudwatch", f"alarm:{name}") for name in names))


def _logs(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    names = request.all("logGroupNames") or request.all("logGroupName") or request.all("logGroupIdentifier")
    if request.operation == "DescribeLogGroups":
        names = [""]
    streams = request.one("logStreamName") if request.operation == "PutLogEvents" else ""
    for name in names:
        group = name.split(":log-group:")[-1].removesuffix(":*")
        yield from _on(request.arn("logs", f"log-group:{group}:log-stream:{streams}"))


def _sns(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    if request.operation == "Publish" and request.has("PhoneNumber"):
        return _on("*")
    if request.has("SubscriptionArn"):
        return _on(request.one("SubscriptionArn").rsplit(":", 1)[0])
    if request.operation == "CreateTopic":
        return _on(request.arn("sns", request.one("Name")))
    return _on(*(request.all("TopicArn") or request.all("TargetArn") or request.all("ResourceArn")))


def _states(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    if request.operation.startswith("SendTask"):
        yield from _on(_state_machine_of_task(request))
        return
    if request.operation == "CreateStateMachine":
        yield from _on(request.arn("states", f"stateMachine:{request.one('name')}"))
        yield from pass_role(request.one("roleArn"), "states.amazonaws.com")
        return
    for name in ("stateMachineArn", "executionArn", "resourceArn", "mapRunArn"):
        if request.has(name):
            yield from _on(request.one(name))
            return


def _state_machine_of_task(request: AuthorizedCall) -> str:
    """Return the state machine whose task waits for the token; `*` for an unknown token, which the API refuses."""
    token = request.one("taskToken")
    for execution in list(stepfunctions_parser_backends[request.account][request.region]._get_executions()):
        worker = getattr(execution, "exec_worker", None)
        if worker is not None and worker.env.callback_pool_manager.get(token) is not None:
            return str(execution.state_machine_arn)
    return "*"


def _lambda(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for name in request.all("FunctionName"):
        short = name.split(":function:")[-1] if name.startswith("arn:") else name
        qualifier = f":{request.one('Qualifier')}" if request.has("Qualifier") else ""
        yield from _on(request.arn("lambda", f"function:{short}{qualifier}"))
    if request.operation in {"CreateFunction", "UpdateFunctionConfiguration"} and request.has("Role"):
        yield from pass_role(request.one("Role"), "lambda.amazonaws.com")
    if request.has("Resource"):
        yield from _on(request.one("Resource"))


def _sqs(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for name in request.all("QueueUrl") or request.all("QueueName"):
        yield from _on(request.arn("sqs", name.rsplit("/", 1)[-1]))


def _elasticloadbalancing(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for name in ("TargetGroupArn", "ListenerArn", "RuleArn", "LoadBalancerArn", "ResourceArns"):
        if request.has(name):
            return _on(*request.all(name))
    return iter(())


def _application_autoscaling(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    return _on(
        request.arn("application-autoscaling", "scalable-target/*"),
        **{
            "application-autoscaling__service-namespace": request.one("ServiceNamespace"),
            "application-autoscaling__scalable-dimension": request.one("ScalableDimension"),
        },
    )


def _cloudformation(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    if request.operation == "DescribeStacks" and not request.has("StackName"):
        yield from _on("*")
    for name in request.all("StackName"):
        yield from _on(name if name.startswith("arn:") else request.arn("cloudformation", f"stack/{name}/*"))


def _secretsmanager(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for name in request.all("SecretId") or request.all("Name"):
        secret = secretsmanager_backends[request.account][request.region].secrets.get(name)
        secret_arn = secret.arn if secret else request.arn("secretsmanager", f"secret:{name}-??????")
        yield from _on(name if name.startswith("arn:") else secret_arn)


def _ssm(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for name in request.all("Names") or request.all("Name") or request.all("Path"):
        yield from _on(name if name.startswith("arn:") else request.arn("ssm", f"parameter/{name.lstrip('/')}"))


def _sts(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    return _on(*request.all("RoleArn"))


def _iam(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    if request.has("PolicySourceArn"):
        return _on(request.one("PolicySourceArn"))
    if request.has("PolicyArn") and not request.has("RoleName"):
        return _on(request.one("PolicyArn"))
    return _on(*(f"arn:aws:iam::{request.account}:role/{name}" for name in request.all("RoleName")))


def _events(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    if request.operation == "PutEvents":
        for entry in request.parameters["Entries"]:
            bus = entry.get("EventBusName", "default")
            arn = bus if bus.startswith("arn:") else request.arn("events", f"event-bus/{bus}")
            context = {"events:source": [entry.get("Source", "")], "events:detail-type": [entry.get("DetailType", "")]}
            yield PermissionCheck("", arn, context)
        return
    bus = request.one("EventBusName") if request.has("EventBusName") else "default"
    for name in request.all("Rule") or request.all("Name"):
        kind = f"event-bus/{name}" if "EventBus" in request.operation else _rule_resource(bus, name)
        yield from _on(request.arn("events", kind))
    for target in request.parameters.get("Targets", []):
        if request.operation == "PutTargets" and target.get("RoleArn"):
            yield from pass_role(target["RoleArn"], "events.amazonaws.com")


def _rule_resource(bus: str, name: str) -> str:
    return f"rule/{name}" if bus == "default" else f"rule/{bus.rsplit('/', 1)[-1]}/{name}"


def _kms(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    keys = list(request.parameters.get("EncryptionContext") or {})
    context = {"kms:encryptioncontextkeys": keys} if keys else {}
    for key in request.all("KeyId"):
        yield PermissionCheck("", key if key.startswith("arn:") else request.arn("kms", f"key/{key}"), context)


def _scheduler(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    group = request.one("GroupName") if request.has("GroupName") else "default"
    for name in request.all("Name"):
        yield from _on(request.arn("scheduler", f"schedule/{group}/{name}"))
    role = request.parameters.get("Target", {}).get("RoleArn")
    if role:
        yield from pass_role(role, "scheduler.amazonaws.com")


_SERVICES: dict[str, Callable[[AuthorizedCall], Iterator[PermissionCheck]]] = {
    "application-autoscaling": _application_autoscaling,
    "cloudformation": _cloudformation,
    "cloudwatch": _cloudwatch,
    "dynamodb": dynamodb_checks,
    "ecr": _ecr,
    "ecs": ecs_checks,
    "elasticloadbalancing": _elasticloadbalancing,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "scheduler": _scheduler,
    "secretsmanager": _secretsmanager,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "states": _states,
    "sts": _sts,
}
