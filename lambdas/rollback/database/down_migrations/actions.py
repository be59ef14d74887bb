"""The changes of down-migrations, each described for `rollback.database.changes.send`."""

from datetime import datetime

from rollback.canonical_json import sha256_of
from rollback.database.changes.send import DatabaseChange, SendResult, operations_of
from rollback.database.down_migrations.next_action import (
    Command,
    DownMigrationMove,
    DownMigrationSnapshot,
    describe_applied_migrations,
    find_running_command,
)
from rollback.database.down_migrations.ports import MigrationTaskPorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import CommandRun, DownMigrationProgress, backup_name
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.resources.database.errors import NotFound, RequestRefused
from rollback.resources.database.neon import Branch

DownMigrationChange = DatabaseChange[DownMigrationProgress]


def command_intent(command: Command) -> str:
    """Name the intent to run a command."""
    return f"{DownMigrationMove.RUN_COMMAND}:{command.name}"


def describe_change(
    rollback: Rollback,
    progress: DownMigrationProgress,
    move: DownMigrationMove,
    snapshot: DownMigrationSnapshot,
    expires_at: datetime | None,
    context: BranchContext,
    ports: MigrationTaskPorts,
) -> DownMigrationChange:
    """Describe the change of the backup, or of a running task, that a move makes."""
    neon, backup = context.neon, snapshot.backup
    name = backup_name(rollback.id)
    match move:
        case DownMigrationMove.CREATE_BACKUP:  # from the head: behind the fence no process writes to the branch
            return DatabaseChange(move, lambda: (neon.create_branch(name, context.settings.branch_id).operations, {}))
        case DownMigrationMove.STOP_TASK:
            return DatabaseChange(move, lambda: ((), {"ran": _stop_running_command(rollback, progress, ports)}))
        case DownMigrationMove.DELETE_BACKUP if backup is not None:
            return DatabaseChange(move, lambda: (operations_of(neon.delete_branch(backup.id)), {}))
        case DownMigrationMove.EXPIRE_BACKUP if backup is not None:

            def keep(current_progress: DownMigrationProgress, refused: CallRefused) -> DownMigrationProgress:
                note = f"branch {name} does not expire: delete the branch once its data is not needed ({refused})"
                return current_progress.add_note(note).evolve(is_expiry_settled=True)

            return DatabaseChange(
                move,
                lambda: (neon.expire_branch(backup.id, expires_at).operations, {}),
                tolerate_refusal=keep,  # not every plan of Neon's lets a branch expire
            )
        case _:
            raise NotFound(f"{move}: {name} was deleted a moment ago")


def describe_command_run(
    rollback: Rollback,
    plan: Plan,
    progress: DownMigrationProgress,
    command: Command,
    commands: tuple[Command, ...],
    backup: Branch,
    ports: MigrationTaskPorts,
) -> DownMigrationChange:
    """Describe the run of the next command. From the first one on, the data may differ from the backup."""
    now = ports.clock.now()

    def run() -> SendResult:
        service = ports.settings.service(rollback.service_name)
        token = sha256_of({"rollback": rollback.id, "runs": command.name})
        try:
            arn = ports.tasks.run(service, plan.running.definition_arn, command.words, rollback.id, token)
        except CallRefused as refused:
            text = f"{command.name}: {refused}; {describe_applied_migrations(progress, commands)}"
            raise RequestRefused(text, action=refused.action, resource=refused.resource, kind=refused.kind) from refused
        return (), {"ran": (*progress.ran, CommandRun(name=command.name, arn=arn, asked_at=now))}

    return DatabaseChange(
        command_intent(command),
        run,
        announced={
            "data_change_announced_at": progress.data_change_announced_at or now,
            "backup_id": backup.id,
            "accepted_at": progress.accepted_at or now,
        },
    )


def _stop_running_command(
    rollback: Rollback, progress: DownMigrationProgress, ports: MigrationTaskPorts
) -> tuple[CommandRun, ...]:
    """Ask ECS once to stop the running command's task. An observation shows whether it stopped."""
    running_command = find_running_command(progress)
    if running_command is None:
        return progress.ran
    service, now = ports.settings.service(rollback.service_name), ports.clock.now()
    try:
        ports.tasks.stop(service, running_command.arn, f"{rollback.id} gave this down-migration up")
    except ExternalServiceError as failure:
        stopping_run = running_command.evolve(stop_asked_at=now, reason=f"could not be stopped: {failure}")
    else:
        stopping_run = running_command.evolve(stop_asked_at=now)
    return (*progress.ran[:-1], stopping_run)
