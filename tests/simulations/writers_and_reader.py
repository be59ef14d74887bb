"""Simulation of three ECS services of one branch: two write to it, one only reads it."""

from typing import Any

from fakes.aws.autoscaling import FakeScaling
from fakes.aws.ecs_services import FakeServices
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.ecs_writers import FakeWriters, ecs_name
from fakes.aws.elb import FakeTargetGroups
from simulations.service import PROMOTED
from simulations.two_writers import WORKER, TwoWriterSimulation
from support.builders import NOW, SERVICE, definition, release

from rollback.check import Check
from rollback.domain.database.reconnection import ServiceConnection
from rollback.domain.releases.release import normalised_definition
from rollback.domain.rollback import Rollback
from rollback.domain.settings.connections import ConnectionSettings
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.policy import Policy

REPORTS = "reports"
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
_FAMILY = "macro-ai-production-reports"


class WritersAndReaderSimulation(TwoWriterSimulation):
    """The service and its worker write to the branch; `reports` runs r1, only reads it and serves requests."""

    def __init__(self, policy: Policy | None = None, *, writers: tuple[str, ...] = (SERVICE, WORKER), **database: Any):
        super().__init__(policy, writers=writers, readers=(REPORTS,), **database)
        self.reports = FakeServices(self.clock, ecs_service=ecs_name(REPORTS), beside=self.services)
        self.reports.target_groups = ()
        reports = self.ports.settings.services[0].model_copy(
            update={"name": REPORTS, "ecs_service": ecs_name(REPORTS), "base_url": "http://reports.test"}
        )
        services = FakeWriters(
            {SERVICE: self.services, WORKER: self.worker, REPORTS: self.reports},
            {SERVICE: self.scaling, WORKER: FakeScaling(self.worker), REPORTS: FakeScaling(self.reports)},
        )
        self.tasks = FakeTasks(services)
        self.http.sites.add("http://reports.test")
        self.replace(
            services=services,
            scaling=services.as_scaling,
            target_groups=FakeTargetGroups(services),
            tasks=self.tasks,
            settings=self.ports.settings.model_copy(update={"services": (*self.ports.settings.services, reports)}),
        )
        arn = self.reports.register_release(definition("r1"), _FAMILY)
        stored = release("r1", state=PROMOTED, hours_ago=24, service=REPORTS, definition_arn=arn)
        self.ledger.record(stored, normalised_definition(definition("r1"), {}))
        self.reports.run(arn, desired_count=2, created_at=NOW)
        self.reports.calls.clear()

    def connect(self, name: str, **connection: Any) -> None:
        """Change the settings of a service's connection."""
        settings = ConnectionSettings.model_validate(connection)
        services = tuple(
            service.model_copy(update={"connection": settings}) if service.name == name else service
            for service in self.ports.settings.services
        )
        self.replace(settings=self.ports.settings.model_copy(update={"services": services}))

    @property
    def reports_settings(self) -> ServiceSettings:
        return self.ports.settings.service(REPORTS)

    def reports_deployments(self) -> list[dict[str, Any]]:
        """List the arguments of the reader's UpdateService calls."""
        return [arguments for name, arguments in self.reports.calls if name == "update"]

    def pass_time(self, **duration: float) -> None:
        super().pass_time(**duration)
        self.reports.tick()


def find_connection(rollback: Rollback, name: str) -> ServiceConnection:
    """Find a service's connections in the document."""
    assert rollback.reconnection is not None
    connection = rollback.reconnection.of(name)
    assert connection is not None
    return connection


def find_connection_check(rollback: Rollback, name: str) -> Check:
    """Find the last verification's check of a service's connection."""
    assert rollback.verification is not None
    return next(check for check in rollback.verification.checks if check.name == f"connection-of-{name}-works")
