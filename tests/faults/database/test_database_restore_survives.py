"""Crashes of a production restore before and after every external call, and a lost answer to every change."""

import pytest
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, CHANGES, GOOD, SCALED, WORKER, RestoreScenario
from support.builders import SERVICE

from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Outcome


def count_calls_without_crash() -> int:
    restore = RestoreScenario()
    restore.run_until_ended()
    return restore.outside.calls


CALLS = count_calls_without_crash()


def assert_restored_once(restore: RestoreScenario) -> None:
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.rows(restore.branch_id) == GOOD
    assert restore.branch.protected
    backups = [branch for branch in restore.neon.branches() if branch.id != restore.branch_id]
    assert backups == [restore.backup], "one restore makes one backup, and the preview is gone"
    assert restore.neon.rows(backups[0].id) == GOOD + BAD
    assert restore.progress.backup_id == backups[0].id
    assert restore.progress.fence.head is not None
    assert restore.writers.desired_counts() == {SERVICE: 0, WORKER: 0}
    assert {o.kind for o in restore.open_obligations()} == {ObligationKind.FENCE, ObligationKind.SCALING}


def assert_services_are_started_again(restore: RestoreScenario) -> None:
    restore.unfence(Outcome.SUCCEEDED)
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
    assert restore.writers.scaling[SERVICE].target == SCALED
    assert restore.ledger.lease(WORKER) is None


def test_a_restore_leaves_the_services_fenced() -> None:
    restore = RestoreScenario()
    restore.run_until_ended()
    assert_restored_once(restore)
    assert restore.neon.calls == ["create_branch", "delete_branch", "update_branch", "restore", "update_branch"]
    assert_services_are_started_again(restore)


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_a_restore_killed_at_any_call_and_resumed_restores_exactly_once(kill_at: int, after: bool) -> None:
    restore = RestoreScenario(FaultInjector(kill_at, after=after))
    restore.run_until_ended()
    assert_restored_once(restore)
    assert_services_are_started_again(restore)


@pytest.mark.parametrize(
    "lost_calls", [(change,) for change in CHANGES] + [CHANGES, ("update_branch", "update_branch")]
)
def test_a_restore_makes_no_change_twice_although_an_answer_is_lost(lost_calls: tuple[str, ...]) -> None:
    restore = RestoreScenario()
    for change in lost_calls:
        restore.neon.lose_next(change)
    restore.run_until_ended()
    assert_restored_once(restore)
    assert restore.neon.calls.count("restore") == 1
    assert restore.neon.calls.count("create_branch") == 1


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_a_restore_killed_at_any_call_after_losing_its_answer_restores_exactly_once(kill_at: int) -> None:
    restore = RestoreScenario(FaultInjector(kill_at))
    restore.neon.lose_next("restore")
    restore.run_until_ended()
    assert_restored_once(restore)
