"""Application Auto Scaling of ECS services: registering a scalable target brings the desired count into its bounds.

AWS documents it for a target that exists, and whatever else the call was for: "If it's below the minimum capacity or
above the maximum capacity, Application Auto Scaling adjusts the capacity [...] even if you don't include the
MinCapacity or MaxCapacity request parameters" (API reference, RegisterScalableTarget). Here it holds of the first
registration too. Nothing else scales: policies and scheduled actions are kept, and do nothing.
"""

from typing import Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend

from local_cloud.ecs.api import rollouts

_FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
_stock_register = ApplicationAutoscalingBackend.register_scalable_target


def install() -> None:
    """Replace the operation. Harmless when repeated."""
    ApplicationAutoscalingBackend.register_scalable_target = _register


def _register(backend: Any, namespace: str, r_id: str, *rest: Any, **named: Any) -> Any:
    target = _stock_register(backend, namespace, r_id, *rest, **named)
    target.suspended_state = dict.fromkeys(_FLAGS, False) | (target.suspended_state or {})
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
