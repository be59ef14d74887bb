"""Tasks of ECS RunTask, which belong to no service. Refusals have ECS's words.

Sources: API reference, RunTask and "Ensuring idempotency". A repeated client token with the same parameters is answered
with the tasks that it started. With other parameters the request is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import EcsClientException, ECSException, InvalidParameterException

from local_cloud.ecs.refusals import require_active_definition, role_problem
from local_cloud.ecs.task_shape import to_task_shape
from local_cloud.ecs.tasks import Task

KEPT_TASKS = 100  # ECS describes a stopped task for an hour
_MAX_TASKS = 10
_STARTED_BY = re.compile(r"[A-Za-z0-9/_-]{1,128}")
_PARAMETERS = (
    "cluster", "taskDefinition", "count", "group", "launchType", "capacityProviderStrategy", "networkConfiguration",
    "overrides", "platformVersion", "startedBy",
)  # fmt: skip
_CLIENT_TOKEN = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True)
class Placement:
    """The attributes of a service that a task reads, for a task without a service."""

    cluster_arn: str
    cluster_name: str
    region_name: str
    launch_type: str
    network_configuration: dict[str, Any]
    platform_version: str | None
    group: str
    _account_id: str
    _backend: Any
    name: str = ""
    load_balancers: tuple[dict[str, Any], ...] = ()

    @property
    def arn(self) -> str:
        """Name of the task's shared state. Tasks of one group share it."""
        return self.group


@dataclass
class StandaloneTasks:
    """Every task that RunTask started, newest last. Callers hold the simulation's lock."""

    tasks: list[Task] = field(default_factory=list)
    _tokens: dict[tuple[str, str], tuple[dict[str, Any], list[Task]]] = field(default_factory=dict)

    def tick(self) -> None:
        """Advance each task, and forget the oldest stopped ones."""
        for task in self.tasks:
            task.advance()
        stopped = [task for task in self.tasks if task.status == "STOPPED"]
        for task in stopped[:-KEPT_TASKS]:
            self.tasks.remove(task)

    def stop_all(self) -> None:
        """End every task at once, and forget it."""
        for task in self.tasks:
            task.kill()
        self.tasks.clear()
        self._tokens.clear()

    def run(self, response: Any) -> ActionResult:
        """Answer RunTask: start the tasks, or refuse."""
        request = {name: response._get_param(name) for name in _PARAMETERS}
        cluster = response.ecs_backend._get_cluster(request.get("cluster") or "default")
        token = response._get_param("clientToken")
        if token is not None and not _CLIENT_TOKEN.fullmatch(token):
            raise InvalidParameterException("clientToken must be 1 to 64 characters in the range of 33-126.")
        if (cluster.arn, token) in self._tokens:
            return self._answer_repeated_request(*self._tokens[cluster.arn, token], request)
        count = _requested_count(request)
        definition = require_active_definition(response.ecs_backend, request["taskDefinition"])
        overrides = request.get("overrides") or {}
        _refuse_overrides(overrides, definition)
        problem = role_problem(definition, overrides, str(response.ecs_backend.account_id))
        if problem is not None:
            raise EcsClientException(problem)
        placement, started_by = _placement(response, cluster, definition, request), request.get("startedBy") or ""
        started = [Task(placement, definition, started_by, {}, overrides=overrides) for _ in range(count)]
        self.tasks += started
        if token is not None:
            self._tokens[cluster.arn, token] = (request, started)
        return _answer(started)

    def _answer_repeated_request(
        self, earlier: dict[str, Any], started: list[Task], request: dict[str, Any]
    ) -> ActionResult:
        if earlier == request:
            return _answer(started)
        refusal = ECSException(
            "ConflictException",
            "The provided clientToken is already in use with a different RunTask request.",
        )
        refusal.resourceIds = [task.arn for task in started]
        raise refusal


def _requested_count(request: dict[str, Any]) -> int:
    """Return the number of tasks, after ECS's checks of `startedBy` and `count`."""
    started_by = request.get("startedBy") or ""
    if started_by and not _STARTED_BY.fullmatch(started_by):
        raise InvalidParameterException(
            "startedBy must be up to 128 letters, numbers, hyphens, forward slashes, and underscores."
        )
    count = int(request.get("count") or 1)
    if not 1 <= count <= _MAX_TASKS:
        raise InvalidParameterException(f"Count should be between 1 and {_MAX_TASKS}.")
    return count


def _answer(tasks: list[Task]) -> ActionResult:
    return ActionResult({"tasks": [to_task_shape(task) for task in tasks], "failures": []})


def _refuse_overrides(overrides: dict[str, Any], definition: Any) -> None:
    container_names = {container["name"] for container in definition.container_definitions}
    for entry in overrides.get("containerOverrides") or []:
        name = entry.get("name")
        if name not in container_names:
            raise InvalidParameterException(
                f"Override for container named {name} is not a container in the TaskDefinition."
            )


def _placement(response: Any, cluster: Any, definition: Any, request: dict[str, Any]) -> Placement:
    launch_type, strategy = request.get("launchType"), request.get("capacityProviderStrategy")
    if launch_type and strategy:
        raise InvalidParameterException(
            "Specify either launchType or capacityProviderStrategy, but not both, and try again."
        )
    strategy = strategy or (None if launch_type else cluster.default_capacity_provider_strategy)
    providers = {str(item.get("capacityProvider")) for item in strategy or []}
    if launch_type not in {"FARGATE", None} or not (launch_type or providers & {"FARGATE", "FARGATE_SPOT"}):
        # Without launch type and strategy ECS chooses EC2, and the embedded cloud has no instances.
        raise InvalidParameterException("No Container Instances were found in your cluster.")
    if "FARGATE" not in (definition.requires_compatibilities or []):
        raise InvalidParameterException("Task definition does not support launch_type FARGATE.")
    network = request.get("networkConfiguration") or {}
    if definition.network_mode == "awsvpc" and not (network.get("awsvpcConfiguration") or {}).get("subnets"):
        raise InvalidParameterException(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        )
    return Placement(
        cluster_arn=str(cluster.arn),
        cluster_name=str(cluster.name),
        region_name=str(cluster.region_name),
        launch_type="FARGATE",
        network_configuration=network,
        platform_version=request.get("platformVersion"),
        group=str(request.get("group") or f"family:{definition.family}"),
        _account_id=str(response.ecs_backend.account_id),
        _backend=response.ecs_backend,
    )
