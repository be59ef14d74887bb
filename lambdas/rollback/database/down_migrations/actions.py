"""The changes of stepping down: announced in the ledger, then sent under the lease (rule 9)."""

from datetime import datetime

from rollback.canonical_json import sha256_of
from rollback.database.changes.fence import recheck_fence
from rollback.database.changes.send import SendResult, announce, is_announced, send_announced
from rollback.database.down_migrations.next_action import (
    Command,
    DownMigrationMove,
    DownMigrationSnapshot,
    describe_applied_migrations,
    find_running_command,
    next_command,
)
from rollback.database.preflight.context import RestoreContext
from rollback.domain.database.progress import CommandRun, DatabaseProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.world import World
from rollback.resources.database.errors import RequestRefused


def command_intent(command: Command) -> str:
    """What the intent to run a command is called."""
    return f"{DownMigrationMove.RUN_COMMAND}:{command.name}"


def make_change(
    rollback: Rollback,
    progress: DatabaseProgress,
    move: DownMigrationMove,
    seen: DownMigrationSnapshot,
    commands: tuple[Command, ...],
    expires_at: datetime | None,
    restoring: RestoreContext,
    world: World,
) -> Rollback:
    """Announce it, or send what was announced. Raises as `database_sending.send_announced`."""
    if move is DownMigrationMove.RUN_COMMAND:
        return _run_next_command(rollback, progress, seen, commands, restoring, world)
    if not is_announced(progress, move):
        return announce(rollback, progress, move, world)

    def call() -> SendResult:
        match move:
            case DownMigrationMove.CREATE_BACKUP:  # of the head: behind the fence nobody moves it
                made = restoring.databases.create_branch(backup_name(rollback.id), restoring.target.branch_id)
                return made.operations, {}
            case DownMigrationMove.DELETE_BACKUP:
                assert seen.backup is not None  # noqa: S101 - the move says so
                gone = restoring.databases.delete_branch(seen.backup.id)
                return gone.operations if gone is not None else (), {}
            case DownMigrationMove.STOP_TASK:
                return (), {"ran": _stop_command(rollback, progress, world)}
            case _:
                assert seen.backup is not None  # noqa: S101
                return _expire(seen.backup.id)

    def _expire(branch_id: str) -> SendResult:
        """Not every plan of Neon's knows it; then the backup stays until somebody deletes it."""
        try:
            return restoring.databases.expire_branch(branch_id, expires_at).operations, {}
        except CallRefused as refused:
            note = f"delete {backup_name(rollback.id)} when nobody needs it any more: {refused}"
            return (), {"is_expiry_settled": True, "notes": progress.add_note(note).notes}

    return send_announced(rollback, progress, call, restoring, world)


def _run_next_command(
    rollback: Rollback,
    progress: DatabaseProgress,
    seen: DownMigrationSnapshot,
    commands: tuple[Command, ...],
    restoring: RestoreContext,
    world: World,
) -> Rollback:
    """The next command. From the first one on the data may be another, and the backup is what it was."""
    command, now = next_command(progress, commands), world.clock.now()
    assert command is not None  # noqa: S101 - the move says so
    assert seen.backup is not None  # noqa: S101
    assert rollback.plan is not None  # noqa: S101 - it was asked before the fence
    # A command of ours that ended may leave a pooled session: only before the first one nobody is connected.
    again = recheck_fence(rollback, progress, restoring, world, sessions_too=not progress.ran)
    if again is not None:
        return rollback.evolve(database=again, wait_seconds=0)
    if not is_announced(progress, command_intent(command)):
        add_note = {
            "restore_asked_at": progress.restore_asked_at or now,
            "backup_id": seen.backup.id,
            "accepted_at": progress.accepted_at or now,
        }
        return announce(rollback, progress, command_intent(command), world, **add_note)
    definition_arn = rollback.plan.running.definition_arn

    def call() -> SendResult:
        service = world.settings.service(rollback.service_name)
        token = sha256_of({"rollback": rollback.id, "runs": command.name})
        try:
            arn = world.tasks.run(service, definition_arn, command.words, rollback.id, token)
        except CallRefused as refused:
            told = f"{command.name}: {refused}; {describe_applied_migrations(progress, commands)}"
            raise RequestRefused(told, action=refused.action, resource=refused.resource, kind=refused.kind) from refused
        return (), {"ran": (*progress.ran, CommandRun(name=command.name, arn=arn, asked_at=now))}

    return send_announced(rollback, progress, call, restoring, world)


def _stop_command(rollback: Rollback, progress: DatabaseProgress, world: World) -> tuple[CommandRun, ...]:
    """Asked once; that it has stopped is seen, or left to whoever reads the report."""
    running = find_running_command(progress)
    assert running is not None  # noqa: S101 - the move says so
    service = world.settings.service(rollback.service_name)
    try:
        world.tasks.stop(service, running.arn, f"{rollback.id} gave it up")
    except ExternalServiceError as failure:
        asked = running.evolve(stop_asked_at=world.clock.now(), reason=f"could not be stopped: {failure}")
        return (*progress.ran[:-1], asked)
    return (*progress.ran[:-1], running.evolve(stop_asked_at=world.clock.now()))
