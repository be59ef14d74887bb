"""Simulation of a service with a database: v2's migration drops a column that v1 reads."""

from datetime import timedelta
from typing import Any

from fakes.clock import FakeClock
from fakes.neon import FakeNeon
from fakes.sql import FakeSql
from simulations.fake_ports import DEGRADED
from simulations.service import CANDIDATE, PROMOTED, Simulation
from support.builders import NOW, SERVICE

from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.migration_impact import ADDITIVE, breaking
from rollback.domain.database.progress import backup_name
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.policy import Policy
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.neon import Branch

BRANCH = "br-1"  # the fake Neon's first
KEY = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-key"
GOOD, BAD = [1, 2], [3, 4]  # rows before the checkpoint, and after it

_TEXT = Column(type="text", nullable=False, has_default=False)
_ID = Column(type="integer", nullable=False, has_default=True)
BEFORE = LiveSchema(tables={"public.users": {"id": _ID, "email": _TEXT}})
AFTER = LiveSchema(tables={"public.users": {"id": _ID}})
WIDER = LiveSchema(
    tables={"public.users": {"id": _ID, "email": _TEXT, "name": _TEXT.model_copy(update={"nullable": True})}}
)
FIRST = ShippedMigration(tag="0000_users", created_at=1, hash=f"{1:064x}", impact=ADDITIVE)
DROPS = ShippedMigration(
    tag="0001_drop_email", created_at=2, hash=f"{2:064x}", impact=breaking("users: drop column email")
)
ADDS = ShippedMigration(tag="0001_add_name", created_at=2, hash=f"{3:064x}", impact=ADDITIVE)


def applied(*migrations: ShippedMigration) -> tuple[Migration, ...]:
    """Build the journal that these migrations leave in the database."""
    return tuple(Migration(hash=migration.hash, created_at=migration.created_at) for migration in migrations)


NO_APPROVAL = ApprovalPolicy(required_for=())


class DatabaseSimulation(Simulation):
    """Service whose v1 and v2 write to one branch of Neon.

    Args:
        approval: settings of approvals; no rollback needs one by default.
        second: v2's migration.
        observed: the database function observed the branch after v2's migration.
        checkpoint: the pipeline made a checkpoint before v2's migration.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        approval: ApprovalPolicy = NO_APPROVAL,
        second: ShippedMigration = DROPS,
        observed: bool = True,
        checkpoint: bool = True,
        **database: Any,
    ) -> None:
        """Play the history before `NOW`: v1 and its rows, v2's migration, v2 and its rows."""
        used_policy = policy or Policy(on_incompatible_schema="full")
        super().__init__(policy=used_policy, clock=FakeClock(NOW - timedelta(minutes=90)))
        neon, sql = self.ports.neon, self.ports.sql
        assert isinstance(neon, FakeNeon)
        assert isinstance(sql, FakeSql)
        self.neon, self.sql = neon, sql
        self.database = DatabaseSettings(project_id="local", branch_id=BRANCH, api_key_secret_arn=KEY, **database)
        self.replace(settings=self.ports.settings.model_copy(update={"database": self.database, "approval": approval}))
        self.branch_key = self.database.branch_key(None)
        self.neon.update_branch(BRANCH, protected=True)
        self.neon.settle()
        self.neon.migrate(BRANCH, BEFORE, applied(FIRST))
        release_schema = ReleaseSchema(shipped=(FIRST,), journal=applied(FIRST), recorded_schema=BEFORE)
        self.ledger.put_schema(release_schema)
        self.ship("v1", PROMOTED, hours_ago=48, schema_sha256=release_schema.sha256)
        for row in GOOD:
            self.neon.write(BRANCH, row)
        self.clock.pass_time(minutes=60)
        if checkpoint:
            self.checkpoint("v2", (FIRST, second))
        self.clock.pass_time(minutes=5)
        self.neon.migrate(BRANCH, AFTER if second is DROPS else WIDER, applied(FIRST, second))
        self.clock.pass_time(minutes=1)
        self.ship("v2", CANDIDATE, hours_ago=0.4)
        for row in BAD:
            self.neon.write(BRANCH, row)
        self.clock.pass_time(minutes=4)
        if observed:
            self.observe()
        self.clock.pass_time(seconds=(NOW - self.clock.now()).total_seconds())
        self.alarms.recover(DEGRADED)
        self.alarms.fire(DEGRADED, NOW)
        self.neon.calls.clear()

    def checkpoint(self, version: str, shipped: tuple[ShippedMigration, ...]) -> None:
        """Record the restore point that the pipeline records before its migrations."""
        lsn, at = self.neon.position(BRANCH)
        schema = self.read_schema()
        self.ledger.put_schema(schema)
        self.ledger.put_restore_point(
            RecordedPoint(
                branch=self.branch_key,
                service=SERVICE,
                version=version,
                at=at,
                lsn=lsn,
                recorded_at=self.clock.now(),
                by="checkpoint",
                timeline=self.neon.timeline(BRANCH),
                shipped=shipped,
                schema_sha256=schema.sha256,
            )
        )

    def ship_v3(self) -> None:
        """Ship v3 now: it drops the column after a checkpoint, and writes a row of its own."""
        migration = DROPS.model_copy(update={"created_at": 3, "tag": "0002_drop_email"})
        self.checkpoint("v3", (FIRST, ADDS, migration))
        self.clock.pass_time(minutes=1)
        self.neon.migrate(BRANCH, AFTER, applied(FIRST, ADDS, migration))
        self.ship("v3", CANDIDATE, hours_ago=-2 / 60)
        self.neon.write(BRANCH, 5)
        self.clock.pass_time(minutes=2)
        self.observe()
        self.neon.calls.clear()

    def observe(self) -> None:
        """Record the observation that the database function makes of the branch."""
        schema = self.read_schema()
        self.ledger.put_schema(schema)
        self.ledger.put_observation(
            Observation(
                branch=self.branch_key,
                schema_sha256=schema.sha256,
                observed_at=self.clock.now(),
                timeline=self.neon.timeline(BRANCH),
            )
        )

    def read_schema(self) -> ReleaseSchema:
        """Read the journal and the tables of the branch as they are now."""
        state = self.neon.migrated_state(BRANCH)
        return ReleaseSchema(journal=state.journal, recorded_schema=state.tables)

    @property
    def branch(self) -> Branch:
        branch = self.neon.branch(BRANCH)
        assert branch is not None
        return branch

    def backup(self, rollback: Rollback) -> Branch | None:
        """Find the backup branch that a restore of this rollback has left."""
        return self.neon.branch_named(backup_name(rollback.id))

    def rows(self) -> list[int]:
        return self.neon.rows(BRANCH)
