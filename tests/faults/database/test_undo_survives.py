"""Crashes of an undo at every call; its backup was to expire and is a child of the branch."""

import pytest
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, GOOD, STAGED, UndoScenario

from rollback.domain.database.progress import DatabaseOutcome
from rollback.resources.database.errors import AccessRefused


def count_calls_without_crash() -> int:
    undo = UndoScenario()
    undo.run_until_ended()
    return undo.outside.calls


CALLS = count_calls_without_crash()


def assert_undone_once(undo: UndoScenario) -> None:
    assert undo.progress.database_outcome is DatabaseOutcome.RESTORED, undo.progress.why_not
    assert undo.neon.rows(undo.branch_id) == [*GOOD, *BAD, STAGED]
    source, backup = undo.neon.branch(undo.source_id), undo.backup
    assert source is not None
    assert backup is not None
    assert source.expires_at is None, "the branch is restored from it now"
    assert undo.neon.rows(source.id) == [*GOOD, *BAD, STAGED]
    assert undo.neon.rows(backup.id) == [*GOOD, *BAD, STAGED, STAGED + 1]
    assert undo.neon.calls.count("restore") == 1


def test_an_undo_removes_the_backups_expiry_before_the_restore() -> None:
    undo = UndoScenario()
    undo.run_until_ended()
    assert_undone_once(undo)
    assert undo.neon.calls.index("expire_branch") < undo.neon.calls.index("restore")


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_an_undo_killed_at_any_call_and_resumed_restores_exactly_once(kill_at: int, after: bool) -> None:
    undo = UndoScenario(FaultInjector(kill_at, after=after))
    undo.run_until_ended()
    assert_undone_once(undo)


def test_an_undo_restores_once_although_answers_are_lost() -> None:
    undo = UndoScenario()
    for call in ("expire_branch", "restore"):
        undo.neon.lose_next(call)
    undo.run_until_ended()
    assert_undone_once(undo)


def test_an_undo_from_a_backup_that_must_expire_is_refused_with_the_reason() -> None:
    """Neon makes no child of a branch that expires (its documentation, "Branch expiration")."""
    undo = UndoScenario()
    undo.neon.refuse_next("expire_branch", AccessRefused("403: early access"))
    undo.run_until_ended()
    assert undo.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "can't have children" in (undo.progress.why_not or "")
    assert any("may expire" in note and "early access" in note for note in undo.progress.notes)
