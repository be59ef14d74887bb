"""Scenario of a production restore on fakes that keep state: two services write rows before and after a point."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from fakes.aws.ecs_writers import FakeWriters, ecs_name
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.neon import FakeNeon
from fakes.sql import FakeSql
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from simulations.fake_ports import SETTINGS, make_ports
from support.builders import NOW, SERVICE, definition, rollback

from rollback.conclusion.obligations import discharge_obligation
from rollback.database.preflight.branch_context import BranchContext, TableCheck
from rollback.database.restore.reconciler import restore
from rollback.database.restore.reset import reset
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.progress import DatabaseProgress, RestorePoint, backup_name
from rollback.domain.obligation import Obligation
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import RollbackError
from rollback.intents.announce import has_new_intent
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.resources.database.neon import Branch

WORKER = "worker"
GOOD, BAD = [1, 2], [3, 4]
STAGED = 9
SCALED = ScalableTarget(min_capacity=2, max_capacity=6, suspended=dict.fromkeys(SCALING_FLAGS, False))
CHANGES = ("create_branch", "delete_branch", "update_branch", "restore")
_MAX_ROUNDS = 300


class RestoreScenario:
    """Rollback with its lease and a protected branch; rows 1 and 2 are from before the restore point."""

    def __init__(self, outside: FaultInjector | None = None, **target: Any) -> None:
        self.outside = outside or FaultInjector()
        self.clock = FakeClock(NOW)
        self.neon = FakeNeon(self.clock, looks=2)
        self.sql = FakeSql(self.neon)
        self.ledger = FakeLedger()
        self.writers = FakeWriters.of(self.clock, SERVICE, WORKER)
        main = self.neon.branch_named("main")
        assert main is not None
        self.neon.update_branch(main.id, protected=True)
        self.clock.pass_time(hours=1)
        for row in GOOD:
            self.neon.write(main.id, row)
        self.clock.pass_time(minutes=1)
        self.point = RestorePoint(at=self.clock.now())
        self.clock.pass_time(minutes=1)
        for row in BAD:
            self.neon.write(main.id, row)
        self.branch_id = self._prepare_branch(main.id)
        for service in self.writers.services.values():
            service.run(service.register_release(definition("v1"), "family"), created_at=self.clock.now())
        self.writers.scaling[SERVICE].target = SCALED
        worker = SETTINGS.services[0].model_copy(update={"name": WORKER, "ecs_service": ecs_name(WORKER)})
        settings = SETTINGS.model_copy(update={"services": (SETTINGS.services[0], worker)})
        real = make_ports(clock=self.clock, ledger=self.ledger, services=self.writers, scaling=self.writers.as_scaling)
        real = replace(real, settings=settings)
        self.real = BranchContext(
            BranchSettings(branch_id=self.branch_id, database="app", role="owner", writers=settings.services, **target),
            self.neon,
            self.sql,
        )
        self.ports: AllPorts = replace(
            real, **{port: self._crashing(getattr(real, port)) for port in ("ledger", "services", "scaling")}
        )
        self.context = replace(
            self.real, neon=self._crashing_at_reads(self.neon), sql=self._crashing_at_reads(self.sql)
        )
        self.neon.calls.clear()
        lease = self.ledger.acquire(SERVICE, rollback().id, self.clock.now(), self.clock.now() + timedelta(minutes=10))
        assert lease is not None
        document = rollback(created_at=self.clock.now(), admitted_at=self.clock.now(), lease_counter=lease.counter)
        self.id = self.ledger.create(document).id

    def _prepare_branch(self, main_id: str) -> str:
        """Prepare the branch that the scenario changes, and return its id."""
        return main_id

    def _step(self, rollback: Rollback) -> Rollback:
        return restore(rollback, self.point, self.context, self.ports)

    def _crashing_at_reads(self, real: object) -> Any:
        """Wrap a port of Neon, which may kill the process at each read too."""
        return cast("Any", CrashingProxy(real, self.outside, None))

    def _crashing(self, real: object) -> Any:
        return cast("Any", CrashingProxy(real, self.outside))

    @property
    def document(self) -> Rollback:
        """Document of the ledger, through JSON as the table stores it."""
        stored = self.ledger.read(SERVICE, self.id)
        return Rollback.model_validate_json(stored.model_dump_json())

    @property
    def progress_if_started(self) -> DatabaseProgress | None:
        return self.document.database

    @property
    def progress(self) -> DatabaseProgress:
        assert self.document.database is not None
        return self.document.database

    def set_force(self) -> None:
        """Set `force`, as an operator does."""
        request = self.document.request.model_copy(update={"force": True, "reason": "Ada knows"})
        self.ledger.save(self.document.evolve(request=request))

    def check_tables(self, judge: TableCheck) -> None:
        """Set the judge of the restore point's tables."""
        self.context = replace(self.context, check_tables=judge)

    @property
    def branch(self) -> Branch:
        branch = self.neon.branch(self.branch_id)
        assert branch is not None
        return branch

    @property
    def backup(self) -> Branch | None:
        return self.neon.branch_named(backup_name(self.id))

    def open_obligations(self) -> tuple[Obligation, ...]:
        return self.document.open_obligations()

    def run_round(self) -> None:
        """Renew the lease, run one step and save, as `run_step` does; an intent is saved only under the lease."""
        now = self.clock.now()
        lease = self.ports.ledger.lease(SERVICE)
        assert lease is not None
        self.ports.ledger.renew(lease, now, now + timedelta(minutes=10))
        original = self.ports.ledger.read(SERVICE, self.id)
        after = self._step(original)
        until = now + timedelta(seconds=60) if has_new_intent(original, after) else None
        self.ports.ledger.save(after, under_lease_until=until)
        if after.wait_seconds:
            self.pass_time(seconds=after.wait_seconds)

    def run_until_ended(self) -> None:
        """Run rounds until the database's part has ended; a crash and an error are retried as Lambda retries them."""
        for _ in range(_MAX_ROUNDS):
            progress = self.document.database
            if progress is not None and progress.ended_at is not None:
                return
            try:
                self.run_round()
            except ProcessKilled:
                self.outside.restart_process()
                self.pass_time(seconds=5)
            except RollbackError:
                self.pass_time(seconds=5)
        raise AssertionError(f"the database's part never ended: {self.document.database}")

    def unfence(self, outcome: Outcome = Outcome.REFUSED) -> None:
        """Discharge the obligations as Conclude does."""
        document = self.document.evolve(outcome=outcome, conclusion_started_at=self.clock.now())
        document = self.ledger.save(document)
        for _ in range(_MAX_ROUNDS):
            obligation = next(iter(document.open_obligations()), None)
            if obligation is None:
                return
            document = self.ledger.save(discharge_obligation(document, obligation, self.clock.now(), self.ports))
            if document.wait_seconds:
                self.pass_time(seconds=document.wait_seconds)
        raise AssertionError(f"obligations are still open: {document.open_obligations()}")

    def pass_time(self, **duration: float) -> None:
        self.clock.pass_time(**duration)
        self.writers.tick()


class ResetScenario(RestoreScenario):
    """Reset of staging, a protected branch with a row of its own, to the head of main."""

    def _prepare_branch(self, main_id: str) -> str:
        self.source_id = main_id
        created = self.neon.create_branch("staging", main_id, with_endpoint=True, protected=True)
        self.neon.settle()
        self.neon.write(created.branch.id, STAGED)
        return created.branch.id

    def _step(self, rollback: Rollback) -> Rollback:
        return reset(rollback, self.source_id, self.context, self.ports)


class UndoScenario(ResetScenario):
    """Undo from staging's backup: a child of staging, which Neon is to delete in a week."""

    def _prepare_branch(self, main_id: str) -> str:
        staging_id = super()._prepare_branch(main_id)
        self.source_id = self.neon.create_branch(backup_name("earlier"), staging_id).branch.id
        self.neon.settle()
        self.neon.write(staging_id, STAGED + 1)
        self.neon.expire_branch(self.source_id, self.clock.now() + timedelta(days=7))
        return staging_id

    def _step(self, rollback: Rollback) -> Rollback:
        return reset(rollback, self.source_id, self.context, self.ports, undone_rollback_id="earlier")
