"""Ask Neon, before a rollback concludes, whether its last announced change of the database was made.

An abort, a crash or a lost lease may come between a call to Neon and the observation of its effect. Each strategy
observes its own change. Nothing is changed here (decision 18).
"""

from datetime import datetime, timedelta
from typing import assert_never

from rollback.database.changes.reconcile import outcome_after_failure
from rollback.database.down_migrations import observe as down_migrations
from rollback.database.down_migrations.next_action import build_commands, find_running_command
from rollback.database.ports import UnsettledChangePorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.recreate import observe as observe_recreate
from rollback.database.restore import observe as observe_restore
from rollback.database.restore.next_action import RestoreSnapshot
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import (
    DatabaseOutcome,
    DatabaseProgress,
    DeletionProgress,
    DownMigrationProgress,
    OverwriteProgress,
    RecreateProgress,
    RefusedProgress,
    ResetProgress,
    RestoreProgress,
    StoredDatabaseProgress,
    backup_name,
)
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.intents.announce import change_deadline
from rollback.ports.holders import HasClock, HasSettings

_REASON = "the rollback ended before its database step finished"


class _NotAnsweredYet(Exception):
    """Neon can't answer yet; the text names the missing event."""


def resolve_database_change(
    rollback: Rollback, progress: StoredDatabaseProgress, ports: UnsettledChangePorts
) -> Rollback:
    """Observe once. An answer ends the database step. Without an answer in time, the record gets `unknown_reason`.

    Args:
        rollback: the document.
        progress: its progress of the database, with an announced change.
        ports: access to the ledger, and the settings.
    """
    planned, settings = rollback.plan.database if rollback.plan is not None else None, ports.settings.database
    now, poll = ports.clock.now(), ports.settings.policy.poll_seconds
    if planned is None or settings is None:
        return _save_change_outcome(
            rollback, progress.evolve(unknown_reason="the settings no longer have a database"), now
        )
    branch_settings = BranchSettings.of(ports.settings, progress.before.id or planned.branch)
    context = BranchContext(settings=branch_settings, neon=ports.neon, sql=ports.sql)
    if now < _change_deadline(progress, context, ports):
        return rollback.evolve(wait_seconds=poll)
    try:
        failed_progress = progress.mark_failed(_REASON, now)
        rollback_and_progress = _observe_branch(rollback, failed_progress, planned, settings, context, ports)
        return _save_change_outcome(*rollback_and_progress, now)
    except (ExternalServiceError, InvalidRequest, _NotAnsweredYet) as failure:
        may_answer_later = not isinstance(failure, CallRefused)
        if may_answer_later and not _is_out_of_time(rollback, now, ports):
            return rollback.evolve(wait_seconds=poll)
        return _save_change_outcome(
            rollback, progress.evolve(unknown_reason=str(failure) or type(failure).__name__), now
        )


def _is_out_of_time(rollback: Rollback, now: datetime, ports: HasSettings) -> bool:
    """Whether half of the time to conclude is over: the other half is for discharging obligations."""
    since = rollback.conclusion_started_at or now
    return now - since > timedelta(minutes=ports.settings.policy.conclude_timeout_minutes / 2)


def _change_deadline(progress: DatabaseProgress, context: BranchContext, ports: HasSettings) -> datetime:
    """The time after which the last announced change can no longer take effect."""
    if progress.intent is None:
        return progress.started_at
    return change_deadline(progress.intent.last_sent_at, context.settings.lost_answer_seconds, ports)


def _save_change_outcome(rollback: Rollback, progress: DatabaseProgress, now: datetime) -> Rollback:
    """Record the outcome of the change, and report again: the last report said that Neon was still being asked."""
    progress = progress.mark_failed(_REASON, now)
    ended_progress = progress if progress.ended_at is not None else progress.ended(outcome_after_failure(progress), now)
    return rollback.evolve(
        database=ended_progress.evolve(last_change_checked_at=now), is_reported=False, wait_seconds=0
    )


def _observe_branch(
    rollback: Rollback,
    progress: StoredDatabaseProgress,
    planned: DatabasePlan,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: UnsettledChangePorts,
) -> tuple[Rollback, DatabaseProgress]:
    match progress:
        case RestoreProgress() | ResetProgress():
            return _observe_restore(rollback, progress, context, ports)
        case RecreateProgress():
            return rollback, _observe_recreate(rollback, progress, settings, context, ports)
        case DeletionProgress():
            return rollback, _observe_delete(progress, context, ports)
        case DownMigrationProgress():
            return rollback, _observe_down_migrations(rollback, progress, planned, settings, context, ports)
        case RefusedProgress():
            return rollback, progress
        case _:
            assert_never(progress)


