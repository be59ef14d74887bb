"""ListTasks, DescribeTasks and StopTask for the tasks of services and of RunTask. StartTask's tasks stay moto's."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.responses import EC2ContainerServiceResponse as Response

from local_cloud.ecs.rollouts import rollouts
from local_cloud.ecs.task_shape import desired_status, to_task_shape
from local_cloud.ecs.tasks import Task

_OTHER_FILTERS = ("serviceName", "family", "containerInstance", "launchType", "desiredStatus")


_stock_list, _stock_describe, _stock_stop = Response.list_tasks, Response.describe_tasks, Response.stop_task


def install() -> None:
    """Replace moto's three operations. Repeated calls change nothing."""
    for operation in (list_tasks, describe_tasks, stop_task):
        setattr(Response, operation.__name__, operation)


def _simulated_tasks(response: Any) -> list[Task]:
    """Return the simulated tasks in the requested cluster."""
    cluster = response._get_param("cluster", "default").split("/")[-1]
    of_services = [task for rollout in rollouts.all_rollouts() for task in rollout.tasks]
    return [
        task
        for task in of_services + rollouts.standalone_tasks.tasks
        if task.service.cluster_name == cluster and task.service._backend is response.ecs_backend
    ]


def list_tasks(response: Any) -> Any:
    """ListTasks: list the simulated tasks, and moto's of StartTask."""
    refuse_filters(response)
    with rollouts.lock:
        simulated = [task.arn for task in _simulated_tasks(response) if _matches_filters(task, response)]
        stock = [] if response._get_param("serviceName") else _stock_list(response).result["taskArns"]
        return ActionResult({"taskArns": simulated + stock})


def describe_tasks(response: Any) -> Any:
    """DescribeTasks: describe the simulated tasks, and ask moto for the others."""
    with rollouts.lock:
        requested = {name.split("/")[-1] for name in response._get_param("tasks", [])}
        simulated = [task for task in _simulated_tasks(response) if task.id in requested]
        others = sorted(requested - {task.id for task in simulated})
        stock = _stock_describe(response).result["tasks"] if others or not requested else []
        in_moto = {task.task_arn.split("/")[-1] for task in stock}
        cluster_arn = response.ecs_backend._get_cluster(response._get_param("cluster", "default")).arn
        prefix = cluster_arn.replace(":cluster/", ":task/")
        failures = [{"arn": f"{prefix}/{name}", "reason": "MISSING"} for name in others if name not in in_moto]
        return ActionResult({"tasks": [to_task_shape(task) for task in simulated] + stock, "failures": failures})


def stop_task(response: Any) -> Any:
    """StopTask: stop a simulated task, or let moto stop another."""
    with rollouts.lock:
        name = response._get_param("task").split("/")[-1]
        task = next((task for task in _simulated_tasks(response) if task.id == name), None)
        if task is None:
            return _stock_stop(response)
        task.stop(response._get_param("reason") or "Task stopped by user", code="UserInitiated")
        return ActionResult({"task": to_task_shape(task)})


def refuse_filters(response: Any) -> None:
    """Refuse a filter beside `startedBy`, which "must be the only filter that you use" (API reference, ListTasks).

    Raises:
        InvalidParameterException: the request has another filter beside it.
    """
    others = [name for name in _OTHER_FILTERS if response._get_param(name)]
    if response._get_param("startedBy") and others:
        raise InvalidParameterException(f"startedBy must be the only filter, not beside {', '.join(others)}.")


def _matches_filters(task: Task, response: Any) -> bool:
    service, family = response._get_param("serviceName"), response._get_param("family")
    started_by = response._get_param("startedBy")
    return (
        desired_status(task) == (response._get_param("desiredStatus") or "RUNNING")
        and (service is None or task.service.name == service.split("/")[-1])
        and (family is None or task.definition.family == family)
        and (started_by is None or task.started_by == started_by)
    )
