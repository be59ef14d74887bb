"""Database changes that an abort, a crash, a lost answer or an outage interrupts."""

from datetime import timedelta
from typing import NoReturn

import pytest
from faults.scenarios.database import BAD, WORKER, RestoreScenario
from pydantic import SecretStr
from simulations.database import AFTER, BRANCH, GOOD, DatabaseSimulation
from simulations.two_writers import TwoWriterSimulation
from support.builders import SERVICE
from support.database_progress import narrow

from rollback.domain.database.progress import DatabaseOutcome, RestoreProgress, backup_name
from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import ExternalServiceError
from rollback.operations.pause_abort_unlock import abort
from rollback.resources.database.errors import OutcomeUnknown, QueryFailed
from rollback.resources.database.live_schema import LiveSchema
from rollback.workflow import janitor
from rollback.workflow.route import Step

ADA = Operator(name="ada@desk", reason="stop it")
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}


def run_until_fenced(simulation: DatabaseSimulation) -> Rollback:
    rollback = simulation.admit(FULL)
    while rollback.database is None or rollback.database.fence.head is None:
        rollback = simulation.run_due_step(rollback)
    return rollback


def test_a_successful_rollback_that_inherited_an_operator_s_fence_starts_every_writer() -> None:
    """Verification needs running writers, and comes before the success that lifts such a fence."""
    simulation = TwoWriterSimulation(Policy())
    first_rollback = run_until_fenced(simulation)
    abort(first_rollback.id, ADA, simulation.ports)
    successor = simulation.admit({**FULL, "force": True, "reason": "Ada knows"}, "execution-2")
    assert successor.inherits_fence_of == first_rollback.id
    simulation.run_to_end(first_rollback)
    rollback = simulation.read(simulation.run_to_end(successor))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.rows() == GOOD
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (2, 2)
    assert rollback.left_to_operator() == ()


def test_an_unsent_page_is_sent_later_although_the_data_loss_report_was_sent() -> None:
    simulation = DatabaseSimulation()
    simulation.healthy_versions.clear()  # v1 is no better: the rollback fails
    rollback = simulation.admit()
    while rollback.outcome is None:
        rollback = simulation.run_due_step(rollback)
    real = simulation.notifications.publish

    def fail_to_publish(*_: object, **__: object) -> None:
        raise ExternalServiceError("SNS does not answer")

    simulation.notifications.publish = fail_to_publish  # type: ignore[method-assign]
    rollback = simulation.run_until(rollback, Step.DATA_LOSS)
    assert not rollback.is_reported
    simulation.notifications.publish = real  # type: ignore[method-assign]
    simulation.run_until(rollback)
    assert simulation.pages() == []
    janitor_done = list(janitor.sweep(simulation.ports))
    assert len(simulation.pages()) == 1, janitor_done


def test_an_outage_of_neon_before_sequences_are_continued_keeps_no_service_at_zero() -> None:
    """Neon's API answers reads with 500, which is neither a refusal nor a time to retry."""
    restore = RestoreScenario(carry_sequences=True)
    while restore.progress_if_started is None or restore.progress_if_started.verified_at is None:
        restore.run_round()
    assert narrow(restore.progress, RestoreProgress).sequences
    real = restore.real.neon.connection_uri

    def fail_with_500(*_: object, **__: object) -> NoReturn:
        raise ExternalServiceError("GET connection_uri failed: 500")

    restore.neon.connection_uri = fail_with_500  # type: ignore[method-assign]
    began = restore.clock.now()
    restore.run_until_ended()
    restore.neon.connection_uri = real  # type: ignore[method-assign]
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.clock.now() - began < timedelta(minutes=4)
    assert "sequences could not be advanced" in " ".join(restore.progress.notes)


def test_sequences_are_read_again_when_the_fence_breaks_after_the_restore_was_announced() -> None:
    """The restore was not sent: the fence is checked between the announcement and the call."""
    restore = RestoreScenario(carry_sequences=True)
    while restore.progress_if_started is None or restore.progress_if_started.data_change_announced_at is None:
        restore.run_round()
    assert "restore" not in restore.neon.calls
    restore.writers.services[WORKER].update(restore.ports.settings.service(WORKER), desired_count=1)
    restore.neon.write(restore.branch_id, 50)
    restore.run_round()
    assert restore.progress.fence.head is None
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.sql.sequence_set[restore.branch_id] >= 50


def test_recorded_sequences_are_continued_although_the_restore_lands_during_a_second_fence() -> None:
    """The restore's answer was lost, and a task started: the fence is checked before the restore is sent anew."""
    restore = RestoreScenario(carry_sequences=True)
    restore.neon.refuse_next("restore", OutcomeUnknown("no answer yet"))
    while "restore" not in restore.neon.calls:
        restore.run_round()
    restore.writers.services[WORKER].update(restore.ports.settings.service(WORKER), desired_count=1)
    while restore.progress.fence.head is not None:
        restore.clock.pass_time(seconds=restore.document.wait_seconds)
        restore.run_round()
    at = narrow(restore.progress, RestoreProgress).preview_lsn
    restore.neon.restore(restore.branch_id, restore.branch_id, at, backup_name(restore.id))  # it arrives now
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.sql.sequence_set[restore.branch_id] == max(BAD)


