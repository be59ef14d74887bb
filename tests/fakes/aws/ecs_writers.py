"""Several ECS services of one account, each with its scaling, for rollbacks that stop several services."""

from collections.abc import Mapping
from typing import Any

from fakes.aws.autoscaling import FakeScaling
from fakes.aws.ecs_services import FakeServices
from fakes.clock import FakeClock

from rollback.domain.settings.environment import ServiceSettings
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.resources.aws.ecs_task import ServiceTask


class FakeWriters:
    """The port `Services`: each call goes to the service that the settings name, by cluster and ECS service.

    `services` and `scaling` are by our name; the first service is the one that the settings of the tests name.
    """

    def __init__(self, services: Mapping[str, FakeServices], scaling: Mapping[str, FakeScaling] | None = None) -> None:
        self.services = dict(services)
        self.scaling = dict(scaling or {name: FakeScaling(service) for name, service in services.items()})
        self.as_scaling = FakeWritersScaling(self)

    @classmethod
    def of(cls, clock: FakeClock, *names: str) -> "FakeWriters":
        """New ones; each but the first is called `macro-ai-production-<name>` in ECS."""
        first, *others = names
        services = {first: FakeServices(clock)}
        for name in others:
            services[name] = FakeServices(clock, ecs_service=ecs_name(name), beside=services[first])
        return cls(services)

    def each(self) -> tuple[FakeServices, ...]:
        return tuple(self.services.values())

    def describe(self, service: ServiceSettings) -> ServiceView:
        return self._find_service(service).describe(service)

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        return self._first.definition(arn_or_family)

    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        return self._first.register(definition, family, release, tags)

    def task_images(self, service: ServiceSettings, definition_arn: str, deployment_id: str | None) -> dict[str, str]:
        return self._find_service(service).task_images(service, definition_arn, deployment_id)

    def update(
        self,
        service: ServiceSettings,
        *,
        definition_arn: str | None = None,
        desired_count: int | None = None,
        deployment_configuration: Mapping[str, Any] | None = None,
        force_new_deployment: bool = False,
    ) -> None:
        self._find_service(service).update(
            service,
            definition_arn=definition_arn,
            desired_count=desired_count,
            deployment_configuration=deployment_configuration,
            force_new_deployment=force_new_deployment,
        )

    def unstopped_tasks(self, service: ServiceSettings) -> int:
        return self._find_service(service).unstopped_tasks(service)

    def service_tasks(self, service: ServiceSettings) -> tuple[ServiceTask, ...]:
        return self._find_service(service).service_tasks(service)

    def has_container_insights(self, cluster: str) -> bool:
        return any(service.has_container_insights(cluster) for service in self.each())

    def stop_deployment(self, service_deployment_arn: str) -> None:
        whose = (service for service in self.each() if service.has_deployment(service_deployment_arn))
        next(whose, self._first).stop_deployment(service_deployment_arn)

    def tick(self) -> None:
        for service in self.each():
            service.tick()

    def desired_counts(self) -> dict[str, int]:
        return {name: service.desired_count for name, service in self.services.items()}

    def name_of(self, service: ServiceSettings) -> str | None:
        """Return our name of the service in the settings."""
        return next((name for name, one in self.services.items() if one.is_named_by(service)), None)

    @property
    def _first(self) -> FakeServices:
        """Return the first service: definitions belong to the account, so any service can describe them."""
        return self.each()[0]

    def _find_service(self, service: ServiceSettings) -> FakeServices:
        name = self.name_of(service)
        return self.services[name] if name is not None else self._first


class FakeWritersScaling:
    """The port `Scaling` of all these services."""

    def __init__(self, writers: FakeWriters) -> None:
        self._writers = writers

    def describe(self, service: ServiceSettings) -> ScalableTarget | None:
        return self._find_service(service).describe(service)

    def predictive_policies(self, service: ServiceSettings) -> tuple[str, ...]:
        return self._find_service(service).predictive_policies(service)

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        self._find_service(service).put(service, target)

    def _find_service(self, service: ServiceSettings) -> FakeScaling:
        scaling, name = self._writers.scaling, self._writers.name_of(service)
        return scaling[name] if name is not None else next(iter(scaling.values()))


def ecs_name(name: str) -> str:
    """Name a further service in ECS."""
    return f"macro-ai-production-{name}"
