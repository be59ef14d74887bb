"""What is good to have and not needed: a preview that expires, a protected backup. Refused or killed, it goes on.

Neon, "Branch expiration": no `expires_at` with the Data API. Neon, "Protected branches": so many to a plan, and
IP Allow "to protected branches only" lifts the limits from all others.
"""

import pytest

from faults.crash import FaultInjector, crash_points
from faults.database_scenario import BAD, GOOD, RestoreScenario
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


def test_a_preview_that_may_not_expire_is_made_without_and_deleted_anyway() -> None:
    restore = with_the_data_api()
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.neon.calls.count("create_branch") == 2
    (note,) = [note for note in restore.progress.notes if "expires_at" in note]
    assert WORDS in note
    assert "is deleted once it was looked at" in note


def test_a_preview_that_is_refused_for_another_reason_is_a_refusal_in_the_words_of_the_second_request() -> None:
    restore = RestoreScenario()
    restore.neon.refuse_next("create_branch", RequestRefused("422: too many branches"))
    restore.neon.refuse_next("create_branch", RequestRefused("422: too many branches still"))
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    assert restore.progress.why_not == "422: too many branches still"
    assert [note for note in restore.progress.notes if "expires_at" in note] == []


@pytest.mark.parametrize(("kill_at", "after"), crash_points(calls_of(with_the_data_api())))
def test_killed_at_any_call_it_makes_one_preview_without_expiry(kill_at: int, after: bool) -> None:
    restore = with_the_data_api(FaultInjector(kill_at, after=after))
    restore.run_until_ended()
    assert_restored(restore)


def test_where_ip_limits_hang_on_protection_the_backup_is_protected_after_the_branch() -> None:
    restore = with_ip_limits()
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert restore.backup.protected
    moves = restore.progress.moves
    assert moves.index("protect_again") < moves.index("protect_backup")
    assert any("any address reaches it" in note and "ip-limits" in note for note in restore.progress.notes)


def test_without_such_limits_the_backup_is_not_protected_so_that_it_can_be_deleted() -> None:
    restore = RestoreScenario()
    restore.neon.allowed_ips = AllowedIps(ips=LIMITED.ips)
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert not restore.backup.protected


def test_a_plan_without_room_for_another_protected_branch_is_a_note_and_no_failure() -> None:
    restore = with_ip_limits()
    restore.neon.protected_branch_limit = 1
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert not restore.backup.protected
    assert any("protected branches limit exceeded" in note for note in restore.progress.notes)


@pytest.mark.parametrize(("kill_at", "after"), crash_points(calls_of(with_ip_limits())))
def test_killed_at_any_call_branch_and_backup_end_protected(kill_at: int, after: bool) -> None:
    restore = with_ip_limits(FaultInjector(kill_at, after=after))
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert restore.backup.protected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_though_answers_to_a_change_of_protection_are_lost_both_end_protected(count: int) -> None:
    restore = with_ip_limits()
    for _ in range(count):
        restore.neon.lose_next("update_branch")
    restore.run_until_ended()
    assert_restored(restore)
    assert restore.backup is not None
    assert restore.backup.protected
