"""Which move brings a branch back to its restore point, decided from what Neon says now.

Two phases: the point is looked at on a preview branch first, then the branch itself is restored to exactly the LSN that
was looked at. A restore keeps the branch's id, host and connection string; its old state becomes the backup branch.
Facts from https://neon.com/docs/introduction/branch-restore: a protected branch refuses to be restored, and a branch's
children move to the backup, so the preview must be gone before. A reset goes to another branch's head: no preview.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rollback.database.restore.acceptance import is_made_by_operator
from rollback.domain.database.progress import OverwriteProgress, RestoreProgress
from rollback.resources.database.neon import Branch


class RestoreMove(StrEnum):
    """What to do next; what is no change is a look."""

    WAIT_FOR_OPERATIONS = "wait_for_operations"
    CREATE_PREVIEW = "create_preview"
    CHECK_PREVIEW = "check_preview"
    READ_SEQUENCES = "read_sequences"  # behind the fence: their last values
    DELETE_PREVIEW = "delete_preview"
    UNPROTECT = "unprotect"
    RESTORE = "restore"  # takes the backup too: Neon keeps the old state under the name that it is sent
    PROTECT_AGAIN = "protect_again"
    PROTECT_BACKUP = "protect_backup"  # where IP limits hang on it; always after the branch itself: plans allow few
    WAIT_FOR_ENDPOINT = "wait_for_endpoint"  # its compute wakes up when it is connected to
    CARRY_SEQUENCES = "carry_sequences"  # so that no id of a lost row is given out again
    DONE = "done"
    END = "end"  # without success, and tidied up


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

# These need a fence; all before them is done while services run, so that they stand at zero for the restore alone.
MOVES_BEHIND_FENCE = frozenset({RestoreMove.READ_SEQUENCES, RestoreMove.UNPROTECT, RestoreMove.RESTORE})


class RestoreSnapshot(BaseModel):
    """What Neon says now. None: there is no such branch.

    Attributes:
        operations: of our own changes, as far as they are waited for.
        restore_began: some tell that the branch got new storage since a restore was asked for.
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
        """Those that are still being made or restored."""
        return tuple(branch for branch in (self.branch, self.preview) if branch is not None and not branch.is_ready)

    @property
    def is_stuck(self) -> bool:
        """Neon gave up in the middle: nothing more will happen to a branch that is not ready."""
        return bool(self.unready_branches) and self.operations == "failed"

    @property
    def is_busy(self) -> bool:
        """Changes would be refused now."""
        return self.operations == "running" or (bool(self.unready_branches) and not self.is_stuck)


def next_restore_move(
    seen: RestoreSnapshot, progress: OverwriteProgress, *, carries_sequences: bool = False
) -> RestoreMove:
    """The next move towards the restore point; the same again when nothing changed in between.

    Args:
        carries_sequences: a setting: whether sequences continue behind the values of lost rows.
    """
    if seen.is_busy:
        return RestoreMove.WAIT_FOR_OPERATIONS
    if progress.why_not is not None or seen.branch is None:
        return _clean_up(seen, progress)
    if progress.backup_id is not None:
        return _settle(seen, progress)
    if isinstance(progress, RestoreProgress) and progress.preview_lsn is None:
        return RestoreMove.CREATE_PREVIEW if seen.preview is None else RestoreMove.CHECK_PREVIEW
    is_told_of = seen.backup is not None or progress.before.is_reset(seen.branch)
    if seen.preview is not None:
        return RestoreMove.DELETE_PREVIEW
    if carries_sequences and _are_sequences_to_read(progress) and not is_told_of:
        return RestoreMove.READ_SEQUENCES
    if is_told_of:
        return RestoreMove.WAIT_FOR_OPERATIONS  # accepted, though not all of it is told yet: never sent a second time
    return RestoreMove.UNPROTECT if seen.branch.protected else RestoreMove.RESTORE


def _are_sequences_to_read(progress: OverwriteProgress) -> bool:
    """Once it was asked for, a restore may have taken them back: only those that were read before are read again."""
    if progress.data_change_announced_at is not None:
        return progress.is_sequence_reread_needed
    return progress.sequences is None


def find_restore_objection(seen: RestoreSnapshot, progress: OverwriteProgress) -> str | None:
    """Why it can't succeed any more; None: nothing speaks against going on."""
    name = progress.before.name
    if seen.branch is None:
        return f"branch {name} is gone: look in Neon's console who deleted it, it can be had back for seven days"
    ours = progress.data_change_announced_at is not None or progress.backup_id is not None
    if not ours and progress.before.is_reset(seen.branch):
        return f"branch {name} was restored by somebody else at {seen.branch.last_reset_at}: look what is on it now"
    if seen.backup is not None and progress.backup_id is None and is_made_by_operator(seen.backup, seen.branch):
        return f"there is a branch {seen.backup.name} that no restore of ours made: rename it, and start again"
    if not ours and isinstance(progress, RestoreProgress) and progress.is_on_another_timeline:
        return f"branch {name} is on another timeline than the restore point: somebody restored it; look what is on it"
    if seen.is_stuck:
        unready_branches = ", ".join(f"{branch.name} is {branch.current_state}" for branch in seen.unready_branches)
        return f"an operation of Neon failed and is not retried: {unready_branches}; ask Neon's support"
    failed = progress.failed_checks()
    if failed:
        return f"the restore point is no good: {'; '.join(f'{check.name}: {check.reason}' for check in failed)}"
    if progress.backup_id is not None and seen.hosts != progress.before.hosts:
        return f"the hosts of {name} were {progress.before.hosts} and are {seen.hosts}: services connect to nothing"
    return None


def _settle(seen: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
    """Protection first; while Neon is busy with somebody else's change, services do not wait for it."""
    protection = _protection(seen, progress)
    if protection is not None:
        return protection
    if progress.verified_at is None:
        return RestoreMove.WAIT_FOR_ENDPOINT
    return (
        RestoreMove.CARRY_SEQUENCES if progress.sequences and progress.sequences_carried is None else RestoreMove.DONE
    )


def _clean_up(seen: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
    if seen.preview is not None:
        return RestoreMove.DELETE_PREVIEW
    return _protection(seen, progress) or RestoreMove.END


def _protection(seen: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove | None:
    """What must be protected still; None: nothing."""
    protects = progress.before.protected and not progress.is_protection_deferred
    if seen.branch is not None and protects and not seen.branch.protected:
        return RestoreMove.PROTECT_AGAIN
    open_backup = progress.backup_id is not None and seen.backup is not None and not seen.backup.protected
    wanted = progress.is_ip_allow_protected_only and not progress.is_backup_protection_settled
    return RestoreMove.PROTECT_BACKUP if open_backup and wanted else None
