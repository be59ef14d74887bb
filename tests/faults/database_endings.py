"""How a restore that is refused must have ended, whatever the cause."""

from collections.abc import Callable
from typing import Any

from builders import SERVICE

from faults.database_scenario import BAD, GOOD, WORKER, RestoreScenario
from rollback.domain.database.progress import DatabaseOutcome


def assert_refused(restore: RestoreScenario, *said: str) -> None:
    """It says why, and the branch is as it was; `calls` are the changes that Neon was asked for."""
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    for words in said:
        assert words in (restore.progress.why_not or "")
    assert restore.neon.rows(restore.branch_id) == GOOD + BAD
    assert restore.branch.protected
    assert restore.backup is None
    assert "restore" not in restore.neon.calls or restore.progress.data_change_announced_at is None


def assert_nothing_was_changed(restore: RestoreScenario, *said: str) -> None:
    assert_refused(restore, *said)
    assert restore.neon.calls == []
    assert restore.owed() == ()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def raise_error(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call
