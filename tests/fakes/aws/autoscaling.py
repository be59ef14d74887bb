"""Scalable targets and their suspended flags."""

from fakes.aws.ecs_services import FakeServices
from fakes.aws.request_models import check_request, refuse

from rollback.domain.settings.environment import ServiceSettings
from rollback.resources.aws.ecs_service import (
    SCALING_FLAGS,
    ScalableTarget,
)


class FakeScaling:
    """Application Auto Scaling over one `FakeServices`: any registration brings the desired count into the bounds."""

    def __init__(self, services: "FakeServices", target: ScalableTarget | None = None) -> None:
        self._services = services
        self.target = target
        self.predictive: tuple[str, ...] = ()
        self.puts: list[ScalableTarget] = []

    def describe(self, service: ServiceSettings) -> ScalableTarget | None:
        if self.target is None or not self._services.is_named_by(service):
            return None
        return self.target.model_copy(update={"suspended": _all_flags(self.target)})

    def predictive_policies(self, service: ServiceSettings) -> tuple[str, ...]:
        return self.predictive if self._services.is_named_by(service) else ()

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        resource = f"service/{service.cluster}/{service.ecs_service}"
        suspended = _all_flags(target)
        check_request(
            "application-autoscaling",
            "RegisterScalableTarget",
            resource,
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceId=resource,
            MinCapacity=target.min_capacity,
            MaxCapacity=target.max_capacity,
            SuspendedState=suspended,
        )
        asked = ("RegisterScalableTarget", resource, "ValidationException")
        if not self._services.is_named_by(service) or not self._services.is_active:
            refuse(*asked, f"ECS service doesn't exist: {resource}")
        if target.min_capacity < 0:
            refuse(*asked, "Minimum capacity must be at least 0")
        if target.max_capacity < target.min_capacity:
            refuse(*asked, "Maximum capacity cannot be less than minimum capacity")
        self.puts.append(target)
        self.target = target.model_copy(update={"suspended": suspended})
        self._services.desired_count = min(max(self._services.desired_count, target.min_capacity), target.max_capacity)


def _all_flags(target: ScalableTarget) -> dict[str, bool]:
    """Return all three flags of SuspendedState, as AWS does; a flag that was never set is off."""
    return {**dict.fromkeys(SCALING_FLAGS, False), **target.suspended}
