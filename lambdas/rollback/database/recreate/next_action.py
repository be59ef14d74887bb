"""Decide the next move of a recreate from both branches and the connection secret.

The old branch is renamed, never deleted. Its data is the backup, and its compute goes on answering under the old host.
So until the secret names the new branch, everything can be reverted: the new branch is deleted, the old one renamed.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rollback.domain.database.progress import RecreateProgress
from rollback.resources.database.neon import Branch


class RecreateMove(StrEnum):
    """The moves of a recreate. `RECREATE_CHANGES` lists those that change something."""

    WAIT_FOR_OPERATIONS = "wait_for_operations"
    RENAME_OLD = "rename_old_branch"
    CREATE_NEW = "create_new_branch"
    CHECK_NEW = "check_new_branch"
    WRITE_SECRET = "write_connection_secret"  # noqa: S105 - the name of a move
    WAIT_FOR_SECRET = "wait_for_connection_secret"  # noqa: S105
    WAIT_FOR_ANSWER = "wait_for_answer"  # a late request must not arrive after the change was reverted
    EXPIRE_OLD = "let_old_branch_expire"
    DONE = "done"
    DELETE_NEW = "delete_new_branch"
    RENAME_BACK = "rename_old_branch_back"
    END = "end"  # given up, and cleaned up


RECREATE_CHANGES = frozenset(
    {
        RecreateMove.RENAME_OLD,
        RecreateMove.CREATE_NEW,
        RecreateMove.WRITE_SECRET,
        RecreateMove.EXPIRE_OLD,
        RecreateMove.DELETE_NEW,
        RecreateMove.RENAME_BACK,
    }
)
_REVERTING = frozenset({RecreateMove.DELETE_NEW, RecreateMove.RENAME_BACK, RecreateMove.END})


class RecreateSnapshot(BaseModel):
    """The two branches and the secret as they are now.

    Attributes:
        old: the branch that the recreate began with, whatever it is called now.
        named: another branch that has its name.
        addressed_branch: the branch whose address the services' secret has; `none`: no secret is set.
        operations: status of our own operations on both branches.
        is_change_under_way: an announced change may still reach Neon.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    old: Branch | None
    named: Branch | None = None
    addressed_branch: Literal["none", "old", "new", "unknown"] = "none"
    operations: Literal["running", "succeeded", "failed"] = "succeeded"
    is_change_under_way: bool = False

    @property
    def is_stuck(self) -> bool:
        """Whether Neon failed to create the new branch."""
        return self.named is not None and not self.named.is_ready and self.operations == "failed"

    @property
    def is_busy(self) -> bool:
        """Whether Neon would refuse changes now."""
        has_unready_branch = any(branch is not None and not branch.is_ready for branch in (self.old, self.named))
        return self.operations == "running" or (has_unready_branch and not self.is_stuck)

    def is_complete(self, progress: RecreateProgress) -> bool:
        """Whether the new branch is in its place, and the secret has its address."""
        is_own_branch = self.named is not None and self.named.id == progress.branch_id
        return is_own_branch and progress.verified_at is not None and self.addressed_branch in ("none", "new")


def next_recreate_move(
    snapshot: RecreateSnapshot, progress: RecreateProgress, backup: str, expires_at: datetime | None
) -> RecreateMove:
    """Decide the next move; the same again when nothing changed in between.

    Args:
        snapshot: both branches and the secret as they are now.
        progress: the progress of the recreate.
        backup: the old branch's new name.
        expires_at: when the old branch is to be gone; None: never.
    """
    if snapshot.is_busy:
        return RecreateMove.WAIT_FOR_OPERATIONS
    if progress.why_not is not None or snapshot.old is None:
        return _clean_up_once_answered(snapshot, progress, backup)
    if snapshot.named is None:
        return RecreateMove.CREATE_NEW if snapshot.old.name == backup else RecreateMove.RENAME_OLD
    if progress.verified_at is None:
        return RecreateMove.CHECK_NEW
    if snapshot.addressed_branch in ("old", "unknown"):
        return RecreateMove.WRITE_SECRET if snapshot.addressed_branch == "old" else RecreateMove.WAIT_FOR_SECRET
    is_expiry_set = progress.is_expiry_settled or snapshot.old.expires_at == expires_at
    return RecreateMove.DONE if is_expiry_set else RecreateMove.EXPIRE_OLD


def find_recreate_objection(snapshot: RecreateSnapshot, progress: RecreateProgress, backup: str) -> str | None:
    """Return why the recreate can't succeed any more; None: it may go on."""
    name = progress.before.name
    if snapshot.old is None:
        return (
            f"the old branch {name} is gone: see in Neon's console who deleted it; Neon can recover it for seven days"
        )
    if snapshot.old.name not in (name, backup):
        return (
            f"branch {name} was renamed to {snapshot.old.name} during the rollback: rename the branch back to {name}, "
            "and start again"
        )
    if snapshot.named is not None and snapshot.named.id != progress.branch_id:
        return (
            f"another branch {name} ({snapshot.named.id}) was created during the rollback: delete one of the two in "
            "Neon's console"
        )
    if snapshot.named is None and progress.branch_id is not None:
        return (
            f"the new branch {name} ({progress.branch_id}) was deleted during the rollback: find in Neon's console who "
            "deleted the branch"
        )
    if snapshot.is_stuck:
        return f"an operation of Neon failed and is not retried: the new branch {name} did not get ready"
    failed_checks = progress.failed_checks()
    if failed_checks:
        return f"the new branch can't be used: {'; '.join(f'{check.name}: {check.reason}' for check in failed_checks)}"
    return None


def _clean_up_once_answered(snapshot: RecreateSnapshot, progress: RecreateProgress, backup: str) -> RecreateMove:
    action = _clean_up(snapshot, progress, backup)
    is_reverting = progress.intent is not None and progress.intent.action in _REVERTING
    must_wait = action in _REVERTING and snapshot.is_change_under_way and not is_reverting
    return RecreateMove.WAIT_FOR_ANSWER if must_wait else action


def _clean_up(snapshot: RecreateSnapshot, progress: RecreateProgress, backup: str) -> RecreateMove:
    """Decide the move that reverts everything, unless the secret may name the new branch already."""
    if snapshot.is_complete(progress):
        return RecreateMove.DONE
    if snapshot.addressed_branch == "unknown" and progress.is_redeploy_needed:
        return RecreateMove.WAIT_FOR_SECRET
    if snapshot.addressed_branch == "new" or snapshot.old is None:
        return RecreateMove.END
    if snapshot.named is not None:
        return RecreateMove.DELETE_NEW if snapshot.named.id == progress.branch_id else RecreateMove.END
    return RecreateMove.RENAME_BACK if snapshot.old.name == backup else RecreateMove.END
