"""Down-migrations: revert the running release's migrations, one task for each migration, behind the fence.

The running release ships the down files, so its task definition runs, with another command. No command runs twice: a
lost answer is looked up by the task's `startedBy`, and each command's client token is the same for a retry.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.fence import recheck_fence
from rollback.database.changes.reconcile import end_unsuccessfully, run_strategy
from rollback.database.changes.send import make_change, may_still_arrive
from rollback.database.changes.strategy import DatabaseStrategy
from rollback.database.down_migrations.actions import describe_change, describe_command_run
from rollback.database.down_migrations.next_action import (
    DOWN_MIGRATION_CHANGES,
    Command,
    DownMigrationMove,
    DownMigrationSnapshot,
    build_commands,
    find_down_migration_objection,
    find_running_command,
    next_command,
    next_down_migration_move,
)
from rollback.database.down_migrations.observe import apply_observation, take_snapshot
from rollback.database.down_migrations.ports import DownMigrationPorts
from rollback.database.down_migrations.preflight import preflight_of_down_migrations
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.data_loss import DataLossReport
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DownMigrationProgress, OriginalBranch
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import InvalidRequest

_NOT_COMPARED = DataLossReport(
    unavailable="rows are not compared after down-migrations; the backup has the state before"
)
_BACKWARD = frozenset({DownMigrationMove.STOP_TASK, DownMigrationMove.DELETE_BACKUP})


def run_down_migrations(
    rollback: Rollback, plan: DatabasePlan, context: BranchContext, ports: DownMigrationPorts
) -> Rollback:
    """Observe once, and make at most one change. Call again until the progress has ended.

    Down-migrations end restored; refused, if no command ran; or failed, with the list of those that ran.

    Raises:
        InvalidRequest: the environment has no database any more.
        LeaseLost: another rollback holds one of our leases (rule 3: aborted while fenced, everything stays as it is).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    settings = ports.settings.database
    if settings is None:
        raise InvalidRequest(f"no database is set for {ports.settings.environment} any more")
    return run_strategy(rollback, DownMigrationStrategy(context, ports, plan, settings), ports)


