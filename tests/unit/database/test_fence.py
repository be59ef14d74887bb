"""The fence around a branch: every writer is stopped, and an unknown writer is named (rule 8: no process can write)."""

from datetime import timedelta

from faults.scenarios.database import BAD, GOOD, WORKER, RestoreScenario
from faults.scenarios.database_endings import assert_nothing_was_changed, assert_refused
from support.builders import SERVICE

from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.obligation import ObligationKind
from rollback.resources.database.errors import RequestRefused
from rollback.resources.database.postgres import ClientSession

NIGHTLY = ClientSession(pid=7, role="cron", application="nightly", address="10.0.0.7", database="app")
POOLED = ClientSession(pid=8, role="owner", application="pgbouncer", address="127.0.0.1", database="app", state="idle")


def test_a_writer_that_reconnects_after_the_restart_is_named_and_the_services_are_restored() -> None:
    restore = RestoreScenario()
    restore.sql.sessions[restore.branch_id] = [NIGHTLY]
    restore.sql.comes_back = {"nightly"}
    assert_refused(
        restore, "connected again: nightly as cron from 10.0.0.7 in database app, since", "the database was not changed"
    )
    assert restore.neon.calls == ["create_branch", "delete_branch", "restart_endpoint"]  # the preview, before the fence
    assert restore.progress.fence.head is None
    restore.unfence()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_sessions_of_a_pooler_end_with_one_restart_of_the_compute() -> None:
    """Neon's pgbouncer runs in the compute, and keeps idle server connections for 600 s (its default)."""
    restore = RestoreScenario()
    restore.sql.sessions[restore.branch_id] = [POOLED]
    began = restore.clock.now()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.calls.count("restart_endpoint") == 1
    assert restore.clock.now() - began < timedelta(minutes=5)


def test_the_compute_is_not_restarted_without_a_session() -> None:
    restore = RestoreScenario()
    restore.run_until_ended()
    assert "restart_endpoint" not in restore.neon.calls


def test_the_fence_waits_for_a_pooler_s_session_if_neon_refuses_the_restart() -> None:
    restore = RestoreScenario()
    restore.neon.refuse_next("restart_endpoint", RequestRefused("422: this endpoint can't be restarted"))
    restore.sql.sessions[restore.branch_id] = [POOLED]
    while restore.progress_if_started is None or restore.progress_if_started.fence.restart_refusal is None:
        restore.run_round()
    for _ in range(4):
        restore.run_round()
    assert restore.progress.fence.head is None
    restore.sql.sessions.clear()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED


def test_a_session_that_stays_after_a_refused_restart_is_named_with_the_refusal() -> None:
    restore = RestoreScenario()
    restore.neon.refuse_next("restart_endpoint", RequestRefused("422: this endpoint can't be restarted"))
    restore.sql.sessions[restore.branch_id] = [POOLED]
    assert_refused(restore, "pgbouncer as owner from 127.0.0.1", "not restarted: 422: this endpoint can't be restarted")


def test_a_restart_whose_answer_is_lost_is_not_repeated() -> None:
    restore = RestoreScenario()
    restore.neon.lose_next("restart_endpoint")
    restore.sql.sessions[restore.branch_id] = [POOLED]
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.calls.count("restart_endpoint") == 1


def test_a_session_that_connects_between_the_fence_and_the_restore_returns_the_rollback_to_the_fence() -> None:
    restore = RestoreScenario()
    while "delete_branch" not in restore.neon.calls:
        restore.run_round()
    restore.sql.sessions[restore.branch_id] = [NIGHTLY]
    restore.sql.comes_back = {"nightly"}
    assert_refused(restore, "nightly as cron from 10.0.0.7", "the database was not changed")
    assert "restore" not in restore.neon.calls


def test_a_short_session_before_the_restore_does_not_end_the_restore() -> None:
    restore = RestoreScenario()
    while "delete_branch" not in restore.neon.calls:
        restore.run_round()
    restore.sql.sessions[restore.branch_id] = [NIGHTLY]
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED
    assert restore.neon.calls.count("restore") == 1


APPLY = ClientSession(pid=9, role="owner", kind="logical replication apply worker", database="app")


def test_a_background_worker_of_postgres_is_named_before_any_service_stops() -> None:
    restore = RestoreScenario()
    restore.sql.sessions[restore.branch_id] = [APPLY]
    assert_nothing_was_changed(restore, "logical replication apply worker as owner", "--force")


def test_a_forced_rollback_continues_despite_a_background_worker_and_the_report_names_the_worker() -> None:
    restore = RestoreScenario()
    restore.set_force()
    restore.sql.sessions[restore.branch_id] = [APPLY]
    restore.sql.comes_back = {""}
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert "logical replication apply worker as owner may have written behind the fence, which --force allowed" in (
        restore.progress.notes
    )


def test_a_writer_that_another_rollback_leases_is_not_stopped() -> None:
    restore = RestoreScenario()
    restore.ledger.acquire(WORKER, "another", restore.clock.now(), restore.clock.now() + timedelta(hours=1))
    assert_nothing_was_changed(restore, "another rollback holds the lease on", "wait for that rollback")


def test_the_fence_fails_if_tasks_never_stop() -> None:
    restore = RestoreScenario()
    restore.writers.services[WORKER].tick = lambda: None  # type: ignore[method-assign]
    assert_refused(restore, f"tasks of {WORKER} did not stop in 10 minutes")
    assert restore.neon.calls == ["create_branch", "delete_branch"]  # the preview, before the fence


def test_every_writer_is_announced_before_the_first_is_stopped() -> None:
    restore = RestoreScenario()
    while not restore.open_obligations():
        restore.run_round()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
    assert [(o.kind, o.service) for o in restore.open_obligations()] == [
        (ObligationKind.FENCE, None),
        (ObligationKind.SCALING, None),
        (ObligationKind.FENCE, WORKER),
    ]


def test_tasks_that_an_operator_starts_before_the_restore_are_fenced_again() -> None:
    restore = RestoreScenario()
    while restore.progress_if_started is None or "check_preview" not in restore.progress.moves:
        restore.run_round()
    restore.writers.services[WORKER].desired_count = 1
    restore.pass_time(seconds=5)
    restore.neon.write(restore.branch_id, 5)
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED
    assert restore.backup is not None
    assert restore.neon.rows(restore.backup.id) == [*GOOD, *BAD, 5]
    assert restore.writers.desired_counts() == {SERVICE: 0, WORKER: 0}
