"""Observe the branches of a restore or reset, and find out which of our changes were made, answered or not."""

from datetime import datetime
from typing import Literal

from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.own_operations import (
    MAX_CLOCK_SKEW,
    find_own_operation_ids,
    has_restore_evidence,
    is_blocking,
)
from rollback.database.restore.next_action import RestoreSnapshot, is_accepted
from rollback.domain.database.progress import (
    DatabaseProgress,
    OriginalBranch,
    OverwriteProgress,
    RestoreProgress,
    backup_name,
    preview_name,
)
from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Rollback
from rollback.resources.database.neon import Branch, Operation


def take_snapshot(
    rollback: Rollback, progress: OverwriteProgress, context: BranchContext, now: datetime
) -> RestoreSnapshot:
    """Observe the branch, its preview and its backup, and the operations on them."""
    neon, branch_settings = context.neon, context.settings
    branch = neon.branch(branch_settings.branch_id)
    preview, backup = (neon.branch_named(name_of(rollback.id)) for name_of in (preview_name, backup_name))
    current_branch = OriginalBranch.of(branch, neon.endpoints(branch.id)) if branch is not None else None
    operations = neon.operations_since(progress.started_at - MAX_CLOCK_SKEW)
    return RestoreSnapshot(
        branch=branch,
        hosts=current_branch.hosts if current_branch is not None else (),
        preview=preview,
        backup=backup,
        operations=_status_of_operations(progress, (branch, preview, backup), operations, context, now),
        restore_began=has_restore_evidence(operations, branch_settings.branch_id, progress.data_change_announced_at),
    )


def apply_observation(
    rollback: Rollback, progress: OverwriteProgress, snapshot: RestoreSnapshot, now: datetime
) -> tuple[Rollback, OverwriteProgress]:
    """Record which of our changes were carried out, whether or not their answers arrived."""
    if snapshot.preview is not None and isinstance(progress, RestoreProgress):
        progress = _apply_preview(progress, snapshot.preview)
    has_accepted = is_accepted(progress, snapshot.branch, snapshot.backup, has_begun=snapshot.restore_began)
    if progress.backup_id is None and snapshot.backup is not None and has_accepted:
        announced_at = (
            progress.data_change_announced_at if progress.restore_answered_at is None else progress.confirmed_since
        )
        progress = progress.evolve(
            backup_id=snapshot.backup.id, accepted_at=now, intent=None, confirmed_since=announced_at
        )
    rollback = rollback.evolve(database=progress)
    is_over = progress.backup_id is not None or progress.why_not is not None
    if is_over and snapshot.branch is not None and snapshot.branch.protected:
        for obligation in rollback.open_obligations():
            if obligation.kind is ObligationKind.BRANCH_PROTECTION:
                rollback = rollback.discharge(obligation, now)
    return rollback, progress


def _apply_preview(progress: RestoreProgress, preview: Branch) -> RestoreProgress:
    progress = progress.evolve(preview_id=preview.id)
    if progress.expiry_refusal is None or preview.expires_at is not None:
        return progress
    return progress.add_note(
        f"the preview {preview.name} was created without expires_at, and is deleted after its check: "
        f"{progress.expiry_refusal}"
    )


def operation_status(
    progress: DatabaseProgress, branches: tuple[Branch | None, ...], context: BranchContext, now: datetime
) -> Literal["running", "succeeded", "failed"]:
    """Return the status of the operations of our own changes (`rollback.database.preflight.own_operations`)."""
    operations = context.neon.operations_since(progress.started_at - MAX_CLOCK_SKEW)
    return _status_of_operations(progress, branches, operations, context, now)


def _status_of_operations(
    progress: DatabaseProgress,
    branches: tuple[Branch | None, ...],
    operations: tuple[Operation, ...],
    context: BranchContext,
    now: datetime,
) -> Literal["running", "succeeded", "failed"]:
    existing = [branch for branch in branches if branch is not None]
    preview_id = progress.preview_id if isinstance(progress, RestoreProgress) else None
    branch_ids = {branch.id for branch in existing} | {progress.before.id, preview_id, progress.current_branch_id}
    by_id = {operation.id: operation for operation in operations}
    ids = sorted(find_own_operation_ids(progress, operations, branch_ids))
    own_operations = [_refresh_operation(identity, by_id.get(identity), context, now) for identity in ids]
    if any(is_blocking(operation, existing, now) for operation in own_operations if not operation.is_over(now)):
        return "running"
    return "failed" if any(operation.has_failed(now) for operation in own_operations) else "succeeded"


def _refresh_operation(
    identity: str, listed_operation: Operation | None, context: BranchContext, now: datetime
) -> Operation:
    if listed_operation is not None and listed_operation.is_over(now):
        return listed_operation
    return context.neon.operation(identity)