@dataclass
class DownMigrationStrategy(DatabaseStrategy[DownMigrationProgress, DownMigrationSnapshot, DownMigrationMove]):
    """Step the schema down by the release's own commands."""

    context: BranchContext
    ports: DownMigrationPorts
    plan: DatabasePlan
    settings: DatabaseSettings
    commands: tuple[Command, ...] = field(init=False)
    extra_minutes: float = field(init=False)
    progress_type: type[DownMigrationProgress] = field(default=DownMigrationProgress, init=False)

    def __post_init__(self) -> None:
        self.commands = build_commands(self.settings, self.plan.migrations)
        self.extra_minutes = self.settings.task_timeout_minutes * len(self.commands)

    def begin(self, rollback: Rollback) -> Rollback:
        """Ask Neon, SQL and ECS whether the commands can run."""

        def run_checks() -> tuple[Check, ...]:
            return preflight_of_down_migrations(rollback, self.plan, self.settings, self.context, self.ports)

        def new_progress(original_branch: OriginalBranch, _: tuple[Check, ...]) -> DownMigrationProgress:
            return DownMigrationProgress(started_at=self.ports.clock.now(), before=original_branch)

        return begin_after_checks(rollback, run_checks, new_progress, self.context, self.ports)

    def observe(
        self, rollback: Rollback, progress: DownMigrationProgress
    ) -> tuple[Rollback, DownMigrationProgress, DownMigrationSnapshot]:
        """Observe the branch, its backup and the tasks, and record which changes were carried out."""
        snapshot = take_snapshot(rollback, progress, self.context, self.ports.clock.now())
        return rollback, apply_observation(rollback, progress, self.commands, self.ports), snapshot

    def find_objection(self, snapshot: DownMigrationSnapshot, progress: DownMigrationProgress) -> str | None:
        """Return why the commands can't succeed any more."""
        task_timeout = timedelta(minutes=self.settings.task_timeout_minutes)
        return find_down_migration_objection(snapshot, progress, self.commands, self.ports.clock.now(), task_timeout)

    def may_still_arrive(self, progress: DownMigrationProgress) -> bool:
        """Whether a backup or a task that was requested may still be made."""
        is_forward = progress.intent is not None and progress.intent.action not in _BACKWARD
        is_idle = find_running_command(progress) is None
        return is_idle and is_forward and may_still_arrive(progress, self.context, self.ports)

    def clear_unmade_change(
        self,
        snapshot: DownMigrationSnapshot,  # noqa: ARG002
        progress: DownMigrationProgress,
    ) -> DownMigrationProgress:
        """Drop the announced change of the data if no command ever started."""
        if all(run.never_started for run in progress.ran):
            return progress.evolve(data_change_announced_at=None, backup_id=None)
        return progress

    def next_action(self, snapshot: DownMigrationSnapshot, progress: DownMigrationProgress) -> DownMigrationMove:
        """Decide the next move."""
        return next_down_migration_move(snapshot, progress, self.commands, self._backup_expiry(progress))

    def act(
        self,
        rollback: Rollback,
        progress: DownMigrationProgress,
        action: DownMigrationMove,
        snapshot: DownMigrationSnapshot,
    ) -> Rollback:
        """Make the move."""
        now = self.ports.clock.now()
        progress = progress.record_move(action, now)
        if action in DOWN_MIGRATION_CHANGES:
            return self._make_change(rollback, progress, action, snapshot)
        match action:
            case DownMigrationMove.CHECK_SCHEMA:
                return rollback.evolve(database=self._check_live_branch(progress, now), wait_seconds=0)
            case DownMigrationMove.DONE:
                restored_progress = progress.evolve(data_loss=_NOT_COMPARED).ended(DatabaseOutcome.RESTORED, now)
                return rollback.evolve(database=restored_progress, wait_seconds=0)
            case DownMigrationMove.END:
                return end_unsuccessfully(rollback, progress, self.ports)
            case _:
                return rollback.evolve(database=progress, wait_seconds=self.ports.settings.policy.poll_seconds)

    def _make_change(
        self,
        rollback: Rollback,
        progress: DownMigrationProgress,
        move: DownMigrationMove,
        snapshot: DownMigrationSnapshot,
    ) -> Rollback:
        command = next_command(progress, self.commands)
        if move is DownMigrationMove.RUN_COMMAND and command and snapshot.backup and rollback.plan:
            # A command of ours that ended may leave a pooled session: sessions count before the first one only.
            reopened_progress = recheck_fence(
                rollback, progress, self.context, self.ports, sessions_too=not progress.ran
            )
            if reopened_progress is not None:
                return rollback.evolve(database=reopened_progress, wait_seconds=0)
            change = describe_command_run(
                rollback, rollback.plan, progress, command, self.commands, snapshot.backup, self.ports
            )
        else:
            expires_at = self._backup_expiry(progress)
            change = describe_change(rollback, progress, move, snapshot, expires_at, self.context, self.ports)
        return make_change(rollback, progress, change, self.context, self.ports)

    def _backup_expiry(self, progress: DownMigrationProgress) -> datetime | None:
        """Return when the backup expires, the same for a retry, in whole seconds as Neon keeps it."""
        days, since = self.context.settings.backup_days, progress.accepted_at
        return None if days is None or since is None else since.replace(microsecond=0) + timedelta(days=days)

    def _check_live_branch(self, progress: DownMigrationProgress, now: datetime) -> DownMigrationProgress:
        """Check that the live branch has the journal and the tables that the target needs."""
        sql, address = self.context.sql, self.context.address(progress.before.id or self.context.settings.branch_id)
        schema, migrations = sql.live_schema(address), sql.migrations(address)
        progress = progress.evolve(schema_checks=self.context.check_tables(schema, migrations))
        return progress if progress.failed_checks() else progress.evolve(verified_at=now)
