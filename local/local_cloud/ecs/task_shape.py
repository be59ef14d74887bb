"""A simulated task as the ECS API describes it, and the events about its changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local_cloud.events import rules as event_rules

if TYPE_CHECKING:
    from local_cloud.ecs.tasks import Task


def desired_status(task: Task) -> str:
    """Return the API's `desiredStatus`: RUNNING until a request stops the task."""
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
    """Return the API's Task shape."""
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
        "desiredStatus": desired_status(task),
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


def emit_state_change(task: Task) -> None:
    """Emit the event about a task's new status, with the task's description (developer guide, "Task state changes").

    Values that the task does not have are left out, as EventBridge's own events leave them out.
    """
    detail = {**to_task_shape(task), "updatedAt": datetime.now(UTC)}
    known = json.loads(json.dumps(detail, default=_iso), object_hook=_without_nulls)
    service = task.service
    event_rules.emit(
        str(service._account_id), str(service.region_name), "aws.ecs", "ECS Task State Change", known, [task.arn]
    )


def _iso(value: Any) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z" if isinstance(value, datetime) else str(value)


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
