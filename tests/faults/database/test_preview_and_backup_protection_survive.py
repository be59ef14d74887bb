"""Optional parts of a restore: a preview that expires, a protected backup. A refusal or a crash stops no restore.

Neon, "Branch expiration": no `expires_at` with the Data API. Neon, "Protected branches": a plan has a limit of them,
and IP Allow "to protected branches only" lifts the limits from all other branches.
"""

import pytest
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, GOOD, RestoreScenario

from rollback.domain.database.progress import DatabaseOutcome
from rollback.resources.database.errors import RequestRefused
from rollback.resources.database.neon import AllowedIps

WORDS = "branch expiration is not supported with the Data API"
LIMITED = AllowedIps(ips=("203.0.113.0/24",), protected_branches_only=True)


def with_the_data_api(outside: FaultInjector | None = None) -> RestoreScenario:
    restore = RestoreScenario(outside)
    restore.neon.expiry_refusal = WORDS
    return restore


def with_ip_limits(outside: FaultInjector | None = None) -> RestoreScenario:
    restore = RestoreScenario(outside)
    restore.neon.allowed_ips = LIMITED
    return restore


def calls_of(restore: RestoreScenario) -> int:
    restore.run_until_ended()
    return restore.outside.calls


def assert_restored(restore: RestoreScenario) -> None:
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.rows(restore.branch_id) == GOOD
    assert restore.branch.protected
    assert [branch.name for branch in restore.neon.branches() if branch.name.startswith("rollback-preview")] == []
    assert restore.backup is not None
    assert restore.neon.rows(restore.backup.id) == GOOD + BAD


def test_a_preview_that_may_not_expire_is_created_without_expiry_and_deleted() -> None:
    restore = with_the_data_api()
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.neon.calls.count("create_branch") == 2
    (note,) = [note for note in restore.progress.notes if "expires_at" in note]
    assert WORDS in note
    assert "is deleted after its check" in note


def test_a_preview_refused_for_another_reason_refuses_the_restore_in_neons_second_words() -> None:
    restore = RestoreScenario()
    restore.neon.refuse_next("create_branch", RequestRefused("422: too many branches"))
    restore.neon.refuse_next("create_branch", RequestRefused("422: too many branches still"))
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    assert restore.progress.why_not == "422: too many branches still"
    assert [note for note in restore.progress.notes if "expires_at" in note] == []


@pytest.mark.parametrize(("kill_at", "after"), crash_points(calls_of(with_the_data_api())))
def test_a_restore_killed_at_any_call_creates_one_preview_without_expiry(kill_at: int, after: bool) -> None:
    restore = with_the_data_api(FaultInjector(kill_at, after=after))
    restore.run_until_ended()
    assert_restored(restore)


def test_the_backup_is_protected_after_the_branch_where_ip_limits_depend_on_protection() -> None:
    restore = with_ip_limits()
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert restore.backup.protected
    moves = restore.progress.moves
    assert moves.index("protect_again") < moves.index("protect_backup")
    assert any("any address reaches it" in note and "ip-limits-hold" in note for note in restore.progress.notes)


def test_the_backup_is_not_protected_where_no_ip_limits_depend_on_protection() -> None:
    restore = RestoreScenario()
    restore.neon.allowed_ips = AllowedIps(ips=LIMITED.ips)
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert not restore.backup.protected


def test_a_neon_plan_without_room_for_a_protected_branch_is_a_note_and_no_failure() -> None:
    restore = with_ip_limits()
    restore.neon.protected_branch_limit = 1
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert not restore.backup.protected
    assert any("protected branches limit exceeded" in note for note in restore.progress.notes)


@pytest.mark.parametrize(("kill_at", "after"), crash_points(calls_of(with_ip_limits())))
def test_a_restore_killed_at_any_call_ends_with_branch_and_backup_protected(kill_at: int, after: bool) -> None:
    restore = with_ip_limits(FaultInjector(kill_at, after=after))
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert restore.backup.protected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_restore_ends_with_branch_and_backup_protected_although_answers_are_lost(count: int) -> None:
    restore = with_ip_limits()
    for _ in range(count):
        restore.neon.lose_next("update_branch")
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert restore.backup.protected
