"""Why a restore is refused: each cause in words that help, and nothing is changed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from builders import SERVICE
from faults.database_scenario import BAD, GOOD, WORKER, Restore

from rollback.model.database_content import ClientSession
from rollback.model.database_errors import AccessRefused, ComeBackLater, NotThere, QueryFailed, RequestRefused
from rollback.model.database_progress import Ending, RestorePoint
from rollback.model.plan import Check, Verdict
from rollback.model.rollback import ObligationKind
from rollback.steps.database_preflight import preflight


def assert_refused(restore: Restore, *said: str) -> None:
    """It says why, and the branch is as it was; `calls` are the changes that Neon was asked for."""
    restore.until_ended()
    assert restore.progress.ending is Ending.REFUSED
    for words in said:
        assert words in (restore.progress.why_not or "")
    assert restore.neon.rows(restore.branch_id) == GOOD + BAD
    assert restore.branch.protected
    assert restore.backup is None
    assert "restore" not in restore.neon.calls or restore.progress.restore_asked_at is None


def assert_nothing_was_changed(restore: Restore, *said: str) -> None:
    assert_refused(restore, *said)
    assert restore.neon.calls == []
    assert restore.owed() == ()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call


def test_a_branch_that_neon_does_not_know_is_refused_naming_those_it_knows() -> None:
    restore = Restore()
    target = restore.restoring.target.model_copy(update={"branch_id": "br-typo"})
    unknown = restore.restoring.__class__(target, restore.neon, restore.sql)
    (access, check) = preflight(restore.point, unknown, restore.clock.now())
    assert (access.verdict, check.name, check.verdict) == (Verdict.PASS, "branch-exists", Verdict.FAIL)
    assert f"no branch br-typo; its branches: main ({restore.branch_id})" in check.reason


@pytest.mark.parametrize("error", [AccessRefused("401: check the key"), NotThere("404: check the project id")])
def test_a_wrong_key_and_an_unknown_project_are_refused(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Restore()
    monkeypatch.setattr(restore.neon, "project", raising(error))
    assert_nothing_was_changed(restore, "database-access", str(error))


def test_a_restore_point_that_neon_keeps_no_history_of_is_refused() -> None:
    restore = Restore()
    restore.point = RestorePoint(at=restore.clock.now() - timedelta(hours=30))
    assert_nothing_was_changed(restore, "restore-point-in-window", "is not within what Neon keeps of main")


def test_a_restore_point_that_is_about_to_leave_the_history_is_refused() -> None:
    restore = Restore()
    restore.neon.retention_seconds = 10 * 60
    assert_nothing_was_changed(restore, "margin of 15 minutes")


def test_a_restore_point_before_an_earlier_restore_is_refused_naming_its_backup() -> None:
    restore = Restore()
    restore.neon.update_branch(restore.branch_id, protected=False)
    restore.neon.restore(restore.branch_id, restore.branch_id, restore.point.at, "rollback-backup-earlier")
    restore.neon.settle()
    restore.neon.calls.clear()
    (check,) = failed(restore)
    assert check.name == "restore-point-in-window"
    assert "before main was last restored" in check.reason
    assert "rollback-backup-earlier" in check.reason


def test_without_room_for_another_root_branch_it_is_refused() -> None:
    restore = Restore()
    restore.neon.root_branch_limit = 3
    for name in ("rollback-backup-1", "rollback-backup-2"):
        restore.neon._branches[name] = restore.branch.model_copy(update={"id": name, "name": name})
    (check,) = failed(restore)
    assert check.name == "room-for-backup"
    assert "3 of 3 root branches" in check.reason
    assert "rollback-backup-1, rollback-backup-2" in check.reason


def test_a_branch_with_children_is_refused_unless_they_may_move_or_a_person_insists() -> None:
    restore = Restore()
    restore.neon.create_branch("staging", restore.branch_id)
    restore.neon.settle()
    restore.neon.calls.clear()
    (check,) = failed(restore)
    assert check.forceable
    assert "staging would move from main to its backup" in check.reason
    assert_nothing_was_changed(restore, "children-stay")
    moving = Restore(children="move")
    moving.neon.create_branch("staging", moving.branch_id)
    moving.neon.settle()
    assert failed(moving) == ()
    moving.until_ended()
    assert moving.progress.ending is Ending.RESTORED


def test_a_branch_with_a_parent_and_one_that_neon_restricts_are_refused() -> None:
    restore = Restore()
    restore.neon._update(restore.branch_id, parent_id="br-parent")
    assert [check.name for check in failed(restore)] == ["branch-is-root"]
    restricted = Restore()
    restricted.neon.restrict(restricted.branch_id, "restore", "an import runs")
    assert_nothing_was_changed(restricted, "branch-can-be-restored", "an import runs")


def failed(restore: Restore) -> tuple[Check, ...]:
    checks = preflight(restore.point, restore.real, restore.clock.now())
    return tuple(check for check in checks if check.verdict is Verdict.FAIL)


def test_a_restore_that_may_be_made_passes_every_check() -> None:
    restore = Restore()
    assert failed(restore) == ()


# Behind the fence


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


# At Neon


def test_a_restore_point_that_the_judge_refuses_is_refused_and_the_preview_deleted() -> None:
    no_good = Check(name="schema", verdict=Verdict.FAIL, reason="column orders.total is missing")
    restore = Restore()
    restore.judge_preview(lambda schema, migrations: (no_good,))
    assert_refused(restore, "column orders.total is missing")
    assert restore.neon.calls == ["create_branch", "delete_branch"]
    assert {branch.id for branch in restore.neon.branches()} == {restore.branch_id}


def test_a_restore_that_neon_refuses_leaves_the_branch_protected_again() -> None:
    restore = Restore()
    restore.neon.refuse_next("restore", RequestRefused("422: out of history"))
    assert_refused(restore, "422: out of history")
    assert restore.neon.calls[-1] == "update_branch"
    assert ObligationKind.BRANCH_PROTECTION not in {o.kind for o in restore.owed()}


def test_a_preview_that_sql_can_t_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Restore()
    monkeypatch.setattr(restore.sql, "live_schema", raising(QueryFailed("permission denied")))
    assert_refused(restore, "permission denied")


@pytest.mark.parametrize("call", ["create_branch", "delete_branch", "update_branch", "restore"])
def test_a_change_that_neon_turns_away_is_sent_again_after_the_time_that_it_named(call: str) -> None:
    restore = Restore()
    restore.neon.refuse_next(call, ComeBackLater("429", 47))
    turned_away, waited = False, 0
    while restore.progress_or_none is None or restore.progress_or_none.ended_at is None:
        calls = restore.neon.calls.count(call)
        restore.round()
        if restore.neon.calls.count(call) > calls and not turned_away:
            turned_away, waited = True, restore.document.wait_seconds
    assert waited == 47
    assert restore.progress.ending is Ending.RESTORED


def test_a_branch_that_somebody_else_restored_meanwhile_is_left_alone() -> None:
    restore = Restore()
    while restore.progress_or_none is None or restore.progress_or_none.head is None:
        restore.round()
    restore.neon.update_branch(restore.branch_id, protected=False)
    restore.neon.restore(restore.branch_id, restore.branch_id, restore.point.at, "by-hand")
    restore.neon.settle()
    restore.until_ended()
    assert restore.progress.ending is Ending.REFUSED
    assert "restored by somebody else" in (restore.progress.why_not or "")
    assert restore.branch.protected
    assert restore.neon.calls.count("restore") == 1


def test_a_restore_that_neon_can_t_finish_fails_protected_fenced_and_with_its_backup() -> None:
    restore = Restore()
    restore.neon.fail_next("create_timeline")
    restore.until_ended()
    assert restore.progress.ending is Ending.FAILED
    assert "an operation of Neon failed" in (restore.progress.why_not or "")
    assert restore.branch.protected
    assert restore.backup is not None
    assert restore.neon.rows(restore.backup.id) == GOOD + BAD
    assert restore.writers.desired_counts() == {SERVICE: 0, WORKER: 0}


def test_a_restored_branch_that_never_answers_is_given_up_in_time() -> None:
    restore = Restore()
    while restore.progress_or_none is None or restore.progress_or_none.backup_id is None:
        restore.round()
    restore.sql.asleep = 10_000
    restore.until_ended()
    assert restore.progress.ending is Ending.FAILED
    assert "not done in 20 minutes; it was at wait_for_endpoint" in (restore.progress.why_not or "")
