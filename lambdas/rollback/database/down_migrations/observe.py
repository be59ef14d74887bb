"""Observe the branch, its backup and the tasks, and determine which of our changes were made."""

from datetime import datetime

from rollback.database.down_migrations.actions import command_intent
from rollback.database.down_migrations.next_action import Command, DownMigrationSnapshot, find_running_command
from rollback.database.down_migrations.ports import MigrationTaskPorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.restore.observe import operation_status
from rollback.domain.database.progress import CommandRun, DownMigrationProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.errors import ExternalServiceError
from rollback.resources.aws.ecs_task import without_passwords

# Kept in the document, of which DynamoDB takes 400 KB: many lines of the command that failed, few of the others.
_LOG_LINES, _FEW_LINES, _MAX_LINE = 20, 3, 300


def take_snapshot(
    rollback: Rollback, progress: DownMigrationProgress, context: BranchContext, now: datetime
) -> DownMigrationSnapshot:
    """Observe the branch, its backup, and the rollback's operations on both."""
    branch = context.neon.branch(progress.before.id or context.settings.branch_id)
    backup = context.neon.branch_named(backup_name(rollback.id))
    return DownMigrationSnapshot(
        branch=branch, backup=backup, operations=operation_status(progress, (branch, backup), context, now)
    )


def apply_observation(
    rollback: Rollback, progress: DownMigrationProgress, commands: tuple[Command, ...], ports: MigrationTaskPorts
) -> DownMigrationProgress:
    """Record the task of an announced command, though its answer was lost, and the end of the running command."""
    progress = _adopt_task(rollback, progress, commands, ports)
    running_command = find_running_command(progress)
    if running_command is None:
        return progress
    task = ports.tasks.describe(ports.settings.service(rollback.service_name), running_command.arn)
    if task is not None and not task.is_stopped:
        return progress
    ended_run = running_command.evolve(
        ended_at=ports.clock.now(), reason="ECS no longer describes the task", started=True
    )
    if task is not None:
        lines = _last_lines(rollback, running_command, _LOG_LINES if task.exit_code else _FEW_LINES, ports)
        ended_run = ended_run.evolve(started=task.started, exit_code=task.exit_code, reason=task.reason, logs=lines)
    return progress.evolve(ran=(*progress.ran[:-1], ended_run), intent=None)


def _adopt_task(
    rollback: Rollback, progress: DownMigrationProgress, commands: tuple[Command, ...], ports: MigrationTaskPorts
) -> DownMigrationProgress:
    command = next((c for c in commands if progress.is_announced(command_intent(c))), None)
    if command is None or progress.intent is None:
        return progress
    recorded_arns = {run.arn for run in progress.ran}
    for task in ports.tasks.started_by(ports.settings.service(rollback.service_name), rollback.id):
        if task.command == command.words and task.arn not in recorded_arns:
            run = CommandRun(name=command.name, arn=task.arn, asked_at=progress.intent.last_sent_at)
            return progress.evolve(ran=(*progress.ran, run), intent=None)
    return progress


def _last_lines(rollback: Rollback, run: CommandRun, count: int, ports: MigrationTaskPorts) -> tuple[str, ...]:
    """Read the last log lines for the report. A log that can't be read does not change how the command ended."""
    try:
        lines = ports.tasks.logs(ports.settings.service(rollback.service_name), run.arn, count)
    except ExternalServiceError as failure:
        lines = (f"its log can't be read: {failure}",)
    return tuple(without_passwords(line)[:_MAX_LINE] for line in lines[-count:])
