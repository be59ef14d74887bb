"""Two services that write to one branch on stage, each an ECS service of its own."""

from typing import Any

from builders import NOW, SERVICE, definition, release
from fake_tasks import FakeTasks
from fake_writers import FakeWriters, ecs_name
from fakes import FakeScaling, FakeServices, FakeTargets
from stage import PROMOTED
from stage_with_database import FIRST, DatabaseSimulation, applied

from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.releases.release import normalised_definition
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.policy import Policy
from rollback.resources.database.live_schema import LiveSchema

WORKER = "worker"
WORKER_OUTAGE = f"macro-ai-production-{WORKER}-outage"
_FAMILY = "macro-ai-production-worker"


class TwoWriterSimulation(DatabaseSimulation):
    """The worker runs w2, which works with the tables before v2's migration and after it; before that it ran w1.

    The worker is not scaled, and serves no requests.
    """

    def __init__(self, policy: Policy | None = None, **database: Any) -> None:
        super().__init__(policy, **database)
        self.worker = FakeServices(self.clock, ecs_service=ecs_name(WORKER), beside=self.services)
        self.worker.target_groups = ()
        of_worker = self.world.settings.services[0].model_copy(
            update={"name": WORKER, "ecs_service": ecs_name(WORKER), "base_url": None}
        )
        both = FakeWriters(
            {SERVICE: self.services, WORKER: self.worker},
            {SERVICE: self.scaling, WORKER: FakeScaling(self.worker)},
        )
        self.replace(
            services=both,
            scaling=both.as_scaling,
            targets=FakeTargets(both),
            tasks=FakeTasks(both),
            settings=self.world.settings.model_copy(update={"services": (*self.world.settings.services, of_worker)}),
        )
        fits_both = ReleaseSchema(journal=applied(FIRST), recorded_schema=LiveSchema(tables={}))
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
