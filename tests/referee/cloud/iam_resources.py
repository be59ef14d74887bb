"""Shim of the resources that IAM checks where MiniStack checks others, by AWS's Service Authorization Reference.

For ECS, MiniStack checks the cluster for every call and has no condition keys. An action of ECS without a line here
fails with its name, so that a new call of ours gets its line. Of other services only `OTHERS` differ.
"""

import contextvars
import json
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions, iam_evaluator

Request = dict[str, Any]
_body: contextvars.ContextVar[bytes] = contextvars.ContextVar("body", default=b"")


class UnknownAction(Exception):
    """An action of ECS has no line in `RESOURCES`."""


def _first(name: str) -> Callable[[Request], str]:
    return lambda request: str((request.get(name) or ["*"])[0])


def _in_cluster(kind: str, named: Callable[[Request], str]) -> Callable[[Request], str]:
    """Build `service/CLUSTER/NAME` or `task/CLUSTER/ID`; an ARN stays unchanged."""

    def resource(request: Request) -> str:
        name = named(request)
        cluster = str(request.get("cluster", "default")).rpartition("/")[2]
        return name if name.startswith("arn:") else f"{kind}/{cluster}/{name}"

    return resource


RESOURCES: dict[str, Callable[[Request], str]] = {
    "CreateCluster": lambda request: f"cluster/{request.get('clusterName', 'default')}",
    "CreateService": _in_cluster("service", lambda request: str(request["serviceName"])),
    "DescribeCapacityProviders": lambda request: "*",
    "DescribeClusters": lambda request: f"cluster/{_first('clusters')(request)}",
    "DescribeServiceDeployments": _first("serviceDeploymentArns"),
    "DescribeServiceRevisions": _first("serviceRevisionArns"),
    "DescribeServices": _in_cluster("service", _first("services")),
    "DescribeTaskDefinition": lambda request: "*",
    "DescribeTasks": _in_cluster("task", _first("tasks")),
    "ListServiceDeployments": _in_cluster("service", lambda request: str(request["service"])),
    "ListServices": lambda request: "*",
    "ListTagsForResource": lambda request: str(request["resourceArn"]),
    "ListTaskDefinitions": lambda request: "*",
    "ListTasks": lambda request: "*",
    "RegisterTaskDefinition": lambda request: f"task-definition/{request['family']}:1",
    "RunTask": lambda request: f"task-definition/{request['taskDefinition']}",
    "StopServiceDeployment": lambda request: str(request["serviceDeploymentArn"]),
    "StopTask": _in_cluster("task", lambda request: str(request["task"])),
    "TagResource": lambda request: str(request["resourceArn"]),
    "UpdateService": _in_cluster("service", lambda request: str(request["service"])),
}
# AWS checks no log group by name, whatever the prefix ("log-group::log-stream:" in its denials).
OTHERS = {
    ("logs", "DescribeLogGroups"): "arn:aws:logs:{region}:{account}:log-group::log-stream:",
    ("application-autoscaling", "RegisterScalableTarget"): (
        "arn:aws:application-autoscaling:{region}:{account}:scalable-target/0ec512ac"
    ),
}


def _arn(resource: str, region: str, account: str) -> str:
    """Build the ARN of a resource; an ARN, and `task-definition/arn:…`, keep theirs."""
    if resource == "*" or resource.startswith("arn:"):
        return resource
    _, separator, rest = resource.partition("arn:")
    return f"arn:{rest}" if separator else f"arn:aws:ecs:{region}:{account}:{resource}"


def _context(request: Request, region: str, account: str) -> dict[str, str]:
    cluster = request.get("cluster")
    return {"ecs:cluster": _arn(f"cluster/{cluster}", region, account)} if cluster else {}


def install() -> None:
    """Let IAM check these resources."""
    plain_resource, plain_enforce = iam_actions.extract_resource_arn, iam_evaluator.enforce

    def resource_of(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> Any:
        _body.set(body)
        action = str(headers.get("x-amz-target", "")).rpartition(".")[2]
        if (service, action) in OTHERS:
            return OTHERS[service, action].format(region=region, account=account)
        if service != "ecs":
            return plain_resource(service, method, path, headers, body, query, region, account)
        if action not in RESOURCES:
            raise UnknownAction(f"ecs:{action} has no line in tests/referee/cloud/iam_resources.py")
        return _arn(RESOURCES[action](json.loads(body or b"{}")), region, account)

    def enforce(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        context = dict(service_context or {})
        if service == "ecs":
            account = resource_arn.split(":")[4] if resource_arn.startswith("arn:") else _account()
            context |= _context(json.loads(_body.get() or b"{}"), region, account)
        return plain_enforce(key, action, service, region, resource_arn=resource_arn, service_context=context)

    iam_actions.extract_resource_arn, iam_evaluator.enforce = resource_of, enforce


def _account() -> str:
    from ministack.core.responses import get_account_id  # noqa: PLC0415 - MiniStack loads it late

    return str(get_account_id())
