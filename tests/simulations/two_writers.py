"""Simulation of two ECS services that write to one branch."""

from typing import Any

from fakes.aws.autoscaling import FakeScaling
from fakes.aws.ecs_services import FakeServices
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.ecs_writers import FakeWriters, ecs_name
from fakes.aws.elb import FakeTargetGroups
from simulations.database import FIRST, DatabaseSimulation, applied
from simulations.service import PROMOTED
from support.builders import NOW, SERVICE, definition, release

from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.releases.release import normalised_definition
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.policy import Policy
from rollback.resources.database.live_schema import LiveSchema

WORKER = "worker"
WORKER_OUTAGE = f"macro-ai-production-{WORKER}-outage"
_FAMILY = "macro-ai-production-worker"


class TwoWriterSimulation(DatabaseSimulation):
    """The service, and a worker that runs w2 and ran w1 before.

    The worker's releases fit the tables before v2's migration and after it. The worker has no autoscaling and serves no
    requests.
    """

    def __init__(self, policy: Policy | None = None, **database: Any) -> None:
        super().__init__(policy, **database)
        self.worker = FakeServices(self.clock, ecs_service=ecs_name(WORKER), beside=self.services)
        self.worker.target_groups = ()
        worker = self.ports.settings.services[0].model_copy(
            update={"name": WORKER, "ecs_service": ecs_name(WORKER), "base_url": None}
        )
        writers = FakeWriters(
            {SERVICE: self.services, WORKER: self.worker},
            {SERVICE: self.scaling, WORKER: FakeScaling(self.worker)},
        )
        self.replace(
            services=writers,
            scaling=writers.as_scaling,
            target_groups=FakeTargetGroups(writers),
            tasks=FakeTasks(writers),
            settings=self.ports.settings.model_copy(update={"services": (*self.ports.settings.services, worker)}),
        )
        no_tables = ReleaseSchema(journal=applied(FIRST), recorded_schema=LiveSchema(tables={}))
        self.ledger.put_schema(no_tables)
        for version, hours in (("w1", 96.0), ("w2", 1.5)):
            arn = self.worker.register_release(definition(version), _FAMILY)
            fields = {"service": WORKER, "definition_arn": arn, "schema_sha256": no_tables.sha256}
            stored = release(version, state=PROMOTED, hours_ago=hours, **fields)
            self.ledger.record(stored, normalised_definition(definition(version), {}))
            self.worker.run(arn, desired_count=2, created_at=NOW)
        self.worker.calls.clear()

    @property
    def worker_settings(self) -> ServiceSettings:
        return self.ports.settings.service(WORKER)

    def pass_time(self, **duration: float) -> None:
        super().pass_time(**duration)
        self.worker.tick()
