"""What Neon says of a restore now, and what that tells of what we asked for: a lost answer is found here."""

from datetime import datetime
from typing import Literal

from rollback.database.preflight.context import Restoring
from rollback.database.preflight.own_operations import CLOCKS_DIFFER_BY, is_waited_for, own_ids, tells_of_restore
from rollback.database.restore.acceptance import is_accepted
from rollback.database.restore.next_action import DatabaseSnapshot
from rollback.domain.database.progress import BranchBefore, DatabaseProgress, backup_name, preview_name
from rollback.domain.rollback import ObligationKind, Rollback, settle
from rollback.resources.database.neon import Branch, Operation


def look(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, now: datetime) -> DatabaseSnapshot:
    """The branch, its preview and its backup, and the operations on them."""
    databases, target = restoring.databases, restoring.target
    branch = databases.branch(target.branch_id)
    preview, backup = (databases.branch_named(named(rollback.id)) for named in (preview_name, backup_name))
    before = BranchBefore.of(branch, databases.endpoints(branch.id)) if branch is not None else None
    listed = databases.operations_since(progress.started_at - CLOCKS_DIFFER_BY)
    return DatabaseSnapshot(
        branch=branch,
        hosts=before.hosts if before is not None else (),
        preview=preview,
        backup=backup,
        operations=_state(progress, (branch, preview, backup), listed, restoring, now),
        restore_began=tells_of_restore(listed, target.branch_id, progress.restore_asked_at),
    )


def noticed(rollback: Rollback, progress: DatabaseProgress, seen: DatabaseSnapshot, now: datetime) -> Rollback:
    """With what came of our changes, whether or not their answers arrived."""
    if seen.preview is not None:
        progress = _with_preview(progress, seen.preview)
    accepted = is_accepted(progress, seen.branch, seen.backup, has_begun=seen.restore_began)
    if progress.backup_id is None and seen.backup is not None and accepted:
        lost = progress.restore_asked_at if progress.restore_answered_at is None else progress.adopted_since
        progress = progress.but(backup_id=seen.backup.id, accepted_at=now, intent=None, adopted_since=lost)
    rollback = rollback.but(database=progress)
    is_over = progress.backup_id is not None or progress.why_not is not None
    if is_over and seen.branch is not None and seen.branch.protected:
        for owed in rollback.open_obligations():
            if owed.kind is ObligationKind.BRANCH_PROTECTION:
                rollback = settle(rollback, owed, discharged_at=now)
    return rollback


def _with_preview(progress: DatabaseProgress, preview: Branch) -> DatabaseProgress:
    progress = progress.but(preview_id=preview.id)
    if progress.expiry_refused is None or preview.expires_at is not None:
        return progress
    return progress.noted(
        f"the preview {preview.name} was made without expires_at, it is deleted once it was looked at: "
        f"{progress.expiry_refused}"
    )


def work_on(
    progress: DatabaseProgress, branches: tuple[Branch | None, ...], restoring: Restoring, now: datetime
) -> Literal["running", "succeeded", "failed"]:
    """Our own changes' operations, told from other people's and Neon's own (`model.own_operations`)."""
    listed = restoring.databases.operations_since(progress.started_at - CLOCKS_DIFFER_BY)
    return _state(progress, branches, listed, restoring, now)


def _state(
    progress: DatabaseProgress,
    branches: tuple[Branch | None, ...],
    listed: tuple[Operation, ...],
    restoring: Restoring,
    now: datetime,
) -> Literal["running", "succeeded", "failed"]:
    there = [branch for branch in branches if branch is not None]
    ours = {branch.id for branch in there} | {progress.before.id, progress.preview_id, progress.branch_id}
    by_id = {operation.id: operation for operation in listed}
    ids = sorted(own_ids(progress, listed, ours))
    found = [_as_it_stands(identity, by_id.get(identity), restoring, now) for identity in ids]
    if any(is_waited_for(operation, there, now) for operation in found if not operation.is_over(now)):
        return "running"
    return "failed" if any(operation.has_failed(now) for operation in found) else "succeeded"


def _as_it_stands(identity: str, listed: Operation | None, restoring: Restoring, now: datetime) -> Operation:
    if listed is not None and listed.is_over(now):
        return listed
    return restoring.databases.operation(identity)