@pytest.mark.parametrize("cause", ["fails", "is_ended"])
def test_the_report_says_that_an_ended_restore_did_not_continue_sequences(cause: str) -> None:
    """An operator who lifts the fence has to know that new rows may reuse ids of removed rows."""
    simulation = DatabaseSimulation(Policy())
    rollback = simulation.admit(FULL)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    assert narrow(rollback.database, RestoreProgress).sequences
    if cause == "fails":
        simulation.sql.schemas[BRANCH] = AFTER
    else:
        abort(rollback.id, ADA, simulation.ports)
    simulation.run_to_end(rollback)
    assert "Sequences were not advanced" in simulation.pages()[-1]
    assert f"public.written_row_seq: {max(BAD)}" in simulation.pages()[-1]


def refuse_to_show(simulation: DatabaseSimulation, branch_id: str) -> None:
    """Let Postgres refuse to show the tables of one branch."""
    live_schema = simulation.sql.live_schema

    def refuse_branch(address: SecretStr) -> LiveSchema:
        if simulation.sql._branch(address) == branch_id:
            raise QueryFailed("the database refused the query: InsufficientPrivilege")
        return live_schema(address)

    simulation.sql.live_schema = refuse_branch  # type: ignore[method-assign]


def test_the_compute_created_to_read_a_source_is_deleted_although_the_undo_is_refused() -> None:
    """The compute has production's passwords, on a branch that may let every address in."""
    simulation = TwoWriterSimulation(Policy())
    rollback = simulation.read(simulation.run(FULL))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert rollback.database is not None
    backup = str(rollback.database.backup_id)
    assert simulation.neon.endpoints(backup) == ()
    simulation.neon.settle()
    refuse_to_show(simulation, backup)
    undo = simulation.read(simulation.run({"type": "full", "service": SERVICE, "undo": rollback.id}, "execution-2"))
    assert undo.outcome is Outcome.REFUSED, undo.reason
    assert undo.source_compute_branch_id == backup
    assert simulation.neon.endpoints(backup) == ()


def restored_rollback_and_backup(simulation: DatabaseSimulation) -> tuple[Rollback, str]:
    rollback = simulation.read(simulation.run(FULL))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert rollback.database is not None
    simulation.neon.settle()
    simulation.pass_time(minutes=30)
    return rollback, str(rollback.database.backup_id)


def test_the_compute_of_a_source_is_deleted_although_the_rollback_ended_during_the_start_of_the_compute() -> None:
    simulation = DatabaseSimulation(Policy())
    rollback, backup = restored_rollback_and_backup(simulation)
    undo = simulation.admit({"type": "full", "service": SERVICE, "undo": rollback.id, "force": True}, "execution-2")
    while not simulation.neon.endpoints(backup):
        undo = simulation.run_due_step(undo)
    assert undo.database is None
    abort(undo.id, ADA, simulation.ports)
    simulation.run_to_end(undo)
    assert simulation.neon.endpoints(backup) == ()
    assert simulation.services.desired_count == 2


def test_a_compute_that_can_not_be_deleted_blocks_no_other_deletion_and_causes_no_page() -> None:
    """Neon deletes no compute of a protected branch (Neon's documentation, "Protected branches")."""
    simulation = DatabaseSimulation(Policy())
    rollback, backup = restored_rollback_and_backup(simulation)
    simulation.neon.update_branch(backup, protected=True)
    simulation.neon.settle()
    undo = simulation.read(
        simulation.run({"type": "full", "service": SERVICE, "undo": rollback.id, "force": True}, "execution-2")
    )
    assert undo.outcome is not Outcome.REFUSED, undo.reason
    assert undo.database is not None
    assert len(simulation.neon.endpoints(backup)) == 1
    assert simulation.neon.endpoints(str(undo.database.backup_id)) == ()
    assert "Delete" in simulation.notifications.sent[-1].message
    assert backup in simulation.notifications.sent[-1].message
    assert simulation.severities()[-1] == "info"


def test_the_report_names_a_compute_that_a_refused_undo_did_not_delete() -> None:
    simulation = DatabaseSimulation(Policy())
    rollback, backup = restored_rollback_and_backup(simulation)
    simulation.neon.update_branch(backup, protected=True)
    simulation.neon.settle()
    refuse_to_show(simulation, backup)
    undo = simulation.read(simulation.run({"type": "full", "service": SERVICE, "undo": rollback.id}, "execution-2"))
    assert undo.outcome is Outcome.REFUSED, undo.reason
    report = simulation.notifications.sent[-1]
    assert report.subject.endswith("leftover resources")
    assert f"Delete the compute of {backup} in Neon's console" in report.message
    assert report.attributes["severity"] == "info"


def test_a_writer_that_starts_during_the_fence_has_two_periods_at_zero() -> None:
    restore = RestoreScenario()
    while restore.progress_if_started is None or restore.progress_if_started.fence.head is None:
        restore.run_round()
    restore.clock.pass_time(minutes=1)
    restore.writers.services[WORKER].update(restore.ports.settings.service(WORKER), desired_count=1)
    restore.clock.pass_time(minutes=3)
    restore.writers.services[WORKER].tick()
    restore.run_until_ended()
    worker_periods = [period for period in restore.progress.fence.zero_task_periods if period.service == WORKER]
    assert [period.until is None for period in worker_periods] == [False, True]
