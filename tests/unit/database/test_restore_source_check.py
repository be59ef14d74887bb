"""SQL checks the source of a reset, an undo or `--to` for every writer before any data is overwritten."""

from datetime import timedelta
from typing import Any

import pytest
from faults.scenarios.branch import RecreateScenario
from faults.scenarios.database import WORKER, ResetScenario, RestoreScenario, UndoScenario
from simulations.database import BAD, BEFORE, FIRST, GOOD, applied
from simulations.two_writers import WORKER as OTHER
from simulations.two_writers import TwoWriterSimulation
from support.builders import NOW, SERVICE

from rollback.check import Check, Verdict
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.resources.database.errors import SessionRefused
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration

FROM_A_SOURCE = [ResetScenario, UndoScenario, RecreateScenario]
FAILED_CHECK = Check.failed("target-fits-restored-schema", "orders.total is missing")


@pytest.mark.parametrize("kind", FROM_A_SOURCE)
def test_a_source_with_an_incompatible_schema_is_refused_before_a_service_is_stopped(
    kind: type[RestoreScenario],
) -> None:
    scenario = kind()
    scenario.check_tables(lambda schema, migrations: (FAILED_CHECK,))
    rows = scenario.neon.rows(scenario.branch_id)
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "orders.total is missing; nothing was changed" in (scenario.progress.why_not or "")
    assert scenario.neon.rows(scenario.branch_id) == rows
    assert scenario.open_obligations() == ()
    assert scenario.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


@pytest.mark.parametrize("kind", FROM_A_SOURCE)
def test_a_source_that_refuses_the_connection_is_refused_before_a_service_is_stopped(
    kind: type[RestoreScenario],
) -> None:
    scenario = kind()
    real = scenario.sql.live_schema

    def refuse_source(address: Any) -> LiveSchema:
        if scenario.sql._branch(address) != scenario.branch_id:
            raise SessionRefused("database app does not exist")
        return real(address)

    scenario.sql.live_schema = refuse_source  # type: ignore[method-assign]
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "source-answers" in (scenario.progress.why_not or "")
    assert scenario.open_obligations() == ()


def test_a_backup_without_a_compute_gets_a_compute_and_is_checked_while_services_run() -> None:
    """A restore makes no compute for the backup."""
    undo = UndoScenario()
    assert undo.neon.endpoints(undo.source_id) == ()
    running_counts: list[int] = []

    def judge(_schema: LiveSchema, _journal: tuple[Migration, ...] | None) -> tuple[Check, ...]:
        running_counts.append(undo.writers.desired_counts()[SERVICE])
        return ()

    undo.check_tables(judge)
    undo.run_until_ended()
    assert undo.progress.database_outcome is DatabaseOutcome.RESTORED, undo.progress.why_not
    assert running_counts == [2]
    assert undo.neon.calls.count("create_endpoint") == 1


@pytest.mark.parametrize("call", ["create_endpoint"])
def test_a_compute_of_the_source_is_created_once_although_the_answer_is_lost(call: str) -> None:
    undo = UndoScenario()
    undo.neon.lose_next(call)
    undo.run_until_ended()
    assert undo.progress.database_outcome is DatabaseOutcome.RESTORED, undo.progress.why_not
    assert undo.neon.calls.count("create_endpoint") == 1


NEEDS_EMAIL = ReleaseSchema(journal=applied(FIRST), recorded_schema=BEFORE)
SCHEMA_WITHOUT_EMAIL = LiveSchema(
    tables={"public.users": {"id": Column(type="integer", nullable=False, has_default=True)}}
)
DATA_OF_THEN = {"type": "database", "service": SERVICE, "to": (NOW - timedelta(minutes=25)).isoformat()}


class WorkerThatNeedsTheEmail(TwoWriterSimulation):
    """The worker's release needs a column that the tables of every branch lack from now on."""

    def lack_the_email(self) -> None:
        self.ledger.put_schema(NEEDS_EMAIL)
        for key, release in self.ledger._releases.items():
            if release.service == OTHER:
                self.ledger._releases[key] = release.model_copy(update={"schema_sha256": NEEDS_EMAIL.sha256})
        for number in range(60):
            self.sql.schemas[f"br-{number}"] = SCHEMA_WITHOUT_EMAIL


def test_a_writer_incompatible_with_the_tables_at_the_restore_time_refuses_the_restore() -> None:
    """`--to` names a time that the ledger does not know: the preview shows the tables for every writer."""
    simulation = WorkerThatNeedsTheEmail(Policy())
    simulation.lack_the_email()
    rollback = simulation.read(simulation.run(DATA_OF_THEN))
    assert rollback.outcome is Outcome.REFUSED, rollback.reason
    assert f"writer-{OTHER}-fits-restored-schema: w2 of {OTHER} on these tables" in rollback.reason
    assert simulation.rows() == GOOD + BAD
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (2, 2)


def test_a_writer_incompatible_with_the_backup_refuses_an_undo_before_a_service_is_stopped() -> None:
    simulation = WorkerThatNeedsTheEmail()
    rollback = simulation.read(simulation.run({"type": "full", "service": SERVICE, "target_version": "v1"}))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    simulation.neon.settle()
    simulation.lack_the_email()
    simulation.services.calls.clear()
    undo = simulation.read(simulation.run({"type": "full", "service": SERVICE, "undo": rollback.id}, "execution-2"))
    assert undo.outcome is Outcome.REFUSED, undo.reason
    assert f"writer-{OTHER}-fits-restored-schema" in undo.reason
    assert undo.obligations == ()
    assert simulation.rows() == GOOD


def test_a_forced_rollback_reports_an_incompatible_writer_as_a_warning() -> None:
    simulation = WorkerThatNeedsTheEmail(Policy())
    simulation.lack_the_email()
    simulation.neon.settle()
    rollback = simulation.read(simulation.run({**DATA_OF_THEN, "force": True, "reason": "Ada knows"}))
    assert rollback.database is not None
    assert rollback.database.database_outcome is DatabaseOutcome.RESTORED, rollback.reason
    verdicts = {check.name: check.verdict for check in rollback.database.schema_checks}
    assert verdicts[f"writer-{OTHER}-fits-restored-schema"] is Verdict.WARN
