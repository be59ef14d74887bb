"""Conditions in which a refused restore must end, whatever the cause."""

from collections.abc import Callable
from typing import Any

from faults.scenarios.database import BAD, GOOD, WORKER, RestoreScenario
from support.builders import SERVICE

from rollback.domain.database.progress import DatabaseOutcome


def assert_refused(restore: RestoreScenario, *reasons: str) -> None:
    """Run the restore; it must give these reasons and leave the branch as it was."""
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    for reason in reasons:
        assert reason in (restore.progress.why_not or "")
    assert restore.neon.rows(restore.branch_id) == GOOD + BAD
    assert restore.branch.protected
    assert restore.backup is None
    assert "restore" not in restore.neon.calls or restore.progress.data_change_announced_at is None


def assert_nothing_was_changed(restore: RestoreScenario, *reasons: str) -> None:
    assert_refused(restore, *reasons)
    assert restore.neon.calls == []
    assert restore.open_obligations() == ()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def raise_error(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call
