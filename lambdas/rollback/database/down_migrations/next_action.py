"""Decide the next move of down-migrations from the commands that ran: one after the other, and none twice.

The backup comes first: a child branch of the head, which costs nothing until the two differ. The branch itself is never
overwritten, so its id, host and children stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rollback.domain.database.progress import CommandRun, DownMigrationProgress
from rollback.domain.settings.database import DatabaseSettings
from rollback.resources.database.neon import Branch

VERIFY = "verify"
_TAG = "{tag}"


class DownMigrationMove(StrEnum):
    """The moves of down-migrations. `DOWN_MIGRATION_CHANGES` lists those that change something."""

    WAIT_FOR_OPERATIONS = "wait_for_operations"
    CREATE_BACKUP = "create_backup"
    RUN_COMMAND = "run_command"
    WAIT_FOR_TASK = "wait_for_task"
    STOP_TASK = "stop_task"
    CHECK_SCHEMA = "check_schema"
    EXPIRE_BACKUP = "let_backup_expire"
    DONE = "done"
    DELETE_BACKUP = "delete_backup"
    END = "end"  # given up, and cleaned up


DOWN_MIGRATION_CHANGES = frozenset(
    {
        DownMigrationMove.CREATE_BACKUP,
        DownMigrationMove.RUN_COMMAND,
        DownMigrationMove.STOP_TASK,
        DownMigrationMove.EXPIRE_BACKUP,
        DownMigrationMove.DELETE_BACKUP,
    }
)


@dataclass(frozen=True)
class Command:
    """A command of the release's container; `name` is the migration's tag, or `verify`."""

    name: str
    words: tuple[str, ...]


class DownMigrationSnapshot(BaseModel):
    """The branch and its backup as they are now. `operations`: status of our operations on both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch | None
    backup: Branch | None = None
    operations: Literal["running", "succeeded", "failed"] = "succeeded"

    @property
    def is_stuck(self) -> bool:
        """Whether Neon failed to create the backup."""
        return self.backup is not None and not self.backup.is_ready and self.operations == "failed"

    @property
    def is_busy(self) -> bool:
        """Whether Neon would refuse changes, and SQL would fail, now."""
        has_unready_branch = any(branch is not None and not branch.is_ready for branch in (self.branch, self.backup))
        return self.operations == "running" or (has_unready_branch and not self.is_stuck)


def build_commands(settings: DatabaseSettings, tags: Sequence[str]) -> tuple[Command, ...]:
    """Build one command for each tag, newest first as the tags are, and the verification if there is one."""
    down = (Command(tag, tuple(word.replace(_TAG, tag) for word in settings.down_command)) for tag in tags)
    verify = (Command(VERIFY, settings.verify_command),) if settings.verify_command else ()
    return (*down, *verify)


def find_running_command(progress: DownMigrationProgress) -> CommandRun | None:
    """Return the command that runs, or whose end is not known yet."""
    last = progress.ran[-1] if progress.ran else None
    return last if last is not None and last.ended_at is None else None


def next_command(progress: DownMigrationProgress, commands: Sequence[Command]) -> Command | None:
    """Return the command that comes next; None: all have run."""
    return commands[len(progress.ran)] if len(progress.ran) < len(commands) else None


def next_down_migration_move(
    snapshot: DownMigrationSnapshot,
    progress: DownMigrationProgress,
    commands: Sequence[Command],
    expires_at: datetime | None,
) -> DownMigrationMove:
    """Decide the next move; the same again when nothing changed in between."""
    running_command = find_running_command(progress)
    if running_command is not None:
        must_stop = progress.why_not is not None and running_command.stop_asked_at is None
        return DownMigrationMove.STOP_TASK if must_stop else DownMigrationMove.WAIT_FOR_TASK
    if snapshot.is_busy:
        return DownMigrationMove.WAIT_FOR_OPERATIONS
    if progress.why_not is not None and progress.verified_at is not None:
        return DownMigrationMove.DONE  # only the backup's expiry could not be set in time
    if progress.why_not is not None:
        is_backup_unneeded = snapshot.backup is not None and not progress.may_have_changed_data
        return DownMigrationMove.DELETE_BACKUP if is_backup_unneeded else DownMigrationMove.END
    if snapshot.backup is None:
        return DownMigrationMove.CREATE_BACKUP
    if next_command(progress, commands) is not None:
        return DownMigrationMove.RUN_COMMAND
    if progress.verified_at is None:
        return DownMigrationMove.CHECK_SCHEMA
    is_expiry_set = progress.is_expiry_settled or snapshot.backup.expires_at == expires_at
    return DownMigrationMove.DONE if is_expiry_set else DownMigrationMove.EXPIRE_BACKUP


def find_down_migration_objection(
    snapshot: DownMigrationSnapshot,
    progress: DownMigrationProgress,
    commands: Sequence[Command],
    now: datetime,
    task_timeout: timedelta,
) -> str | None:
    """Return why the commands can't succeed any more; None: they may go on."""
    running_command, name = find_running_command(progress), progress.before.name
    if snapshot.branch is None:
        return f"branch {name} is gone: see in Neon's console who deleted it; Neon can recover it for seven days"
    if snapshot.is_stuck:
        return f"an operation of Neon failed and is not retried: the backup of {name} did not get ready"
    if progress.ran and snapshot.backup is None:
        return f"the backup of {name} is gone: see in Neon's console who deleted it"
    if running_command is not None and now - running_command.asked_at > task_timeout:
        minutes = f"{task_timeout.total_seconds() / 60:g} minutes"
        return f"{running_command.name} did not end in {minutes}; {describe_applied_migrations(progress, commands)}"
    last_run = progress.ran[-1] if progress.ran and running_command is None else None
    if last_run is not None and not last_run.succeeded:
        return f"{_describe_exit(last_run)}; {describe_applied_migrations(progress, commands)}"
    failed_checks = progress.failed_checks()
    if failed_checks:
        reasons = "; ".join(f"{check.name}: {check.reason}" for check in failed_checks)
        applied = describe_applied_migrations(progress, commands)
        return f"all commands ran, but the target can't work with the resulting tables: {reasons}; {applied}"
    return None


def _describe_exit(run: CommandRun) -> str:
    last_log_line = f": {run.logs[-1]}" if run.logs else ""
    if run.never_started:
        return f"the task of {run.name} could not start: {run.reason or 'ECS gave no reason'}"
    if run.exit_code is None:
        return f"{run.name} ended without an exit code: {run.reason or 'ECS gave no reason'}{last_log_line}"
    return f"{run.name} ended with exit code {run.exit_code}{last_log_line}"


def describe_applied_migrations(progress: DownMigrationProgress, commands: Sequence[Command]) -> str:
    """List the migrations that stepped down, that perhaps did, and that are still applied."""
    reverted_tags = [run.name for run in progress.ran if run.succeeded and run.name != VERIFY]
    tags = [command.name for command in commands if command.name != VERIFY]
    uncertain_tags = [r.name for r in progress.ran if not r.succeeded and not r.never_started and r.name != VERIFY]
    remaining_tags = [tag for tag in tags if tag not in reverted_tags and tag not in uncertain_tags]
    lists = (("stepped down", reverted_tags), ("perhaps", uncertain_tags), ("still applied", remaining_tags))
    return "; ".join(f"{label}: {', '.join(names)}" for label, names in lists if names)
