"""Whether Neon accepted the restore that we asked for, told from what it leaves.

The backup is made by Neon under a name that follows from the rollback's id, and Neon refuses a name that is taken. So a
backup of that name tells of our restore, whether or not `last_reset_at` is set by a restore of a branch to its own past
(no document says so). A person may have made a branch of that name: such a branch has the restored branch as its
parent, while the backup of a root is a root (https://neon.com/docs/introduction/branch-restore), which no person can
make.
"""

from rollback.domain.database.progress import OverwriteProgress
from rollback.resources.database.neon import Branch


def is_accepted(progress: OverwriteProgress, branch: Branch | None, backup: Branch | None, *, has_begun: bool) -> bool:
    """Whether the backup is that of our restore.

    Args:
        has_begun: operations tell that the branch got new storage since we asked.
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
    """Whether a branch with the backup's name was made from the branch itself, as no restore does it."""
    return backup.parent_id == branch.id


def is_restore_request_lost(
    progress: OverwriteProgress, branch: Branch, backup: Branch | None, *, has_begun: bool
) -> bool:
    """Whether nothing at all tells of the restore that was asked for: what was lost is the request, not its answer."""
    if progress.restore_answered_at is not None or has_begun or progress.before.is_reset(branch):
        return False
    return backup is None or is_made_by_operator(backup, branch)
