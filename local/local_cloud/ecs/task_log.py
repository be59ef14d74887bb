"""The log stream of a task's container, as its awslogs configuration names it."""

import time
from dataclasses import dataclass
from typing import Any

from moto.logs.models import logs_backends


@dataclass(frozen=True)
class TaskLog:
    """The stream `prefix/container/task id` of one container. Without awslogs its output is lost."""

    container: dict[str, Any]
    task_id: str
    account: str
    region: str

    def prepare(self) -> None:
        """Create the missing stream, and the group if the configuration allows it.

        Raises:
            LookupError: the group does not exist, and the configuration does not allow to create it.
        """
        self._find_or_create()

    def write(self, message: str) -> None:
        """Add a line."""
        try:
            destination = self._find_or_create()
        except LookupError:  # the group was deleted while the task ran, so the line is lost as on AWS
            return
        if destination is not None:
            backend, group, stream = destination
            backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": message}])

    def _find_or_create(self) -> tuple[Any, str, str] | None:
        configuration = self.container.get("logConfiguration") or {}
        options = configuration.get("options") or {}
        if configuration.get("logDriver") != "awslogs":
            return None
        backend = logs_backends[self.account][options.get("awslogs-region", self.region)]
        group = options["awslogs-group"]
        stream = f"{options.get('awslogs-stream-prefix', 'ecs')}/{self.container['name']}/{self.task_id}"
        if group not in backend.groups:
            if options.get("awslogs-create-group") != "true":
                raise LookupError(
                    "ResourceInitializationError: failed to validate logger args: create stream has been retried "
                    "1 times: ResourceNotFoundException: The specified log group does not exist."
                )
            backend.create_log_group(group, {})
        if stream not in backend.groups[group].streams:
            backend.create_log_stream(group, stream)
        return backend, group, stream
