"""Several ECS services, each with its scaling, for those who stop more than one."""

from collections.abc import Mapping
from typing import Any, cast

from fakes import FakeClock, FakeScaling, FakeServices

from rollback.model.service_view import ScalableTarget, ServiceView
from rollback.model.settings import ServiceSettings


class FakeWriters:
    """The ports `Services` and, as `as_scaling`, `Scaling`: as far as a fence and its end need them."""

    def __init__(self, clock: FakeClock, *names: str) -> None:
        self.services = {name: FakeServices(clock) for name in names}
        self.scaling = {name: FakeScaling(service) for name, service in self.services.items()}
        self.as_scaling = cast("Any", _Scaling(self.scaling))

    def look(self, service: ServiceSettings) -> ServiceView:
        return self.services[service.name].look(service)

    def update(self, service: ServiceSettings, **changes: Any) -> None:
        self.services[service.name].update(service, **changes)

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        found = (service.definition(arn_or_family) for service in self.services.values())
        return next((one for one in found if one is not None), None)

    def unstopped_tasks(self, service: ServiceSettings) -> int:
        return self.services[service.name].unstopped_tasks(service)

    def tick(self) -> None:
        for service in self.services.values():
            service.tick()

    def desired_counts(self) -> dict[str, int]:
        return {name: service.desired_count for name, service in self.services.items()}


class _Scaling:
    def __init__(self, scaling: dict[str, FakeScaling]) -> None:
        self._scaling = scaling

    def look(self, service: ServiceSettings) -> ScalableTarget | None:
        return self._scaling[service.name].look(service)

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        self._scaling[service.name].put(service, target)
