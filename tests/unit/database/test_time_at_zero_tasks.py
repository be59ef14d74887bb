"""Neon, SQL or AWS never answers: at each move, services start again in time if the data is untouched.

The bounds are those of the table in docs/database.md.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from faults.scenarios.branch import RecreateScenario
from faults.scenarios.database import WORKER, ResetScenario, RestoreScenario, UndoScenario
from faults.scenarios.down_migrations import DownMigrationsScenario
from support.builders import SERVICE

from rollback.database.down_migrations.next_action import DownMigrationMove
from rollback.database.recreate.next_action import RecreateMove
from rollback.database.restore.next_action import RestoreMove
from rollback.domain.database.progress import DatabaseOutcome, OverwriteProgress
from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import ProjectLocked, RetryLater, SessionRefused, Unreachable

FENCE = "the fence"
_CHANGES = ("create_branch", "delete_branch", "update_branch", "restore", "restart_endpoint", "expire_branch")
_LOOKS = ("branch", "branch_named", "endpoints", "operations_since", "operation", "connection_uri")
_SQL = ("head", "client_sessions", "live_schema", "migrations", "background_work")
# Three minutes for operations that never end, five for the move, one for clean-up, and the polls.
_MAX_AT_ZERO = timedelta(minutes=10)


def raise_on_call(error: ExternalServiceError) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise error

    return refuse


def sql_never_answers(restore: RestoreScenario) -> None:
    """SQL fails with a transient error for ever: IPv6 without a route, or a compute that does not wake up."""
    for name in _SQL:
        setattr(restore.sql, name, raise_on_call(Unreachable("no session with the database: Network is unreachable")))


def sql_is_refused(restore: RestoreScenario) -> None:
    """SQL refuses the session: a password was rotated, or IP Allow was changed."""
    for name in _SQL:
        setattr(restore.sql, name, raise_on_call(SessionRefused("password authentication failed")))


def neon_is_locked(restore: RestoreScenario) -> None:
    """Neon answers every change with 423: another's operation, such as detach_parent_branch, takes 25 minutes."""
    for name in _CHANGES:
        setattr(restore.neon, name, raise_on_call(ProjectLocked(f"{name}: 423", 10)))


def neon_is_throttled(restore: RestoreScenario) -> None:
    for name in (*_CHANGES, *_LOOKS):
        setattr(restore.neon, name, raise_on_call(RetryLater(f"{name}: 503")))


def neon_is_down(restore: RestoreScenario) -> None:
    for name in (*_CHANGES, *_LOOKS):
        setattr(restore.neon, name, raise_on_call(ExternalServiceError(f"{name}: 500")))


def operations_never_end(restore: RestoreScenario) -> None:
    restore.neon._is_paused = True


SILENCES = (
    sql_never_answers, sql_is_refused, neon_is_locked, neon_is_throttled, neon_is_down, operations_never_end,
)  # fmt: skip


def run_until_move(restore: RestoreScenario, move: str) -> None:
    """Run until services stand at zero, and the move is due or was made last."""
    for _ in range(200):
        progress = restore.progress_if_started
        if progress is not None and progress.fence.stopped_at is not None and (move == FENCE or move in progress.moves):
            return
        restore.run_round()
    raise AssertionError(f"never came to {move}: {restore.progress_if_started}")


def measure_time_at_zero(restore: RestoreScenario) -> timedelta:
    """Measure the database's share of the time at zero: from all tasks stopped to the end of its part."""
    assert restore.progress.fence.stopped_at is not None
    restore.run_until_ended()
    end_time = restore.progress.ended_at
    assert end_time is not None
    return end_time - restore.progress.fence.stopped_at


RESTORES = (
    FENCE,
    RestoreMove.CREATE_PREVIEW,
    RestoreMove.CHECK_PREVIEW,
    RestoreMove.DELETE_PREVIEW,
    RestoreMove.UNPROTECT,
)
REVERSIBLE = (
    *((RestoreScenario, move) for move in RESTORES),
    *((kind, move) for kind in (ResetScenario, UndoScenario) for move in (FENCE, RestoreMove.UNPROTECT)),
    *((RecreateScenario, FENCE),),
    *((RecreateScenario, move) for move in (RecreateMove.RENAME_OLD, RecreateMove.CREATE_NEW, RecreateMove.CHECK_NEW)),
    *((DownMigrationsScenario, move) for move in (FENCE, DownMigrationMove.CREATE_BACKUP)),
)  # fmt: skip


def is_irreversible_without_neon(kind: type[RestoreScenario], silence: Callable[[RestoreScenario], None]) -> bool:
    """A renamed branch is renamed back first. Without Neon that is impossible, and services would find no branch."""
    return kind is RecreateScenario and silence not in (sql_never_answers, sql_is_refused)