def _observe_restore(
    rollback: Rollback, progress: OverwriteProgress, context: BranchContext, ports: HasClock
) -> tuple[Rollback, OverwriteProgress]:
    now = ports.clock.now()
    snapshot = observe_restore.take_snapshot(rollback, progress, context, now)
    _require_idle(busy=snapshot.operations == "running", operations="its operations on the branch")
    rollback, progress = observe_restore.apply_observation(rollback, progress, snapshot, now)
    if snapshot.preview is not None:
        has_expiry = snapshot.preview.expires_at is not None
        action = (
            "Neon deletes the branch when it expires"
            if has_expiry
            else "delete the branch in Neon's console, since it does not expire"
        )
        progress = progress.add_note(f"preview branch {snapshot.preview.name} was left over: {action}")
    is_backup_open = snapshot.backup is not None and not snapshot.backup.protected
    if is_backup_open and progress.is_ip_allow_protected_only and not progress.is_backup_protection_settled:
        name = backup_name(rollback.id)
        progress = progress.add_note(
            f"any address reaches {name}, since IP Allow covers protected branches only: protect the branch in Neon's "
            "console"
        )
    if progress.data_change_announced_at is not None and progress.backup_id is None:
        progress = _infer_unseen_restore(rollback, progress, snapshot)
    return rollback, progress


def _infer_unseen_restore(
    rollback: Rollback, progress: OverwriteProgress, snapshot: RestoreSnapshot
) -> OverwriteProgress:
    """Conclude that Neon did not accept the restore if there is neither a backup nor a reset of the branch.

    Raises:
        _NotAnsweredYet: the branch is gone, or only one of the two is there.
    """
    name = backup_name(rollback.id)
    if snapshot.branch is None:
        raise _NotAnsweredYet(f"branch {progress.before.name} is gone: see in Neon's console who deleted it")
    if progress.before.is_reset(snapshot.branch):
        raise _NotAnsweredYet(
            f"the branch was restored at {snapshot.branch.last_reset_at}, but there is no branch {name}"
        )
    if snapshot.backup is not None:
        raise _NotAnsweredYet(f"there is a branch {name}, but {progress.before.name} shows no restore")
    return progress.evolve(data_change_announced_at=None)


def _observe_recreate(
    rollback: Rollback,
    progress: RecreateProgress,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: UnsettledChangePorts,
) -> RecreateProgress:
    snapshot = observe_recreate.take_snapshot(progress, settings, context, ports)
    _require_idle(busy=snapshot.operations == "running", operations="its operations on the branches")
    progress = observe_recreate.apply_observation(rollback, progress, snapshot, context, ports)
    name, backup = progress.before.name, backup_name(rollback.id)
    if snapshot.old is None:
        raise _NotAnsweredYet(f"branch {name} is gone: see in Neon's console who deleted it")
    if progress.backup_id is not None and snapshot.named is None:
        return progress.add_note(
            f"no branch has the name {name} now: in Neon's console, rename {backup} back to {name}"
        )
    if progress.backup_id is not None and snapshot.named is not None:
        return progress.add_note(f"branch {name} is {snapshot.named.id} now, and {backup} has the former branch")
    return progress


def _observe_delete(progress: DeletionProgress, context: BranchContext, ports: HasClock) -> DeletionProgress:
    now, branch_id = ports.clock.now(), progress.before.id  # None: the branch was gone when the deletion began
    branch = context.neon.branch(branch_id) if branch_id is not None else None
    _require_idle(
        busy=observe_restore.operation_status(progress, (branch,), context, now) == "running",
        operations="its operation on the branch",
    )
    if branch is not None:
        return progress.evolve(data_change_announced_at=None)
    note = f"branch {progress.before.name} was deleted; Neon's console can recover it for seven days"
    return progress.add_note(note).ended(DatabaseOutcome.DELETED, now)


def _observe_down_migrations(
    rollback: Rollback,
    progress: DownMigrationProgress,
    planned: DatabasePlan,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: UnsettledChangePorts,
) -> DownMigrationProgress:
    snapshot = down_migrations.take_snapshot(rollback, progress, context, ports.clock.now())
    progress = down_migrations.apply_observation(
        rollback, progress, build_commands(settings, planned.migrations), ports
    )
    _require_idle(busy=snapshot.operations == "running", operations="its operations on the branch")
    running_command = find_running_command(progress)
    if running_command is not None:
        raise _NotAnsweredYet(f"the task of {running_command.name}, {running_command.arn}, is still running")
    if all(run.never_started for run in progress.ran):
        progress = progress.evolve(data_change_announced_at=None, backup_id=None)
        if snapshot.backup is not None:
            progress = progress.add_note(f"delete {snapshot.backup.name}: no command ran, so no data depends on it")
    return progress


def _require_idle(*, busy: bool, operations: str) -> None:
    if busy:
        raise _NotAnsweredYet(f"Neon has not ended {operations}")
