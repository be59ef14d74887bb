"""Decide from Neon's description of the branches: the next move of a restore or reset, and whether Neon accepted it.

A restore has two phases. The restore point is checked on a preview branch first. Then the branch itself is restored to
exactly the LSN that was checked. A reset goes to another branch's head, and has no preview.

A restore keeps the branch's id, host and connection string. Its old state becomes the backup branch. Neon refuses to
restore a protected branch. A branch's children move to the backup, so the preview must be deleted before. Source:
https://neon.com/docs/introduction/branch-restore.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rollback.domain.database.progress import OverwriteProgress, RestoreProgress
from rollback.resources.database.neon import Branch


class RestoreMove(StrEnum):
    """The moves of a restore or reset. `RESTORE_CHANGES` lists those that change something."""

    WAIT_FOR_OPERATIONS = "wait_for_operations"
    CREATE_PREVIEW = "create_preview"
    CHECK_PREVIEW = "check_preview"
    READ_SEQUENCES = "read_sequences"  # their last values, behind the fence
    DELETE_PREVIEW = "delete_preview"
    UNPROTECT = "unprotect"
    RESTORE = "restore"  # Neon keeps the old state under the backup's name
    PROTECT_AGAIN = "protect_again"
    PROTECT_BACKUP = "protect_backup"  # if IP Allow needs it; after the branch, since plans allow few protected ones
    WAIT_FOR_ENDPOINT = "wait_for_endpoint"  # a connection wakes the compute up
    CARRY_SEQUENCES = "carry_sequences"  # new rows reuse no id of a removed row
    DONE = "done"
    END = "end"  # given up, and cleaned up


RESTORE_CHANGES = frozenset(
    {
        RestoreMove.CREATE_PREVIEW,
        RestoreMove.DELETE_PREVIEW,
        RestoreMove.UNPROTECT,
        RestoreMove.RESTORE,
        RestoreMove.PROTECT_AGAIN,
        RestoreMove.PROTECT_BACKUP,
        RestoreMove.CARRY_SEQUENCES,
    }
)

# These moves need a fence. All earlier ones are made while services run, which stand at zero for the restore alone.
MOVES_BEHIND_FENCE = frozenset({RestoreMove.READ_SEQUENCES, RestoreMove.UNPROTECT, RestoreMove.RESTORE})


class RestoreSnapshot(BaseModel):
    """Neon's description of the branches now. None: there is no such branch.

    Attributes:
        branch: the branch to restore.
        hosts: hosts of its computes.
        preview: the branch on which the restore point is checked.
        backup: the branch with the old state.
        operations: status of those operations of our own changes that must end first.
        restore_began: Neon's operations show that the branch got new storage since the restore was requested.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch | None
    hosts: tuple[str, ...] = ()
    preview: Branch | None = None
    backup: Branch | None = None
    operations: Literal["running", "succeeded", "failed"] = "succeeded"
    restore_began: bool = False

    @property
    def unready_branches(self) -> tuple[Branch, ...]:
        """The branches that Neon is still creating or changing."""
        return tuple(branch for branch in (self.branch, self.preview) if branch is not None and not branch.is_ready)

    @property
    def is_stuck(self) -> bool:
        """Whether Neon failed: an operation failed, and a branch is not ready."""
        return bool(self.unready_branches) and self.operations == "failed"

    @property
    def is_busy(self) -> bool:
        """Whether Neon would refuse changes now."""
        return self.operations == "running" or (bool(self.unready_branches) and not self.is_stuck)


def next_restore_move(
    snapshot: RestoreSnapshot, progress: OverwriteProgress, *, carries_sequences: bool = False
) -> RestoreMove:
    """Decide the next move; the same again when nothing changed in between.

    Args:
        snapshot: the branches as they are now.
        progress: the progress of the restore or reset.
        carries_sequences: whether sequences continue behind the values of removed rows, a setting.
    """
    if snapshot.is_busy:
        return RestoreMove.WAIT_FOR_OPERATIONS
    if progress.why_not is not None or snapshot.branch is None:
        return _clean_up(snapshot, progress)
    if progress.backup_id is not None:
        return _settle(snapshot, progress)
    if isinstance(progress, RestoreProgress) and progress.preview_lsn is None:
        return RestoreMove.CREATE_PREVIEW if snapshot.preview is None else RestoreMove.CHECK_PREVIEW
    has_trace = snapshot.backup is not None or progress.before.is_reset(snapshot.branch)
    if snapshot.preview is not None:
        return RestoreMove.DELETE_PREVIEW
    if carries_sequences and _are_sequences_to_read(progress) and not has_trace:
        return RestoreMove.READ_SEQUENCES
    if has_trace:
        return RestoreMove.WAIT_FOR_OPERATIONS  # accepted, though not all traces are there yet: never sent twice
    return RestoreMove.UNPROTECT if snapshot.branch.protected else RestoreMove.RESTORE


