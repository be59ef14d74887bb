"""Two services that write to one branch on stage, each an ECS service of its own."""

from collections.abc import Mapping
from typing import Any

from builders import NOW, SERVICE, definition, release
from fake_writers import FakeWriters
from fakes import FakeServices
from stage import PROMOTED
from stage_with_database import FIRST, StageWithDatabase, applied

from rollback.model.database_content import LiveSchema
from rollback.model.policy import Policy
from rollback.model.release import normalised_definition
from rollback.model.release_schema import ReleaseSchema
from rollback.model.settings import ServiceSettings

WORKER = "worker"
WORKER_OUTAGE = f"macro-ai-production-{WORKER}-outage"
_FAMILY = "macro-ai-production-worker"


class _Both(FakeWriters):
    """The port `Services` for what is on stage already, and for the worker beside it."""

    def __init__(self, first: FakeServices, worker: FakeServices) -> None:
        super().__init__(first._clock)
        self.services = {SERVICE: first, WORKER: worker}

    def register(self, definition: Mapping[str, Any], family: str, release: str) -> str:
        return self.services[WORKER if WORKER in family else SERVICE].register(definition, family, release)

    def has_container_insights(self, cluster: str) -> bool:
        return self.services[SERVICE].has_container_insights(cluster)

    def stop_deployment(self, service_deployment_arn: str) -> None:
        self.services[SERVICE].stop_deployment(service_deployment_arn)


class _ScalingOfOne:
    """The port `Scaling`: the worker is not scaled."""

    def __init__(self, stage: StageWithDatabase) -> None:
        self._of_first = stage.scaling

    def look(self, service: ServiceSettings) -> Any:
        return self._of_first.look(service) if service.name == SERVICE else None

    def put(self, service: ServiceSettings, target: Any) -> None:
        self._of_first.put(service, target)


class StageOfWriters(StageWithDatabase):
    """The worker runs w2, which works with the tables before v2's migration and after it; before that it ran w1."""

    def __init__(self, policy: Policy | None = None, **database: Any) -> None:
        super().__init__(policy, **database)
        self.worker = FakeServices(self.clock)
        self.worker.target_groups = ()
        of_worker = self.world.settings.services[0].model_copy(
            update={"name": WORKER, "ecs_service": f"macro-ai-production-{WORKER}", "base_url": None}
        )
        services = (*self.world.settings.services, of_worker)
        self.replace(
            services=_Both(self.services, self.worker),
            scaling=_ScalingOfOne(self),
            settings=self.world.settings.model_copy(update={"services": services}),
        )
        fits_both = ReleaseSchema(journal=applied(FIRST), ran_on=LiveSchema(tables={}))
        self.ledger.put_schema(fits_both)
        for version, hours in (("w1", 96.0), ("w2", 1.5)):
            arn = self.worker.register_release(definition(version), _FAMILY)
            known = {"service": WORKER, "definition_arn": arn, "schema_sha256": fits_both.sha256}
            stored = release(version, state=PROMOTED, hours_ago=hours, **known)
            self.ledger.record(stored, normalised_definition(definition(version), {}))
            self.worker.run(arn, desired_count=2, created_at=NOW)
        self.worker.calls.clear()

    @property
    def worker_settings(self) -> ServiceSettings:
        return self.world.settings.service(WORKER)

    def pass_time(self, **duration: float) -> None:
        super().pass_time(**duration)
        self.worker.tick()
