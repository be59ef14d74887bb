"""Where the output of a task's container goes: the group and stream of its awslogs configuration."""

import time
from dataclasses import dataclass
from typing import Any

from moto.logs.models import logs_backends


@dataclass(frozen=True)
class TaskLog:
    """The stream `prefix/container/task id` of one container; without awslogs its output is lost."""

    container: dict[str, Any]
    task_id: str
    account: str
    region: str

    def prepare(self) -> None:
        """Create what is missing. Raises LookupError: there is no such group, and the task may not create it."""
        self._place()

    def write(self, message: str) -> None:
        """Add a line."""
        try:
            place = self._place()
        except LookupError:  # the group was deleted while the task ran: its lines are lost, as on AWS
            return
        if place is not None:
            backend, group, stream = place
            backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": message}])

    def _place(self) -> tuple[Any, str, str] | None:
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
