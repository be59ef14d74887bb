"""Restores that Neon refuses, defers or fails, foreign changes during a restore, and the lease (rules 3 and 9)."""

from datetime import timedelta

import pytest
from faults.scenarios.database import BAD, GOOD, WORKER, RestoreScenario
from faults.scenarios.database_endings import assert_refused, raise_error
from support.builders import SERVICE

from rollback.check import Check
from rollback.conclusion.obligation_kinds import restore_branch_setting
from rollback.database.restore.reconciler import restore as restore_once
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.obligation import ObligationKind
from rollback.errors import LeaseLost
from rollback.intents.announce import has_new_intent
from rollback.resources.database.errors import QueryFailed, RequestRefused, RetryLater


def test_a_restore_point_with_a_failed_schema_check_is_refused_and_the_preview_is_deleted() -> None:
    no_good = Check.failed("schema", "column orders.total is missing")
    restore = RestoreScenario()
    restore.check_tables(lambda schema, migrations: (no_good,))
    assert_refused(restore, "column orders.total is missing")
    assert restore.neon.calls == ["create_branch", "delete_branch"]
    assert {branch.id for branch in restore.neon.branches()} == {restore.branch_id}


def test_a_restore_that_neon_refuses_leaves_the_branch_protected_again() -> None:
    restore = RestoreScenario()
    restore.neon.refuse_next("restore", RequestRefused("422: out of history"))
    assert_refused(restore, "422: out of history")
    assert restore.neon.calls[-1] == "update_branch"
    assert ObligationKind.BRANCH_PROTECTION not in {o.kind for o in restore.open_obligations()}


def test_a_preview_that_sql_can_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = RestoreScenario()
    monkeypatch.setattr(restore.sql, "live_schema", raise_error(QueryFailed("permission denied")))
    assert_refused(restore, "permission denied")


@pytest.mark.parametrize("call", ["create_branch", "delete_branch", "update_branch", "restore"])
def test_a_change_that_neon_defers_is_sent_again_after_the_time_that_neon_named(call: str) -> None:
    restore = RestoreScenario()
    restore.neon.refuse_next(call, RetryLater("429", 47))
    was_deferred, waited_seconds = False, 0
    while restore.progress_if_started is None or restore.progress_if_started.ended_at is None:
        calls = restore.neon.calls.count(call)
        restore.run_round()
        if restore.neon.calls.count(call) > calls and not was_deferred:
            was_deferred, waited_seconds = True, restore.document.wait_seconds
    assert waited_seconds == 47
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED


def test_a_branch_that_an_operator_restored_during_the_rollback_is_not_changed() -> None:
    restore = RestoreScenario()
    while restore.progress_if_started is None or restore.progress_if_started.fence.head is None:
        restore.run_round()
    restore.neon.update_branch(restore.branch_id, protected=False)
    restore.neon.restore(restore.branch_id, restore.branch_id, restore.point.at, "by-hand")
    restore.neon.settle()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "and not by this rollback" in (restore.progress.why_not or "")
    assert restore.branch.protected
    assert restore.neon.calls.count("restore") == 1


def test_a_restore_that_neon_can_not_finish_fails_protected_fenced_and_with_its_backup() -> None:
    restore = RestoreScenario()
    restore.neon.fail_next("create_timeline")
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.FAILED
    assert "an operation of Neon failed" in (restore.progress.why_not or "")
    assert restore.branch.protected
    assert restore.backup is not None
    assert restore.neon.rows(restore.backup.id) == GOOD + BAD
    assert restore.writers.desired_counts() == {SERVICE: 0, WORKER: 0}


def test_a_restore_fails_in_time_if_the_restored_branch_never_answers() -> None:
    restore = RestoreScenario()
    while restore.progress_if_started is None or restore.progress_if_started.backup_id is None:
        restore.run_round()
    restore.sql.asleep = 10_000
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.FAILED
    assert "did not end in 20 minutes; its last move was wait for endpoint" in (restore.progress.why_not or "")


def run_until_unprotected() -> RestoreScenario:
    restore = RestoreScenario()
    while restore.branch.protected:
        restore.run_round()
    return restore


def test_the_obligation_to_protect_a_branch_is_open_until_neon_shows_the_branch_protected() -> None:
    restore = run_until_unprotected()
    (obligation, *_) = restore.open_obligations()
    assert obligation.kind is ObligationKind.BRANCH_PROTECTION
    assert obligation.before == {"branch_id": restore.branch_id, "protected": True}
    restore.run_until_ended()
    assert ObligationKind.BRANCH_PROTECTION not in {o.kind for o in restore.open_obligations()}


def test_conclude_protects_the_branch_again_if_the_rollback_ends_after_the_removal_of_protection() -> None:
    restore = run_until_unprotected()
    (obligation, *_) = restore.open_obligations()
    assert not restore_branch_setting(obligation, restore.neon)
    assert restore.branch.protected
    assert restore_branch_setting(obligation, restore.neon)


@pytest.mark.parametrize("service", [SERVICE, WORKER])
def test_a_restore_without_its_lease_changes_nothing_more_and_stays_fenced(service: str) -> None:
    restore = run_until_unprotected()
    lease = restore.ledger.lease(service)
    assert lease is not None
    calls = list(restore.neon.calls)
    restore.ledger.take_over(lease, "a person's", restore.clock.now() + timedelta(hours=1))
    for _ in range(3):
        with pytest.raises(LeaseLost):
            restore.run_round()
    assert restore.neon.calls == calls
    assert restore.writers.desired_counts() == {SERVICE: 0, WORKER: 0}


def test_a_restore_does_not_act_under_a_lease_that_ends_before_the_function_does() -> None:
    restore = run_until_unprotected()
    while restore.progress.intent is None:
        restore.run_round()
    lease, now = restore.ledger.lease(SERVICE), restore.clock.now()
    assert lease is not None
    restore.ledger.renew(lease, now, now + timedelta(seconds=30))
    calls = list(restore.neon.calls)
    with pytest.raises(LeaseLost):
        restore_once(restore.document, restore.point, restore.context, restore.ports)
    assert restore.neon.calls == calls


def test_each_change_is_announced_before_it_is_sent() -> None:
    restore = RestoreScenario()
    predecessor, announcements = restore.document, 0
    while restore.progress_if_started is None or restore.progress_if_started.ended_at is None:
        calls = len(restore.neon.calls)
        restore.run_round()
        if has_new_intent(predecessor, restore.document):
            announcements += 1
            assert len(restore.neon.calls) == calls
        predecessor = restore.document
    assert announcements == 2 + len(restore.neon.calls)  # the fence, each call of Neon, and the sequences
