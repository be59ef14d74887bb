"""The changes that a restore or reset makes to a branch, each described for `rollback.database.changes.send`."""

from collections.abc import Callable
from datetime import timedelta

from rollback.database.changes.carry_sequences import carry_sequences
from rollback.database.changes.send import DatabaseChange, SendResult, operations_of
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.restore.next_action import RestoreMove, RestoreSnapshot
from rollback.domain.database.progress import (
    OverwriteProgress,
    ResetProgress,
    RestoreProgress,
    backup_name,
    preview_name,
)
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.ports.holders import HasClock
from rollback.resources.database.errors import NotFound, RequestRefused, RetryLater

KEEP_SOURCE = "keep_source_branch"
_UNPROTECTED_BRANCH = "the branch could not be protected again, and services were started without its protection: {}"
_UNPROTECTED_BACKUP = (
    "the backup {} could not be protected in time, so any address reaches it: protect the backup in Neon's console: {}"
)

OverwriteChange = DatabaseChange[OverwriteProgress]


def describe_change(
    rollback: Rollback,
    progress: OverwriteProgress,
    move: RestoreMove,
    snapshot: RestoreSnapshot,
    context: BranchContext,
    ports: HasClock,
) -> OverwriteChange:
    """Describe the change that a move makes."""
    neon, branch_settings, now = context.neon, context.settings, ports.clock.now()
    match move:
        case RestoreMove.CREATE_PREVIEW if isinstance(progress, RestoreProgress):
            create = _preview_creation(rollback, progress, context, ports)
            return DatabaseChange(
                move,
                create,
                obligations=_preview_obligations(rollback),
                tolerate_refusal=_create_without_expiry,
            )
        case RestoreMove.DELETE_PREVIEW if snapshot.preview is not None:
            preview_id = snapshot.preview.id
            return DatabaseChange(move, lambda: (operations_of(neon.delete_branch(preview_id)), {}))
        case RestoreMove.RESTORE:
            return DatabaseChange(
                move,
                _restore_call(rollback, progress, context, ports),
                announced={"data_change_announced_at": now},
                unsent={"data_change_announced_at": None},
            )
        case RestoreMove.UNPROTECT:
            recorded_value = {"branch_id": branch_settings.branch_id, "protected": True}
            return DatabaseChange(
                move,
                lambda: (neon.update_branch(branch_settings.branch_id, protected=False).operations, {}),
                obligations=(Obligation(kind=ObligationKind.BRANCH_PROTECTION, before=recorded_value),),
            )
        case RestoreMove.PROTECT_AGAIN:

            def defer(current_progress: OverwriteProgress, later: RetryLater) -> OverwriteProgress:
                return (
                    _defer_protection(current_progress, str(later))
                    if _waited_long(current_progress, context, ports)
                    else current_progress
                )

            return DatabaseChange(
                move,
                lambda: (neon.update_branch(branch_settings.branch_id, protected=True).operations, {}),
                tolerate_refusal=lambda current_progress, refused: _defer_protection(current_progress, str(refused)),
                after_retry_later=defer,
            )
        case RestoreMove.PROTECT_BACKUP if snapshot.backup is not None:
            backup_id = snapshot.backup.id

            def leave_open(current_progress: OverwriteProgress, later: RetryLater) -> OverwriteProgress:
                note = _UNPROTECTED_BACKUP.format(backup_id, later)
                return (
                    _settle_backup(current_progress, note)
                    if _waited_long(current_progress, context, ports)
                    else current_progress
                )

            return DatabaseChange(
                move,
                lambda: (neon.update_branch(backup_id, protected=True).operations, {}),
                tolerate_refusal=_leave_backup_unprotected,
                after_retry_later=leave_open,
            )
        case RestoreMove.CARRY_SEQUENCES:
            return DatabaseChange(move, lambda: ((), carry_sequences(progress, context, now)), is_repeatable=True)
        case _:
            raise NotFound(f"{move}: the branch that it is about was deleted a moment ago")


