"""ECS RunTask: tasks of no service. What it refuses, and with which words, is as AWS does it.

Sources: API reference, RunTask; "Ensuring idempotency": the same client token with the same parameters answers with the
tasks that it started, with others it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import EcsClientException, ECSException, InvalidParameterException

from local_cloud.ecs.definitions import usable
from local_cloud.ecs.refusals import role_problem
from local_cloud.ecs.task_api import to_task_shape
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
    """What a service is to its tasks, for a task that has none."""

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
        """What they have in common is called after it: one task shares nothing with another."""
        return self.group


@dataclass
class StandaloneTasks:
    """Every task that RunTask started, newest last. Callers hold the simulation's lock."""

    tasks: list[Task] = field(default_factory=list)
    _tokens: dict[tuple[str, str], tuple[dict[str, Any], list[Task]]] = field(default_factory=dict)

    def tick(self) -> None:
        """Advance each, and forget the oldest that have stopped."""
        for task in self.tasks:
            task.advance()
        stopped = [task for task in self.tasks if task.status == "STOPPED"]
        for task in stopped[:-KEPT_TASKS]:
            self.tasks.remove(task)

    def stop_all(self) -> None:
        """At once; and forget them."""
        for task in self.tasks:
            task.kill()
        self.tasks.clear()
        self._tokens.clear()

    def run(self, response: Any) -> ActionResult:
        """RunTask."""
        asked = {name: response._get_param(name) for name in _PARAMETERS}
        cluster = response.ecs_backend._get_cluster(asked.get("cluster") or "default")
        token = response._get_param("clientToken")
        if token is not None and not _CLIENT_TOKEN.fullmatch(token):
            raise InvalidParameterException("clientToken must be 1 to 64 characters in the range of 33-126.")
        if (cluster.arn, token) in self._tokens:
            return self._answer_repeated_request(*self._tokens[cluster.arn, token], asked)
        started_by = asked.get("startedBy") or ""
        if started_by and not _STARTED_BY.fullmatch(started_by):
            raise InvalidParameterException(
                "startedBy must be up to 128 letters, numbers, hyphens, forward slashes, and underscores."
            )
        count = int(asked.get("count") or 1)
        if not 1 <= count <= _MAX_TASKS:
            raise InvalidParameterException(f"Count should be between 1 and {_MAX_TASKS}.")
        definition = usable(response.ecs_backend, asked["taskDefinition"])
        _refuse_overrides(asked.get("overrides") or {}, definition)
        problem = role_problem(definition, asked.get("overrides") or {}, str(response.ecs_backend.account_id))
        if problem is not None:
            raise EcsClientException(problem)
        placement = _placement(response, cluster, definition, asked)
        started = [Task(placement, definition, started_by, {}, overrides=asked.get("overrides") or {})
                   for _ in range(count)]  # fmt: skip
        self.tasks += started
        if token is not None:
            self._tokens[cluster.arn, token] = (asked, started)
        return _answer(started)

    def _answer_repeated_request(
        self, earlier: dict[str, Any], started: list[Task], asked: dict[str, Any]
    ) -> ActionResult:
        if earlier == asked:
            return _answer(started)
        refusal = ECSException(
            "ConflictException",
            "The provided clientToken is already in use with a different RunTask request.",
        )
        refusal.resourceIds = [task.arn for task in started]
        raise refusal


def _answer(tasks: list[Task]) -> ActionResult:
    return ActionResult({"tasks": [to_task_shape(task) for task in tasks], "failures": []})


def _refuse_overrides(overrides: dict[str, Any], definition: Any) -> None:
    known = {container["name"] for container in definition.container_definitions}
    for entry in overrides.get("containerOverrides") or []:
        name = entry.get("name")
        if name not in known:
            raise InvalidParameterException(
                f"Override for container named {name} is not a container in the TaskDefinition."
            )


def _placement(response: Any, cluster: Any, definition: Any, asked: dict[str, Any]) -> Placement:
    launch_type, strategy = asked.get("launchType"), asked.get("capacityProviderStrategy")
    if launch_type and strategy:
        raise InvalidParameterException(
            "Specify either launchType or capacityProviderStrategy, but not both, and try again."
        )
    strategy = strategy or (None if launch_type else cluster.default_capacity_provider_strategy)
    providers = {str(one.get("capacityProvider")) for one in strategy or []}
    if launch_type not in {"FARGATE", None} or not (launch_type or providers & {"FARGATE", "FARGATE_SPOT"}):
        # without either it is EC2, of which there is none here
        raise InvalidParameterException("No Container Instances were found in your cluster.")
    if "FARGATE" not in (definition.requires_compatibilities or []):
        raise InvalidParameterException("Task definition does not support launch_type FARGATE.")
    network = asked.get("networkConfiguration") or {}
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
        platform_version=asked.get("platformVersion"),
        group=str(asked.get("group") or f"family:{definition.family}"),
        _account_id=str(response.ecs_backend.account_id),
        _backend=response.ecs_backend,
    )
