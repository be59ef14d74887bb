"""What Neon says of a restore now, and what that tells of what we asked for: a lost answer is found here."""

from datetime import datetime, timedelta
from typing import Literal

from rollback.model.database_move import DatabaseSnapshot
from rollback.model.database_progress import BranchBefore, DatabaseProgress, backup_name, preview_name
from rollback.model.database_view import Branch, Operation
from rollback.model.rollback import ObligationKind, Rollback
from rollback.steps.put_back import settle
from rollback.steps.restoring import Restoring

_CLOCKS_DIFFER_BY = timedelta(minutes=1)


def look(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, now: datetime) -> DatabaseSnapshot:
    """The branch, its preview and its backup, and the operations on them."""
    databases, target = restoring.databases, restoring.target
    branch = databases.branch(target.branch_id)
    preview, backup = (databases.branch_named(named(rollback.id)) for named in (preview_name, backup_name))
    before = BranchBefore.of(branch, databases.endpoints(branch.id)) if branch is not None else None
    return DatabaseSnapshot(
        branch=branch,
        hosts=before.hosts if before is not None else (),
        preview=preview,
        backup=backup,
        operations=work_on(progress, (branch, preview, backup), restoring, now),
    )


def noticed(rollback: Rollback, progress: DatabaseProgress, seen: DatabaseSnapshot, now: datetime) -> Rollback:
    """With what came of our changes, whether or not their answers arrived."""
    if seen.preview is not None:
        progress = _with_preview(progress, seen.preview)
    was_reset = seen.branch is not None and progress.before.is_reset(seen.branch)
    if progress.backup_id is None and seen.backup is not None and was_reset:
        progress = progress.but(backup_id=seen.backup.id, accepted_at=now, intent=None)
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
    """Those whose ids we were told, and those of our branches: an answer that was lost named some."""
    ours = {branch.id for branch in branches if branch is not None} | {progress.preview_id, progress.branch_id}
    listed = {o.id: o for o in restoring.databases.operations_since(progress.started_at - _CLOCKS_DIFFER_BY)}
    ids = {*progress.operation_ids, *(o.id for o in listed.values() if o.branch_id in ours)}
    found = tuple(_as_it_stands(identity, listed.get(identity), restoring, now) for identity in sorted(ids))
    if not all(operation.is_over(now) for operation in found):
        return "running"
    return "failed" if any(operation.has_failed(now) for operation in found) else "succeeded"


def _as_it_stands(identity: str, listed: Operation | None, restoring: Restoring, now: datetime) -> Operation:
    if listed is not None and listed.is_over(now):
        return listed
    return restoring.databases.operation(identity)
