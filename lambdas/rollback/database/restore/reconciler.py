"""Restore: bring a root branch back to its restore point.

The restore point is checked on a preview branch first, while services run. The restore follows behind the fence, and
never twice: its backup's name follows from the rollback's id, and Neon refuses a name that is taken. Neon knows nothing
of our lease.
"""

from dataclasses import dataclass, field
from datetime import datetime

from rollback.canonical_json import sha256_of
from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.carry_sequences import read_sequences_on_branch, record_sequences, reset_sequences
from rollback.database.changes.fence import recheck_fence
from rollback.database.changes.lost_replication import note_lost_replication
from rollback.database.changes.ports import FencePorts
from rollback.database.changes.reconcile import end_unsuccessfully, run_strategy, with_retry
from rollback.database.changes.send import make_change
from rollback.database.changes.strategy import DatabaseStrategy
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.preflight import preflight_of_restore
from rollback.database.preflight.restore_rules import has_protected_only_ip_allow
from rollback.database.restore.actions import describe_change, describe_source_keeping
from rollback.database.restore.next_action import (
    MOVES_BEHIND_FENCE,
    RESTORE_CHANGES,
    RestoreMove,
    RestoreSnapshot,
    find_restore_objection,
    is_restore_request_lost,
    next_restore_move,
)
from rollback.database.restore.observe import apply_observation, take_snapshot
from rollback.domain.database.progress import (
    BACKUP_PREFIX,
    DatabaseOutcome,
    OriginalBranch,
    OverwriteProgress,
    ResetProgress,
    RestorePoint,
    RestoreProgress,
)
from rollback.domain.rollback import Rollback
from rollback.intents.announce import change_deadline
from rollback.resources.database.wal_position import Lsn


