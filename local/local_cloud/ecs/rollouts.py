"""All simulated services of the cloud, and the tasks that belong to no service."""

from __future__ import annotations

import threading
from typing import Any

from local_cloud.ecs.rollout import Rollout
from local_cloud.ecs.standalone_tasks import StandaloneTasks


class Rollouts:
    """The rollout of every service, the tasks of RunTask, and the lock that guards them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.current: dict[str, Rollout] = {}
        self.retired: list[Rollout] = []
        self.standalone_tasks = StandaloneTasks()

    def add(self, rollout: Rollout) -> None:
        """Follow a new service. A deleted one of the same name keeps draining."""
        earlier = self.current.pop(rollout.service.arn, None)
        if earlier is not None:
            earlier.stop_all()
            self.retired.append(earlier)
        self.current[rollout.service.arn] = rollout

    def requested(self, response: Any) -> Rollout:
        """Return the rollout of the service that a request names.

        Raises:
            ServiceNotFoundException: the service does not exist.
        """
        cluster = response._get_param("cluster", "default")
        service = response.ecs_backend._get_service(cluster, response._get_param("service").split("/")[-1])
        return self.current[service.arn]

    def all_rollouts(self) -> list[Rollout]:
        """Return current and retired rollouts."""
        return [*self.current.values(), *self.retired]


rollouts = Rollouts()
