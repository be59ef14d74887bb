"""Decide whether Neon accepted the restore that we requested, from the traces that a restore leaves.

Neon makes the backup under a name that follows from the rollback's id, and refuses a name that is taken. So a backup of
that name proves our restore. No document says whether a restore of a branch to its own past sets `last_reset_at`.

An operator may have made a branch of that name. Such a branch has the restored branch as its parent. The backup of a
root is a root (https://neon.com/docs/introduction/branch-restore), which no operator can make.
"""

from rollback.domain.database.progress import OverwriteProgress
from rollback.resources.database.neon import Branch


def is_accepted(progress: OverwriteProgress, branch: Branch | None, backup: Branch | None, *, has_begun: bool) -> bool:
    """Whether the backup is that of our restore.

    Args:
        progress: the progress of the restore.
        branch: the branch as it is now; None: there is none.
        backup: the branch with the backup's name; None: there is none.
        has_begun: Neon's operations show that the branch got new storage since the request.
    """
    if (
        backup is None
        or branch is None
        or progress.data_change_announced_at is None
        or is_made_by_operator(backup, branch)
    ):
        return False
    if progress.before.parent_id is None and backup.is_root:
        return True
    return progress.restore_answered_at is not None or progress.before.is_reset(branch) or has_begun


def is_made_by_operator(backup: Branch, branch: Branch) -> bool:
    """Whether a branch with the backup's name has the branch as its parent. No restore leaves such a backup."""
    return backup.parent_id == branch.id


def is_restore_request_lost(
    progress: OverwriteProgress, branch: Branch, backup: Branch | None, *, has_begun: bool
) -> bool:
    """Whether a requested restore left no trace: its request was lost, and not only the answer."""
    if progress.restore_answered_at is not None or has_begun or progress.before.is_reset(branch):
        return False
    return backup is None or is_made_by_operator(backup, branch)