def restore(rollback: Rollback, point: RestorePoint, context: BranchContext, ports: FencePorts) -> Rollback:
    """Observe once, and make at most one change. Call again until the progress has ended.

    Raises:
        LeaseLost: another rollback holds one of our leases (rule 3: aborted while fenced, everything stays as it is).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    return run_strategy(rollback, RestoreStrategy(context, ports, point), ports)


@dataclass
class OverwriteStrategy(DatabaseStrategy[OverwriteProgress, RestoreSnapshot, RestoreMove]):
    """Shared by restore and reset: Neon overwrites the branch, and keeps its old state as the backup."""

    context: BranchContext
    ports: FencePorts

    def observe(
        self, rollback: Rollback, progress: OverwriteProgress
    ) -> tuple[Rollback, OverwriteProgress, RestoreSnapshot]:
        """Observe the branch, its preview and its backup, and record which changes were carried out."""
        now = self.ports.clock.now()
        snapshot = take_snapshot(rollback, progress, self.context, now)
        return (*apply_observation(rollback, progress, snapshot, now), snapshot)

    def find_objection(self, snapshot: RestoreSnapshot, progress: OverwriteProgress) -> str | None:
        """Return why the restore can't succeed any more."""
        return find_restore_objection(snapshot, progress)

    def may_still_arrive(self, progress: OverwriteProgress) -> bool:
        """Whether a restore that was requested before it was given up may still reach Neon."""
        if progress.data_change_announced_at is None or progress.backup_id is not None:
            return False
        given_up_at = progress.cleanup_started_at or self.ports.clock.now()
        deadline = change_deadline(given_up_at, self.context.settings.lost_answer_seconds, self.ports)
        return self.ports.clock.now() < deadline

    def clear_unmade_change(self, snapshot: RestoreSnapshot, progress: OverwriteProgress) -> OverwriteProgress:
        """Forget a requested restore that left no trace: the branch is as it was."""
        if progress.data_change_announced_at is None or progress.backup_id is not None:
            return progress
        if snapshot.branch is None or snapshot.is_busy:
            return progress
        if is_restore_request_lost(progress, snapshot.branch, snapshot.backup, has_begun=snapshot.restore_began):
            return progress.evolve(data_change_announced_at=None, cleanup_started_at=self.ports.clock.now())
        return progress

    def next_action(self, snapshot: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
        """Decide the next move."""
        return next_restore_move(snapshot, progress, carries_sequences=self.context.settings.carry_sequences)

    def act(
        self, rollback: Rollback, progress: OverwriteProgress, action: RestoreMove, snapshot: RestoreSnapshot
    ) -> Rollback:
        """Make the move."""
        now, poll = self.ports.clock.now(), self.ports.settings.policy.poll_seconds
        if action in MOVES_BEHIND_FENCE and progress.fence.head is None and isinstance(progress, RestoreProgress):
            return rollback.evolve(database=progress.evolve(previewed_at=now, moved_at=None), wait_seconds=0)
        progress = progress.record_move(action, now)
        if action in RESTORE_CHANGES:
            return self._make_change(rollback, progress, action, snapshot)
        match action:
            case RestoreMove.DONE:
                return rollback.evolve(database=progress.ended(DatabaseOutcome.RESTORED, now), wait_seconds=0)
            case RestoreMove.END:
                return end_unsuccessfully(rollback, progress, self.ports)
            case RestoreMove.READ_SEQUENCES | RestoreMove.CHECK_PREVIEW | RestoreMove.WAIT_FOR_ENDPOINT:

                def ask() -> Rollback:
                    return rollback.evolve(database=self._ask_sql(progress, action, snapshot, now), wait_seconds=0)

                return with_retry(rollback, progress, ask, self.ports)
            case _:
                return rollback.evolve(database=progress, wait_seconds=poll)

    def _make_change(
        self, rollback: Rollback, progress: OverwriteProgress, move: RestoreMove, snapshot: RestoreSnapshot
    ) -> Rollback:
        if move is RestoreMove.RESTORE:
            reopened_progress = recheck_fence(rollback, progress, self.context, self.ports)
            if reopened_progress is not None:
                return rollback.evolve(
                    database=reset_sequences(reopened_progress).evolve(moved_at=None), wait_seconds=0
                )
            if isinstance(progress, ResetProgress) and self._source_expires(progress):
                source_change = describe_source_keeping(progress, self.context)
                return make_change(rollback, progress, source_change, self.context, self.ports)
        change = describe_change(rollback, progress, move, snapshot, self.context, self.ports)
        return make_change(rollback, progress, change, self.context, self.ports)

    def _source_expires(self, progress: ResetProgress) -> bool:
        """Whether the source is a backup of ours that Neon is to delete."""
        if progress.is_source_kept:
            return False
        source = self.context.neon.branch(progress.source_branch_id)
        return source is not None and source.name.startswith(BACKUP_PREFIX) and source.expires_at is not None

    def _ask_sql(
        self, progress: OverwriteProgress, move: RestoreMove, snapshot: RestoreSnapshot, now: datetime
    ) -> OverwriteProgress:
        if move is RestoreMove.CHECK_PREVIEW and snapshot.preview is not None and isinstance(progress, RestoreProgress):
            return self._check_preview(progress, snapshot.preview.id, snapshot.preview.parent_lsn, now)
        if move is RestoreMove.WAIT_FOR_ENDPOINT and snapshot.branch is not None:
            return self._verify_restored_branch(progress, snapshot.branch.id, now)
        return record_sequences(progress, self.context)

    def _check_preview(
        self, progress: RestoreProgress, preview_id: str, parent_lsn: Lsn | None, now: datetime
    ) -> RestoreProgress:
        """Read the tables and the journal at the restore point, and record its exact position in the log."""
        context, address = self.context, self.context.address(preview_id)
        schema, migrations = context.sql.live_schema(address), context.sql.migrations(address)
        lsn = parent_lsn or progress.point.lsn
        if lsn is None:
            return progress.mark_failed(f"Neon did not say which LSN {progress.point.at} is", now)
        carries_sequences = context.settings.carry_sequences
        return progress.evolve(
            refused_since=None,
            preview_lsn=lsn,
            preview_schema=sha256_of(schema.model_dump()),
            schema_checks=context.check_tables(schema, migrations),
            preview_sequences=read_sequences_on_branch(preview_id, context) if carries_sequences else None,
        )

    def _verify_restored_branch(self, progress: OverwriteProgress, branch_id: str, now: datetime) -> OverwriteProgress:
        """Check that the branch answers, with the tables of the preview branch if there was one."""
        address = self.context.address(branch_id)
        schema = self.context.sql.live_schema(address)
        expected = progress.preview_schema if isinstance(progress, RestoreProgress) else None
        if expected not in (None, sha256_of(schema.model_dump())):
            return progress.mark_failed("the restored tables differ from the tables of the preview branch", now)
        return note_lost_replication(progress, address, self.context).evolve(verified_at=now, refused_since=None)


@dataclass
class RestoreStrategy(OverwriteStrategy):
    """Restore a branch to its own past."""

    point: RestorePoint
    progress_type: type[OverwriteProgress] = field(default=RestoreProgress, init=False)

    def begin(self, rollback: Rollback) -> Rollback:
        """Ask Neon and SQL whether the branch can be restored to the point."""

        def run_checks() -> tuple[Check, ...]:
            return preflight_of_restore(self.point, self.context, self.ports.clock.now())

        def new_progress(original_branch: OriginalBranch, checks: tuple[Check, ...]) -> RestoreProgress:
            return RestoreProgress(
                started_at=self.ports.clock.now(),
                before=original_branch,
                point=self.point,
                is_ip_allow_protected_only=has_protected_only_ip_allow(checks),
            )

        return begin_after_checks(rollback, run_checks, new_progress, self.context, self.ports)
