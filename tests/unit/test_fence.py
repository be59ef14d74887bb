"""The fence around a branch: every writer is stopped, and an unknown one is found (rule 8)."""

from datetime import timedelta

from builders import SERVICE
from faults.database_endings import assert_nothing_was_changed, assert_refused
from faults.database_scenario import BAD, GOOD, WORKER, Restore

from rollback.model.database_content import ClientSession
from rollback.model.database_progress import Ending
from rollback.model.rollback import ObligationKind


def test_an_unknown_writer_is_named_and_the_services_are_put_back() -> None:
    restore = Restore()
    restore.sql.sessions[restore.branch_id] = [
        ClientSession(pid=7, role="cron", application="nightly", address="10.0.0.7")
    ]
    assert_refused(restore, "nightly as cron from 10.0.0.7", "the database was not touched")
    assert restore.neon.calls == []
    assert restore.progress.head is None
    restore.unfenced()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_a_session_that_a_pooler_lets_go_late_is_waited_for() -> None:
    restore = Restore()
    restore.sql.sessions[restore.branch_id] = [ClientSession(pid=7, role="owner", application="pgbouncer")]
    for _ in range(12):
        restore.round()
    assert restore.progress.stopped_at is not None
    assert restore.progress.head is None
    restore.sql.sessions.clear()
    restore.until_ended()
    assert restore.progress.ending is Ending.RESTORED


def test_a_writer_that_another_rollback_holds_is_left_alone() -> None:
    restore = Restore()
    restore.ledger.acquire(WORKER, "another", restore.clock.now(), restore.clock.now() + timedelta(hours=1))
    assert_nothing_was_changed(restore, "another rollback holds the lease on", "wait for it")


def test_tasks_that_never_stop_are_not_waited_for_for_ever() -> None:
    restore = Restore()
    restore.writers.services[WORKER].tick = lambda: None  # type: ignore[method-assign]
    assert_refused(restore, f"tasks of {WORKER} did not stop in 10 minutes")
    assert restore.neon.calls == []


def test_every_writer_is_announced_before_the_first_is_stopped() -> None:
    restore = Restore()
    while not restore.owed():
        restore.round()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
    assert [(o.kind, o.service) for o in restore.owed()] == [
        (ObligationKind.FENCE, None),
        (ObligationKind.SCALING, None),
        (ObligationKind.FENCE, WORKER),
    ]


def test_tasks_that_somebody_starts_before_the_restore_are_fenced_again() -> None:
    restore = Restore()
    while restore.progress_or_none is None or restore.progress_or_none.preview_lsn is None:
        restore.round()
    restore.writers.services[WORKER].desired_count = 1
    restore.pass_time(seconds=5)
    restore.neon.write(restore.branch_id, 5)
    restore.until_ended()
    assert restore.progress.ending is Ending.RESTORED
    assert restore.backup is not None
    assert restore.neon.rows(restore.backup.id) == [*GOOD, *BAD, 5]
    assert restore.writers.desired_counts() == {SERVICE: 0, WORKER: 0}
