"""Simulation of a pipeline that migrates a branch of Neon and deploys, with the events that ECS sends."""

from dataclasses import dataclass, field
from typing import Any

from fakes.neon import FakeNeon
from fakes.sql import FakeSql
from simulations.service import FAMILY, PROMOTED, Simulation, deployment_event
from support.builders import SERVICE, definition

from rollback.database.observation.schedule import observe_on_deployment
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.migration_impact import ADDITIVE, MigrationImpact, breaking
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.releases.release import Release
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.operations.checkpoint import checkpoint
from rollback.promotion.promote import record_deployment
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration

MAIN = "br-1"  # the fake Neon's first branch
DATABASE = DatabaseSettings(
    project_id="shop",
    branch_id=MAIN,
    api_key_secret_arn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-AbCdEf",
    window_margin_minutes=0,
)
BRANCH = DATABASE.branch_key(None)
BEGAN = deployment_event("SERVICE_DEPLOYMENT_IN_PROGRESS")
COMPLETED = deployment_event("SERVICE_DEPLOYMENT_COMPLETED")

_TEXT = Column(type="text", nullable=True, has_default=False)


def migration(number: int, impact: MigrationImpact = ADDITIVE) -> ShippedMigration:
    return ShippedMigration(tag=f"{number:04}_it", created_at=number, hash=f"{number:064x}", impact=impact)


def users(*columns: str) -> LiveSchema:
    return LiveSchema(tables={"public.users": dict.fromkeys(columns, _TEXT)})


FIRST = migration(1)
DROPS = migration(2, breaking("users.name: drop column", removes=("column users.name",)))
ADDS = migration(2)


@dataclass
class MigrationSimulation(Simulation):
    """Service whose v1 is promoted and runs on the first migration; the branch was never observed."""

    settings: DatabaseSettings = field(default_factory=lambda: DATABASE)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.replace(settings=self.ports.settings.model_copy(update={"database": self.settings}))
        self.alarms.in_alarm.clear()
        self.ship("v1", PROMOTED, hours_ago=48)
        self.apply_migrations(users("id", "name"), FIRST)

    @property
    def neon(self) -> FakeNeon:
        assert isinstance(self.ports.neon, FakeNeon)
        return self.ports.neon

    @property
    def sql(self) -> FakeSql:
        assert isinstance(self.ports.sql, FakeSql)
        return self.ports.sql

    def apply_migrations(self, structure: LiveSchema, *applied: ShippedMigration) -> None:
        """Give the branch the structure and the journal that migrations leave."""
        self.sql.schemas[MAIN] = structure
        self.sql.journals[MAIN] = tuple(
            Migration(hash=migration.hash, created_at=migration.created_at) for migration in applied
        )

    def deploy_release(self, version: str, structure: LiveSchema, *shipped: ShippedMigration) -> None:
        """Make a checkpoint, migrate and deploy, and deliver ECS's events about the deployment's begin and end."""
        checkpoint(SERVICE, version, shipped, self.ports)
        self.apply_migrations(structure, *shipped)
        self.pass_time(minutes=5)
        self.start_versioned_deployment(version)
        self.deliver_event(BEGAN)
        for _ in range(3):
            self.pass_time(seconds=20)
        self.deliver_event(COMPLETED)

    def start_versioned_deployment(self, version: str) -> None:
        """Begin a deployment of a release that states its version in a variable; the ledger does not know it yet."""
        task_definition = definition(version)
        task_definition["containerDefinitions"][0]["environment"] = [{"name": "APP_VERSION", "value": version}]
        self.arns[version] = self.services.register_release(task_definition, FAMILY)
        self.services.deploy(self.arns[version])
        self.services.calls.clear()

    def deliver_event(self, event: dict[str, Any]) -> list[str]:
        """Deliver an event to the promote and the database function; return the database function's actions."""
        record_deployment(event, self.ports)
        return observe_on_deployment(event, self.ports)

    def release(self, version: str) -> Release:
        return next(r for r in self.ledger.releases(SERVICE) if r.version == version)

    def observation(self) -> Observation:
        observation = self.ledger.observation(self.settings.branch_key(None))
        assert observation is not None
        return observation

    def plan(self) -> StandingPlan:
        plan = self.ledger.standing_plan(SERVICE)
        assert plan is not None
        return plan

    def target(self, version: str) -> StandingTarget:
        """Find a version among the targets of the standing plan."""
        return next(target for target in self.plan().targets if target.release.version == version)
