"""Application Auto Scaling of an ECS service's desired count.

`RegisterScalableTarget` on an existing target moves the service's desired count into the bounds, whatever else the
call changes (Application Auto Scaling API reference). Rule 2 is about this. Parameters that a request leaves out are
not changed (same page), so role, tags and members that AWS may add stay as they are.
"""

from typing import TYPE_CHECKING, Any, cast

from rollback.adapters.aws.errors import aws_call
from rollback.domain.settings.environment import ServiceSettings
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_application_autoscaling.type_defs import SuspendedStateTypeDef

_DIMENSION: Any = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


class EcsScaling:
    """Adapter. `changer` must not retry."""

    def __init__(self, reader: "ApplicationAutoScalingClient", changer: "ApplicationAutoScalingClient") -> None:
        self._reader = reader
        self._changer = changer

    def describe(self, service: ServiceSettings) -> ScalableTarget | None:
        """Call DescribeScalableTargets."""
        resource = _resource(service)
        with aws_call("DescribeScalableTargets", resource):
            pages = self._reader.get_paginator("describe_scalable_targets").paginate(
                **_DIMENSION, ResourceIds=[resource]
            )
            targets = [target for page in pages for target in page["ScalableTargets"]]
        if not targets:
            return None
        suspended = targets[0].get("SuspendedState") or {}
        return ScalableTarget(
            min_capacity=targets[0]["MinCapacity"],
            max_capacity=targets[0]["MaxCapacity"],
            suspended={flag: bool(suspended.get(flag, False)) for flag in SCALING_FLAGS},
        )

    def predictive_policies(self, service: ServiceSettings) -> tuple[str, ...]:
        """Call DescribeScalingPolicies; a policy in the default mode ForecastOnly never scales.

        SuspendedState has flags for target tracking, step scaling and scheduled actions, and none for predictive
        scaling (Application Auto Scaling API reference, SuspendedState).
        """
        resource = _resource(service)
        with aws_call("DescribeScalingPolicies", resource):
            pages = self._reader.get_paginator("describe_scaling_policies").paginate(**_DIMENSION, ResourceId=resource)
            policies: list[Any] = [policy for page in pages for policy in page["ScalingPolicies"]]
        return tuple(
            policy["PolicyName"]
            for policy in policies
            if policy["PolicyType"] == "PredictiveScaling"
            and (policy.get("PredictiveScalingPolicyConfiguration") or {}).get("Mode") == "ForecastAndScale"
        )

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        """Call RegisterScalableTarget with the bounds and all three flags of SuspendedState; a missing flag is off."""
        resource = _resource(service)
        suspended = {**dict.fromkeys(SCALING_FLAGS, False), **target.suspended}
        with aws_call("RegisterScalableTarget", resource):
            self._changer.register_scalable_target(
                **_DIMENSION,
                ResourceId=resource,
                MinCapacity=target.min_capacity,
                MaxCapacity=target.max_capacity,
                SuspendedState=cast("SuspendedStateTypeDef", suspended),
            )


def _resource(service: ServiceSettings) -> str:
    return f"service/{service.cluster}/{service.ecs_service}"
