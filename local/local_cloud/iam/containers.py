"""Permissions that ECS calls need, including iam:PassRole for the roles of a task."""

from collections.abc import Iterator
from typing import Any

from moto.ecs.models import ecs_backends

from local_cloud.iam.request import AuthorizedCall, PermissionCheck, pass_role

_WITHOUT_RESOURCE_LEVEL = {
    "DescribeTaskDefinition", "DeregisterTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies",
    "ListClusters", "CreateCluster", "ListAccountSettings",
}  # fmt: skip
_OF_A_CLUSTER = {"ListServices", "ListTasks"}
_ON_CLUSTERS = {"DescribeClusters", "UpdateCluster", "DeleteCluster"}
_ON_SERVICES = {"CreateService", "UpdateService", "DeleteService", "DescribeServices", "ListServiceDeployments"}
_ON_TASKS = {"DescribeTasks", "StopTask", "GetTaskProtection", "UpdateTaskProtection", "ExecuteCommand"}
_BY_ARN = {
    "DescribeServiceDeployments": "serviceDeploymentArns",
    "StopServiceDeployment": "serviceDeploymentArn",
    "DescribeServiceRevisions": "serviceRevisionArns",
    "TagResource": "resourceArn",
    "UntagResource": "resourceArn",
    "ListTagsForResource": "resourceArn",
}
_TASKS = "ecs-tasks.amazonaws.com"


def ecs_checks(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    """Return the permissions of an ECS call; none if no table lists the operation."""
    operation = request.operation
    context = {"ecs:cluster": [_cluster_arn(request)]}
    if operation in _WITHOUT_RESOURCE_LEVEL:
        return iter([PermissionCheck("", "*")])
    if operation in _OF_A_CLUSTER:
        return iter([PermissionCheck("", "*", context)])
    if operation in _ON_CLUSTERS:
        return _clusters(request)
    if operation in _BY_ARN:
        return _by_arn(request)
    if operation in _ON_SERVICES:
        return _services(request, context)
    if operation in _ON_TASKS:
        return _tasks(request, context)
    if operation == "RunTask":
        return _run_task(request, context)
    return _register(request) if operation == "RegisterTaskDefinition" else iter(())


def _clusters(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for name in request.all("clusters") or request.all("cluster") or ["default"]:
        yield PermissionCheck("", _full_arn(request, "cluster", name))


def _tasks(request: AuthorizedCall, context: dict[str, list[str]]) -> Iterator[PermissionCheck]:
    for name in request.all("tasks") or request.all("task"):
        yield PermissionCheck("", _full_arn(request, f"task/{_cluster_name(request)}", name), context)


def _by_arn(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    for arn in request.all(_BY_ARN[request.operation]):
        yield PermissionCheck("", arn, {"ecs:cluster": [_cluster_in(request, arn)]} if arn.count("/") > 1 else {})


def _services(request: AuthorizedCall, context: dict[str, list[str]]) -> Iterator[PermissionCheck]:
    if request.has("taskDefinition"):
        context = context | {"ecs:task-definition": [_definition_arn(request)]}
    for name in request.all("services") or request.all("service") or request.all("serviceName"):
        yield PermissionCheck("", _full_arn(request, f"service/{_cluster_name(request)}", name), context)


def _run_task(request: AuthorizedCall, context: dict[str, list[str]]) -> Iterator[PermissionCheck]:
    yield PermissionCheck("", _definition_arn(request), context)
    definition = _requested_definition(request)
    overrides = request.parameters.get("overrides") or {}
    task_role = overrides.get("taskRoleArn") or getattr(definition, "task_role_arn", None)
    execution_role = overrides.get("executionRoleArn") or getattr(definition, "execution_role_arn", None)
    for role in (task_role, execution_role):
        if role:
            yield from pass_role(role, _TASKS)


def _register(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    family = request.arn("ecs", f"task-definition/{request.one('family')}:*")
    yield PermissionCheck("", family)
    if request.has("tags"):  # tags at creation need an action of their own
        yield PermissionCheck("ecs:TagResource", family, {"ecs:createaction": ["RegisterTaskDefinition"]})
    for name in ("taskRoleArn", "executionRoleArn"):
        if request.has(name):
            yield from pass_role(request.one(name), _TASKS)


def _cluster_name(request: AuthorizedCall) -> str:
    return (request.one("cluster") or "default").rsplit("/", 1)[-1]


def _cluster_arn(request: AuthorizedCall) -> str:
    return request.arn("ecs", f"cluster/{_cluster_name(request)}")


def _cluster_in(request: AuthorizedCall, arn: str) -> str:
    """Return the ARN of the cluster that a service's, task's, deployment's or revision's ARN names."""
    return request.arn("ecs", f"cluster/{arn.split('/')[1]}")


def _full_arn(request: AuthorizedCall, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else request.arn("ecs", f"{kind}/{name}")


def _requested_definition(request: AuthorizedCall) -> Any:
    name = request.one("taskDefinition")
    backend = ecs_backends[request.account][request.region]
    family, _, revision = name.rsplit("/", 1)[-1].partition(":")
    revisions = backend.task_definitions.get(family, {})
    return revisions.get(int(revision)) if revision else revisions.get(max(revisions, default=0))


def _definition_arn(request: AuthorizedCall) -> str:
    definition = _requested_definition(request)
    if definition is not None:
        return str(definition.arn)
    return _full_arn(request, "task-definition", request.one("taskDefinition"))
