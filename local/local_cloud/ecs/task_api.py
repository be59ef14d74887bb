"""ListTasks, DescribeTasks and StopTask for the tasks of services and of RunTask; those of StartTask stay with moto."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Protocol

from moto.core.responses import ActionResult
from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.responses import EC2ContainerServiceResponse as Response

from local_cloud.ecs.tasks import Task

_OTHER_FILTERS = ("serviceName", "family", "containerInstance", "launchType", "desiredStatus")


class _StandaloneTasks(Protocol):
    tasks: list[Task]


class Rollouts(Protocol):
    """All services of the cloud, as the operations on tasks need them, and the tasks of none."""

    lock: threading.RLock

    @property
    def standalone_tasks(self) -> _StandaloneTasks: ...

    def all_rollouts(self) -> Iterable[Any]: ...


_stock_list, _stock_describe, _stock_stop = Response.list_tasks, Response.describe_tasks, Response.stop_task


def install(rollouts: Rollouts) -> None:
    """Replace the three operations. Harmless when repeated."""

    def simulated_tasks(response: Any) -> list[Task]:
        cluster = response._get_param("cluster", "default").split("/")[-1]
        of_services = [task for rollout in rollouts.all_rollouts() for task in rollout.tasks]
        return [
            task
            for task in of_services + rollouts.standalone_tasks.tasks
            if task.service.cluster_name == cluster and task.service._backend is response.ecs_backend
        ]

    def list_tasks(response: Any) -> Any:
        refuse_filters(response)
        with rollouts.lock:
            found = [task.arn for task in simulated_tasks(response) if _matches_filters(task, response)]
            stock = [] if response._get_param("serviceName") else _stock_list(response).result["taskArns"]
            return ActionResult({"taskArns": found + stock})

    def describe_tasks(response: Any) -> Any:
        with rollouts.lock:
            asked = {name.split("/")[-1] for name in response._get_param("tasks", [])}
            ours = [task for task in simulated_tasks(response) if task.id in asked]
            missing = sorted(asked - {task.id for task in ours})
            stock = _stock_describe(response).result["tasks"] if missing or not asked else []
            found = {task.task_arn.split("/")[-1] for task in stock}
            cluster_arn = response.ecs_backend._get_cluster(response._get_param("cluster", "default")).arn
            prefix = cluster_arn.replace(":cluster/", ":task/")
            failures = [{"arn": f"{prefix}/{name}", "reason": "MISSING"} for name in missing if name not in found]
            return ActionResult({"tasks": [to_task_shape(task) for task in ours] + stock, "failures": failures})

    def stop_task(response: Any) -> Any:
        with rollouts.lock:
            name = response._get_param("task").split("/")[-1]
            task = next((task for task in simulated_tasks(response) if task.id == name), None)
            if task is None:
                return _stock_stop(response)
            task.stop(response._get_param("reason") or "Task stopped by user", code="UserInitiated")
            return ActionResult({"task": to_task_shape(task)})

    for operation in (list_tasks, describe_tasks, stop_task):
        setattr(Response, operation.__name__, operation)


def refuse_filters(response: Any) -> None:
    """Raises InvalidParameterException: `startedBy` "must be the only filter that you use" (reference, ListTasks)."""
    others = [name for name in _OTHER_FILTERS if response._get_param(name)]
    if response._get_param("startedBy") and others:
        raise InvalidParameterException(f"startedBy must be the only filter, not beside {', '.join(others)}.")


def _matches_filters(task: Task, response: Any) -> bool:
    service, family = response._get_param("serviceName"), response._get_param("family")
    started_by = response._get_param("startedBy")
    return (
        _desired_status(task) == (response._get_param("desiredStatus") or "RUNNING")
        and (service is None or task.service.name == service.split("/")[-1])
        and (family is None or task.definition.family == family)
        and (started_by is None or task.started_by == started_by)
    )


def _desired_status(task: Task) -> str:
    return "RUNNING" if task.is_live else "STOPPED"


def _to_container_shape(task: Task, container: dict[str, Any]) -> dict[str, Any]:
    is_main = container["name"] == task.main_container["name"]
    return {
        "containerArn": f"{task.arn.replace(':task/', ':container/')}/{container['name']}",
        "taskArn": task.arn,
        "name": container["name"],
        "image": container["image"],
        "imageDigest": task.pinned_images.get(container["name"]),
        "lastStatus": task.status if task.status in {"RUNNING", "STOPPED"} else "PENDING",
        "exitCode": task.exit_code if is_main and task.status == "STOPPED" else None,
        "networkInterfaces": [{"attachmentId": task.id, "privateIpv4Address": task.private_address}],
        "healthStatus": "UNKNOWN",
    }


def to_task_shape(task: Task) -> dict[str, Any]:
    """The Task shape of the API."""
    network = (task.service.network_configuration or {}).get("awsvpcConfiguration", {})
    details = [{"name": "subnetId", "value": subnet} for subnet in network.get("subnets", [])[:1]]
    details.append({"name": "privateIPv4Address", "value": task.private_address})
    return {
        "taskArn": task.arn,
        "clusterArn": task.service.cluster_arn,
        "taskDefinitionArn": task.definition.arn,
        "group": f"service:{task.service.name}" if task.service.name else task.service.group,
        "startedBy": task.started_by or None,
        "overrides": task.overrides or {"containerOverrides": []},
        "lastStatus": task.status,
        "desiredStatus": _desired_status(task),
        "healthStatus": "UNKNOWN",
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "createdAt": task.created_at,
        "startedAt": task.started_at,
        "stoppedAt": task.stopped_at,
        "launchType": task.service.launch_type or "FARGATE",
        "platformVersion": task.service.platform_version or "1.4.0",
        "cpu": task.definition.cpu,
        "memory": task.definition.memory,
        "containers": [_to_container_shape(task, container) for container in task.containers],
        "attachments": [{"id": task.id, "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": details}],
    }
