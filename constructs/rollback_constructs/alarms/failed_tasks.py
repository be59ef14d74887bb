"""Event pattern of a service's failed tasks; this file imports no CDK, so that tests can ask several matchers.

The exit code of the service's own container decides: a sidecar that ECS stops after it ends with a code of its own.
EventBridge compares name and exit code of the same container (event-ruler, array consistency). Sources: Amazon ECS
developer guide, "Task state change events", and API reference, `Task`, `stopCode`.
"""

from typing import Any

from rollback_constructs.attachment import Attachment

_EXITED, _NOT_STARTED = "EssentialContainerExited", "TaskFailedToStart"


def failed_task_pattern(service: Attachment, cluster_arn: str) -> dict[str, Any]:
    """Return the event pattern of a service's tasks that could not start, or ended by themselves with an error."""
    name = {"name": [service.container]} if service.container is not None else {}
    failed_container = {**name, "exitCode": [{"anything-but": [0]}]}
    return {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {
            "lastStatus": ["STOPPED"],
            "clusterArn": [cluster_arn],
            "group": [f"service:{service.ecs_service}"],
            "$or": [{"stopCode": [_NOT_STARTED]}, {"stopCode": [_EXITED], "containers": failed_container}],
        },
    }
