"""The changes of stepping down: announced in the ledger, then sent under the lease (rule 9)."""

from datetime import datetime

from rollback.canonical_json import sha256_of
from rollback.database.changes.fence import refenced
from rollback.database.changes.send import Sent, announced, is_announced, send
from rollback.database.down_migrations.next_action import (
    Command,
    DownMove,
    DownSnapshot,
    current,
    following,
    what_is_where,
)
from rollback.database.preflight.context import Restoring
from rollback.domain.database.progress import CommandRun, DatabaseProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, OutsideFailure
from rollback.ports.world import World
from rollback.resources.database.errors import RequestRefused


def running_action(command: Command) -> str:
    """What the intent to run a command is called."""
    return f"{DownMove.RUN_COMMAND}:{command.name}"


def change(
    rollback: Rollback,
    progress: DatabaseProgress,
    move: DownMove,
    seen: DownSnapshot,
    commands: tuple[Command, ...],
    expires_at: datetime | None,
    restoring: Restoring,
    world: World,
) -> Rollback:
    """Announce it, or send what was announced. Raises as `database_sending.send`."""
    if move is DownMove.RUN_COMMAND:
        return _run(rollback, progress, seen, commands, restoring, world)
    if not is_announced(progress, move):
        return announced(rollback, progress, move, world)

    def call() -> Sent:
        match move:
            case DownMove.CREATE_BACKUP:  # of the head: behind the fence nobody moves it
                made = restoring.databases.create_branch(backup_name(rollback.id), restoring.target.branch_id)
                return made.operations, {}
            case DownMove.DELETE_BACKUP:
                assert seen.backup is not None  # noqa: S101 - the move says so
                gone = restoring.databases.delete_branch(seen.backup.id)
                return gone.operations if gone is not None else (), {}
            case DownMove.STOP_TASK:
                return (), {"ran": _stopped(rollback, progress, world)}
            case _:
                assert seen.backup is not None  # noqa: S101
                return _expire(seen.backup.id)

    def _expire(branch_id: str) -> Sent:
        """Not every plan of Neon's knows it; then the backup stays until somebody deletes it."""
        try:
            return restoring.databases.expire_branch(branch_id, expires_at).operations, {}
        except CallRefused as refused:
            note = f"delete {backup_name(rollback.id)} when nobody needs it any more: {refused}"
            return (), {"expiry_settled": True, "notes": progress.noted(note).notes}

    return send(rollback, progress, call, restoring, world)


def _run(
    rollback: Rollback,
    progress: DatabaseProgress,
    seen: DownSnapshot,
    commands: tuple[Command, ...],
    restoring: Restoring,
    world: World,
) -> Rollback:
    """The next command. From the first one on the data may be another, and the backup is what it was."""
    command, now = following(progress, commands), world.clock.now()
    assert command is not None  # noqa: S101 - the move says so
    assert seen.backup is not None  # noqa: S101
    assert rollback.plan is not None  # noqa: S101 - it was asked before the fence
    # A command of ours that ended may leave a pooled session: only before the first one nobody is connected.
    again = refenced(rollback, progress, restoring, world, sessions_too=not progress.ran)
    if again is not None:
        return rollback.but(database=again, wait_seconds=0)
    if not is_announced(progress, running_action(command)):
        noted = {
            "restore_asked_at": progress.restore_asked_at or now,
            "backup_id": seen.backup.id,
            "accepted_at": progress.accepted_at or now,
        }
        return announced(rollback, progress, running_action(command), world, **noted)
    definition_arn = rollback.plan.running.definition_arn

    def call() -> Sent:
        service = world.settings.service(rollback.service_name)
        token = sha256_of({"rollback": rollback.id, "runs": command.name})
        try:
            arn = world.tasks.run(service, definition_arn, command.words, rollback.id, token)
        except CallRefused as refused:
            told = f"{command.name}: {refused}; {what_is_where(progress, commands)}"
            raise RequestRefused(told, action=refused.action, resource=refused.resource, kind=refused.kind) from refused
        return (), {"ran": (*progress.ran, CommandRun(name=command.name, arn=arn, asked_at=now))}

    return send(rollback, progress, call, restoring, world)


def _stopped(rollback: Rollback, progress: DatabaseProgress, world: World) -> tuple[CommandRun, ...]:
    """Asked once; that it has stopped is seen, or left to whoever reads the report."""
    running = current(progress)
    assert running is not None  # noqa: S101 - the move says so
    service = world.settings.service(rollback.service_name)
    try:
        world.tasks.stop(service, running.arn, f"{rollback.id} gave it up")
    except OutsideFailure as failure:
        asked = running.but(stop_asked_at=world.clock.now(), reason=f"could not be stopped: {failure}")
        return (*progress.ran[:-1], asked)
    return (*progress.ran[:-1], running.but(stop_asked_at=world.clock.now()))