@pytest.mark.parametrize("silence", SILENCES, ids=lambda silence: silence.__name__)
@pytest.mark.parametrize(("kind", "move"), REVERSIBLE, ids=lambda value: getattr(value, "__name__", str(value)))
def test_services_start_again_if_the_data_is_unchanged_although_neon_or_postgres_never_answers(
    kind: type[RestoreScenario], move: str, silence: Callable[[RestoreScenario], None]
) -> None:
    scenario = kind()
    rows = scenario.neon.rows(scenario.branch_id)
    run_until_move(scenario, move)
    silence(scenario)
    time_at_zero = measure_time_at_zero(scenario)
    if scenario.progress.database_outcome is DatabaseOutcome.RESTORED or is_accepted(
        scenario
    ):  # the change succeeded without the silent party
        return
    assert scenario.neon.rows(scenario.branch_id) == rows
    if scenario.progress.database_outcome is DatabaseOutcome.FAILED:
        assert is_irreversible_without_neon(kind, silence), scenario.progress.why_not
        return
    assert not scenario.progress.may_succeed_later, "the janitor would stop services again and again"
    assert time_at_zero <= _MAX_AT_ZERO, f"{time_at_zero}: {scenario.progress.why_not}"
    scenario.neon.settle()
    neon_answers_again(scenario)
    scenario.unfence(Outcome.REFUSED)
    assert scenario.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def is_accepted(scenario: RestoreScenario) -> bool:
    """Whether Neon accepted the restore, so that the data changed."""
    progress = scenario.progress
    return isinstance(progress, OverwriteProgress) and progress.restore_answered_at is not None


def neon_answers_again(scenario: RestoreScenario) -> None:
    """Protection is an obligation: services don't wait for it, and it is restored when Neon answers."""
    for name in (*_CHANGES, *_LOOKS):
        scenario.neon.__dict__.pop(name, None)
    scenario.neon._is_paused = False
    scenario.neon.settle()


@pytest.mark.parametrize("silence", SILENCES, ids=lambda silence: silence.__name__)
@pytest.mark.parametrize("kind", [RestoreScenario, ResetScenario, UndoScenario])
def test_every_wait_after_the_overwrite_of_the_data_ends(
    kind: type[RestoreScenario], silence: Callable[[RestoreScenario], None]
) -> None:
    scenario = kind()
    while scenario.progress_if_started is None or scenario.progress_if_started.backup_id is None:
        scenario.run_round()
    silence(scenario)
    time_at_zero = measure_time_at_zero(scenario)
    assert time_at_zero <= timedelta(minutes=27)  # restore_timeout_minutes, cleanup_timeout_minutes, and the polls
    if silence is sql_is_refused:  # an operator has to act, so a longer wait is useless
        assert time_at_zero <= timedelta(minutes=8)
    assert scenario.progress.database_outcome in (DatabaseOutcome.RESTORED, DatabaseOutcome.FAILED)


@pytest.mark.parametrize("kind", [RestoreScenario, ResetScenario, UndoScenario])
def test_a_database_that_never_answers_before_the_fence_stops_nothing(kind: type[RestoreScenario]) -> None:
    scenario = kind()
    sql_never_answers(scenario)
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "nothing was changed" in (scenario.progress.why_not or "")
    assert scenario.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
    assert scenario.open_obligations() == ()


@pytest.mark.parametrize(
    "kind", [RestoreScenario, ResetScenario, UndoScenario, RecreateScenario, DownMigrationsScenario]
)
def test_a_database_that_refuses_the_connection_is_refused_at_once_before_the_fence(
    kind: type[RestoreScenario],
) -> None:
    scenario = kind()
    sql_is_refused(scenario)
    began = scenario.clock.now()
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "database-answers: password authentication failed" in (scenario.progress.why_not or "")
    assert scenario.clock.now() - began < timedelta(minutes=1)
    assert scenario.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
    assert scenario.open_obligations() == ()
    assert scenario.neon.calls == []


def test_the_restored_data_is_served_although_neon_never_allows_the_protection_of_the_branch() -> None:
    restore = RestoreScenario()
    while restore.progress_if_started is None or restore.progress_if_started.backup_id is None:
        restore.run_round()
    neon_is_locked(restore)
    began = restore.clock.now()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.clock.now() - began < timedelta(minutes=3)
    assert any("could not be protected again" in note for note in restore.progress.notes)
    neon_answers_again(restore)
    restore.ports = replace(restore.ports, neon=restore.neon)
    restore.unfence(Outcome.SUCCEEDED)
    assert restore.branch.protected
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
