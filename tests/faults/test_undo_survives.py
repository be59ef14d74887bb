"""An undo goes back to a backup that was to expire, and hangs below the very branch: killed at every call."""

import pytest

from faults.crash import FaultInjector, crash_points
from faults.database_scenario import BAD, GOOD, STAGED, UndoScenario
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
    assert source.expires_at is None, "the branch comes from it now"
    assert undo.neon.rows(source.id) == [*GOOD, *BAD, STAGED]
    assert undo.neon.rows(backup.id) == [*GOOD, *BAD, STAGED, STAGED + 1]
    assert undo.neon.calls.count("restore") == 1


def test_undisturbed_the_backup_is_kept_before_the_branch_comes_from_it() -> None:
    undo = UndoScenario()
    undo.run_until_ended()
    assert_undone_once(undo)
    assert undo.neon.calls.index("expire_branch") < undo.neon.calls.index("restore")


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_killed_at_any_call_and_resumed_it_is_undone_exactly_once(kill_at: int, after: bool) -> None:
    undo = UndoScenario(FaultInjector(kill_at, after=after))
    undo.run_until_ended()
    assert_undone_once(undo)


def test_though_the_answer_is_lost_it_is_undone_once() -> None:
    undo = UndoScenario()
    for call in ("expire_branch", "restore"):
        undo.neon.lose_next(call)
    undo.run_until_ended()
    assert_undone_once(undo)


def test_a_backup_that_can_not_be_kept_is_not_gone_back_to_and_that_is_said() -> None:
    """Neon makes no child of a branch that expires (its documentation, "Branch expiration")."""
    undo = UndoScenario()
    undo.neon.refuse_next("expire_branch", AccessRefused("403: early access"))
    undo.run_until_ended()
    assert undo.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "can't have children" in (undo.progress.why_not or "")
    assert any("may expire" in note and "early access" in note for note in undo.progress.notes)
