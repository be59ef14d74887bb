"""SuspendedState of a scalable target: false where RegisterScalableTarget did not say otherwise.

moto leaves an omitted flag, or the whole SuspendedState, out of the answers. Application Auto Scaling answers with all
three flags (API reference, SuspendedState).
"""

from typing import Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend

_FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
_stock_register = ApplicationAutoscalingBackend.register_scalable_target


def install() -> None:
    """Replace moto's operation. Repeated calls change nothing."""
    ApplicationAutoscalingBackend.register_scalable_target = register_scalable_target


def register_scalable_target(backend: Any, *arguments: Any, **named: Any) -> Any:
    """Register a scalable target whose SuspendedState has all flags."""
    target = _stock_register(backend, *arguments, **named)
    target.suspended_state = dict.fromkeys(_FLAGS, False) | (target.suspended_state or {})
    return target