def _preview_obligations(rollback: Rollback) -> tuple[Obligation, ...]:
    """Oblige a drill to delete its preview. Another rollback's is left to its expiry: its branch matters more."""
    if not rollback.is_drill:
        return ()
    return (Obligation(kind=ObligationKind.PREVIEW_BRANCH, before={"name": preview_name(rollback.id)}),)


def describe_source_keeping(progress: ResetProgress, context: BranchContext) -> DatabaseChange[ResetProgress]:
    """Describe how a reset's source is kept: a backup of ours becomes the branch's parent, and must not expire."""

    def go_on(current_progress: ResetProgress, refused: CallRefused) -> ResetProgress:
        note = f"backup {current_progress.source_branch_id} may expire, though it is the branch's parent now: {refused}"
        return current_progress.add_note(note).evolve(is_source_kept=True)

    return DatabaseChange(
        KEEP_SOURCE,
        lambda: (context.neon.expire_branch(progress.source_branch_id, None).operations, {}),
        tolerate_refusal=go_on,
    )


def _preview_creation(
    rollback: Rollback, progress: RestoreProgress, context: BranchContext, ports: HasClock
) -> Callable[[], SendResult]:
    def create() -> SendResult:
        branch_settings = context.settings
        at = progress.point.lsn or progress.point.at
        expires_at = (
            None if progress.expiry_refusal else ports.clock.now() + timedelta(hours=branch_settings.preview_hours)
        )
        change = context.neon.create_branch(
            preview_name(rollback.id), branch_settings.branch_id, at, with_endpoint=True, expires_at=expires_at
        )
        return change.operations, {}

    return create


def _restore_call(
    rollback: Rollback, progress: OverwriteProgress, context: BranchContext, ports: HasClock
) -> Callable[[], SendResult]:
    def restore() -> SendResult:
        branch_id = context.settings.branch_id
        source = progress.source_branch_id if isinstance(progress, ResetProgress) else branch_id
        lsn = progress.preview_lsn if isinstance(progress, RestoreProgress) else None
        change = context.neon.restore(branch_id, source, lsn, backup_name(rollback.id))
        return change.operations, {"restore_answered_at": ports.clock.now()}

    return restore


def _create_without_expiry(progress: OverwriteProgress, refused: CallRefused) -> OverwriteProgress | None:
    """Make the preview without `expires_at`, once: branches with the Data API don't expire.

    Source: https://neon.com/docs/guides/branch-expiration. Neon may have refused for another reason; then it refuses
        the second request too.
    """
    if not isinstance(progress, RestoreProgress) or not isinstance(refused, RequestRefused):
        return None
    return None if progress.expiry_refusal is not None else progress.evolve(expiry_refusal=str(refused))


def _leave_backup_unprotected(progress: OverwriteProgress, refused: CallRefused) -> OverwriteProgress:
    """Go on without the backup's protection: Neon's plan limits the number of protected branches."""
    note = (
        f"the backup {progress.backup_id} could not be protected, so any address reaches it: protect the backup, or "
        f"delete its compute, in Neon's console: {refused}"
    )
    return _settle_backup(progress, note)


def _settle_backup(progress: OverwriteProgress, note: str) -> OverwriteProgress:
    return progress.add_note(note).evolve(is_backup_protection_settled=True)


def _defer_protection(progress: OverwriteProgress, reason: str) -> OverwriteProgress:
    """Leave the branch's protection to Conclude: the data is as planned, and no service waits at zero for it."""
    return progress.evolve(is_protection_deferred=True).add_note(_UNPROTECTED_BRANCH.format(reason))


def _waited_long(progress: OverwriteProgress, context: BranchContext, ports: HasClock) -> bool:
    limit = timedelta(seconds=context.settings.protect_timeout_seconds)
    return progress.moved_at is not None and ports.clock.now() - progress.moved_at >= limit
