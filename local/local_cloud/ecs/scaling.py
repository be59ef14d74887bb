"""Application Auto Scaling of ECS services: a registration brings the desired count into the target's bounds.

"If it's below the minimum capacity or above the maximum capacity, Application Auto Scaling adjusts the capacity [...]
even if you don't include the MinCapacity or MaxCapacity request parameters" (API reference, RegisterScalableTarget).
AWS documents this for an existing target. Here the first registration does it too. Scaling policies and scheduled
actions are kept, and have no effect.
"""

from typing import Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend

from local_cloud.ecs.rollouts import rollouts
from local_cloud.moto_fixes.ecs import scalable_targets


def install() -> None:
    """Let registrations change the simulated services. Repeated calls change nothing."""
    ApplicationAutoscalingBackend.register_scalable_target = _register


def _register(backend: Any, namespace: str, *arguments: Any, **named: Any) -> Any:
    target = scalable_targets.register_scalable_target(backend, namespace, *arguments, **named)
    if namespace == "ecs":
        _bring_into_bounds(backend, target)
    return target


def _bring_into_bounds(backend: Any, target: Any) -> None:
    _, cluster, name = target.resource_id.split("/")
    service = backend.ecs_backend._get_service(cluster, name)
    with rollouts.lock:
        rollout = rollouts.current.get(service.arn)
        if rollout is None:
            return
        desired = min(max(int(service.desired_count), target.min_capacity), target.max_capacity)
        if desired != service.desired_count:
            rollout.scale(desired)