def next_rehearsal_move(snapshot: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
    """Decide the next move of a drill: that of a restore before its fence, then the end. The branch never changes."""
    if snapshot.is_busy:
        return RestoreMove.WAIT_FOR_OPERATIONS
    if progress.why_not is not None or snapshot.branch is None:
        return RestoreMove.DELETE_PREVIEW if snapshot.preview is not None else RestoreMove.END
    if isinstance(progress, RestoreProgress) and progress.preview_lsn is None:
        return RestoreMove.CREATE_PREVIEW if snapshot.preview is None else RestoreMove.CHECK_PREVIEW
    return RestoreMove.DELETE_PREVIEW if snapshot.preview is not None else RestoreMove.DONE


def _are_sequences_to_read(progress: OverwriteProgress) -> bool:
    """Whether to read sequences. An announced restore may have taken them back, so only a second reading follows."""
    if progress.data_change_announced_at is not None:
        return progress.is_sequence_reread_needed
    return progress.sequences is None


def find_restore_objection(snapshot: RestoreSnapshot, progress: OverwriteProgress) -> str | None:
    """Return why the restore or reset can't succeed any more; None: it may go on."""
    name = progress.before.name
    if snapshot.branch is None:
        return f"branch {name} is gone: see in Neon's console who deleted it; Neon can recover it for seven days"
    is_restore_announced = progress.data_change_announced_at is not None or progress.backup_id is not None
    if not is_restore_announced and progress.before.is_reset(snapshot.branch):
        reset_at = snapshot.branch.last_reset_at
        return f"branch {name} was restored at {reset_at}, and not by this rollback: check its data in Neon's console"
    if (
        snapshot.backup is not None
        and progress.backup_id is None
        and is_made_by_operator(snapshot.backup, snapshot.branch)
    ):
        return f"there is a branch {snapshot.backup.name} that no rollback created: rename that branch, and start again"
    if not is_restore_announced and isinstance(progress, RestoreProgress) and progress.is_on_another_timeline:
        return f"branch {name} is on another timeline than the restore point: another restore replaced its data"
    if snapshot.is_stuck:
        unready_branches = ", ".join(f"{branch.name} is {branch.current_state}" for branch in snapshot.unready_branches)
        return f"an operation of Neon failed and is not retried: {unready_branches}; ask Neon's support"
    failed_checks = progress.failed_checks()
    if failed_checks:
        return (
            f"the restore point can't be used: {'; '.join(f'{check.name}: {check.reason}' for check in failed_checks)}"
        )
    if progress.backup_id is not None and snapshot.hosts != progress.before.hosts:
        return f"the hosts of {name} were {progress.before.hosts} and are {snapshot.hosts}: services can't connect"
    return None


def is_accepted(progress: OverwriteProgress, branch: Branch | None, backup: Branch | None, *, has_begun: bool) -> bool:
    """Whether Neon accepted the restore that we requested, by the traces that a restore leaves.

    Neon makes the backup under a name that follows from the rollback's id, and refuses a name that is taken. So a
    backup of that name proves our restore. No document says whether a restore of a branch to its own past sets
    `last_reset_at`.

    An operator may have made a branch of that name. Such a branch has the restored branch as its parent. The backup of
    a root is a root (https://neon.com/docs/introduction/branch-restore). The only root that an operator can add is a
    schema-only branch (https://neon.com/docs/guides/branching-schema-only); docs/assumptions.md has that case.

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


def _settle(snapshot: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
    """Decide the move after the restore: protection, SQL's answer, sequences."""
    protection = _protection(snapshot, progress)
    if protection is not None:
        return protection
    if progress.verified_at is None:
        return RestoreMove.WAIT_FOR_ENDPOINT
    return (
        RestoreMove.CARRY_SEQUENCES if progress.sequences and progress.sequences_carried is None else RestoreMove.DONE
    )


def _clean_up(snapshot: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
    if snapshot.preview is not None:
        return RestoreMove.DELETE_PREVIEW
    return _protection(snapshot, progress) or RestoreMove.END


def _protection(snapshot: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove | None:
    """Return the protection that is still missing; None: none is."""
    must_protect = progress.before.protected and not progress.is_protection_deferred
    if snapshot.branch is not None and must_protect and not snapshot.branch.protected:
        return RestoreMove.PROTECT_AGAIN
    is_backup_open = progress.backup_id is not None and snapshot.backup is not None and not snapshot.backup.protected
    is_protection_required = progress.is_ip_allow_protected_only and not progress.is_backup_protection_settled
    return RestoreMove.PROTECT_BACKUP if is_backup_open and is_protection_required else None
