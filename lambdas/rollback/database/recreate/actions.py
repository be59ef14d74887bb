"""The changes of a recreate: announced in the ledger, then sent under the lease (rule 9)."""

from datetime import datetime

from rollback.database.changes.fence import recheck_fence
from rollback.database.changes.send import SendResult, announce, is_announced, send_announced
from rollback.database.changes.service_address import service_address
from rollback.database.preflight.context import RestoreContext
from rollback.database.recreate.next_action import RecreateMove, RecreateSnapshot
from rollback.domain.database.progress import DatabaseProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, Throttled
from rollback.ports.world import World
from rollback.resources.database.connection_secret import SecretKeys, token_of, with_uri
from rollback.resources.database.errors import OutcomeUnknown, RequestRefused


def make_change(
    rollback: Rollback,
    progress: DatabaseProgress,
    move: RecreateMove,
    seen: RecreateSnapshot,
    expires_at: datetime | None,
    settings: DatabaseSettings,
    restoring: RestoreContext,
    world: World,
) -> Rollback:
    """Announce it, or send what was announced. Raises as `database_sending.send_announced`."""
    if move is RecreateMove.RENAME_OLD:
        again = recheck_fence(rollback, progress, restoring, world)
        if again is not None:
            return rollback.evolve(database=again, wait_seconds=0)
    if not is_announced(progress, move):
        return announce(rollback, progress, move, world, **_fields_on_announcement(progress, move, world))
    if move is RecreateMove.WRITE_SECRET:
        return _write_secret(rollback, progress, seen, settings, restoring, world)
    databases, before = restoring.databases, progress.before

    def call() -> SendResult:
        assert seen.old is not None  # noqa: S101 - the move says so
        match move:
            case RecreateMove.RENAME_OLD:
                return databases.update_branch(seen.old.id, name=backup_name(rollback.id)).operations, {}
            case RecreateMove.CREATE_NEW:
                return _create()
            case RecreateMove.DELETE_NEW:
                assert seen.named is not None  # noqa: S101
                gone = databases.delete_branch(seen.named.id)
                return gone.operations if gone is not None else (), {}
            case RecreateMove.RENAME_BACK:
                return databases.update_branch(seen.old.id, name=before.name).operations, {}
            case _:
                return _expire(seen.old.id)

    def _create() -> SendResult:
        """One that expires as the old one does, unless Neon refuses that: then without, announced once more."""
        assert progress.source_branch_id is not None  # noqa: S101 - without one it was refused
        until = None if progress.expiry_refused else before.expires_at
        try:
            made = databases.create_branch(before.name, progress.source_branch_id, with_endpoint=True, expires_at=until)
        except RequestRefused as refused:
            if until is None:
                raise
            note = f"the new branch {before.name} was asked for without expires_at {until}: {refused}"
            return (), {"expiry_refused": str(refused), "notes": progress.add_note(note).notes}
        return made.operations, {"branch_id": made.branch.id}

    def _expire(branch_id: str) -> SendResult:
        """Not every plan of Neon's knows it; then the backup stays until somebody deletes it."""
        try:
            return databases.expire_branch(branch_id, expires_at).operations, {}
        except CallRefused as refused:
            note = f"delete {backup_name(rollback.id)} when nobody needs it any more: {refused}"
            return (), {"is_expiry_settled": True, "notes": progress.add_note(note).notes}

    renames = move is RecreateMove.RENAME_OLD
    taken_back = {"restore_asked_at": None} if renames else {}
    return send_announced(rollback, progress, call, restoring, world, **taken_back)


def _fields_on_announcement(progress: DatabaseProgress, move: RecreateMove, world: World) -> dict[str, object]:
    match move:
        case RecreateMove.RENAME_OLD:
            return {"restore_asked_at": progress.restore_asked_at or world.clock.now()}
        case RecreateMove.WRITE_SECRET:
            return {"is_redeploy_needed": True}
        case RecreateMove.DELETE_NEW:
            return {"is_redeploy_needed": False}  # the secret was seen to name the old one
        case _:
            return {}


def _write_secret(
    rollback: Rollback,
    progress: DatabaseProgress,
    seen: RecreateSnapshot,
    settings: DatabaseSettings,
    restoring: RestoreContext,
    world: World,
) -> Rollback:
    """It was looked at, and names the old branch. What fails twice is given up: services still reach the old one.

    What is refused for good is given up at once.
    """
    arn, keys = settings.connection_secret_arn, SecretKeys.of(settings)
    assert arn is not None  # noqa: S101 - the move says so
    assert seen.named is not None  # noqa: S101
    try:
        secret = world.secrets.read(arn)
        wanted = with_uri(secret, keys, service_address(seen.named.id, secret, keys, restoring))
    except InvalidRequest as error:
        return rollback.evolve(database=progress.mark_failed(str(error), world.clock.now()), wait_seconds=0)
    failure: list[ExternalServiceError] = []

    def call() -> SendResult:
        try:
            world.secrets.write(arn, wanted, token_of(rollback.id))
        except Throttled:
            raise
        except ExternalServiceError as error:
            failure.append(error)
            raise OutcomeUnknown(str(error)) from error
        return (), {}

    after = send_announced(rollback, progress, call, restoring, world)
    if not failure or after.database is None:
        return after
    failed = after.database.evolve(secret_failure=str(failure[0]))
    if progress.secret_failure is not None or isinstance(failure[0], CallRefused):
        failed = failed.mark_failed(str(failure[0]), world.clock.now())
    return after.evolve(database=failed)
