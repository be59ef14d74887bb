"""The changes a restore makes to a branch: announced in the ledger, then sent under the lease (rule 9)."""

from datetime import timedelta

from rollback.database.preflight.context import RestoreContext
from rollback.database.restore.next_action import RestoreMove
from rollback.domain.database.progress import DatabaseIntent, DatabaseProgress, backup_name, preview_name
from rollback.domain.rollback import Obligation, ObligationKind, Rollback
from rollback.errors import CallRefused
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.database.errors import RequestRefused
from rollback.resources.database.neon import BranchChange


def has_new_intent(before: Rollback, after: Rollback) -> bool:
    """Whether a step announced a change to the database or its writers: saved only under the lease (rule 9)."""
    intent = after.database.intent if after.database is not None else None
    was = before.database.intent if before.database is not None else None
    return (intent is not None and intent != was) or len(after.obligations) > len(before.obligations)


def announce_change(
    rollback: Rollback, progress: DatabaseProgress, move: RestoreMove, restoring: RestoreContext, world: World
) -> Rollback:
    """Write down what the next call will do."""
    now = world.clock.now()
    intended = progress.confirm_intent().evolve(intent=DatabaseIntent(action=move, at=now))
    if move is RestoreMove.RESTORE:
        intended = intended.evolve(restore_asked_at=now)
    owed: tuple[Obligation, ...] = ()
    if move is RestoreMove.UNPROTECT:
        before = {"branch_id": restoring.target.branch_id, "protected": True}
        protection = Obligation(kind=ObligationKind.BRANCH_PROTECTION, before=before)
        owed = rollback.keep_unrecorded((protection,))
    return rollback.evolve(database=intended, obligations=(*rollback.obligations, *owed), wait_seconds=0)


def send_change(
    rollback: Rollback, progress: DatabaseProgress, move: RestoreMove, restoring: RestoreContext, world: World
) -> DatabaseProgress:
    """Send the announced change.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
        ExternalServiceError: see `model.database_errors`.
    """
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    change = _send(rollback, progress, move, restoring, world)
    fresh = tuple(operation.id for operation in change.operations) if change is not None else ()
    answered = world.clock.now() if move is RestoreMove.RESTORE else progress.restore_answered_at
    return progress.evolve(
        intent=None, operation_ids=(*progress.operation_ids, *fresh), restore_answered_at=answered, refused_since=None
    )


def tolerate_refusal(progress: DatabaseProgress, move: RestoreMove, refused: CallRefused) -> DatabaseProgress | None:
    """The way on after a refusal of what is good to have and not needed; None: it is needed.

    - A preview that expires: not with the Data API (https://neon.com/docs/guides/branch-expiration). Whatever Neon's
      reason was, the second request without `expires_at` tells whether it was that.
    - The backup's protection: a plan allows so many protected branches.
    """
    if move is RestoreMove.CREATE_PREVIEW and isinstance(refused, RequestRefused) and progress.expiry_refused is None:
        return progress.evolve(expiry_refused=str(refused))
    if move is RestoreMove.PROTECT_BACKUP:
        note = (
            f"the backup {progress.backup_id} could not be protected, so any address reaches it: protect it, or delete "
            f"its compute, in Neon's console: {refused}"
        )
        return progress.add_note(note).evolve(is_backup_protection_settled=True)
    return None


def _send(
    rollback: Rollback, progress: DatabaseProgress, move: RestoreMove, restoring: RestoreContext, world: World
) -> BranchChange | None:
    databases, target = restoring.databases, restoring.target
    match move:
        case RestoreMove.CREATE_PREVIEW:
            assert progress.point is not None  # noqa: S101 - a reset has no preview
            at, now = progress.point.lsn or progress.point.at, world.clock.now()
            expires_at = None if progress.expiry_refused else now + timedelta(hours=target.preview_hours)
            name = preview_name(rollback.id)
            return databases.create_branch(name, target.branch_id, at, with_endpoint=True, expires_at=expires_at)
        case RestoreMove.DELETE_PREVIEW:
            assert progress.preview_id is not None  # noqa: S101 - it was seen
            return databases.delete_branch(progress.preview_id)
        case RestoreMove.RESTORE:
            source = progress.source_branch_id or target.branch_id
            return databases.restore(target.branch_id, source, progress.preview_lsn, backup_name(rollback.id))
        case RestoreMove.UNPROTECT | RestoreMove.PROTECT_AGAIN:
            return databases.update_branch(target.branch_id, protected=move is RestoreMove.PROTECT_AGAIN)
        case RestoreMove.PROTECT_BACKUP:
            assert progress.backup_id is not None  # noqa: S101 - it was seen
            return databases.update_branch(progress.backup_id, protected=True)
        case _:
            raise AssertionError(f"{move} changes nothing")
