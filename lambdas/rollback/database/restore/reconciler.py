"""Restore: bring a root branch back to its restore point, one safe move at a time.

Called until `rollback.database.ending` says how it ended: on a preview first, then behind the fence, and never twice.
Neon knows nothing of our lease; what keeps a second restore from happening is the backup's name, which follows from the
rollback's id: Neon refuses a name that is taken.
"""

from datetime import datetime, timedelta

from rollback.canonical_json import sha256_of
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.carry_sequences import (
    carry_sequences,
    read_sequences_on_branch,
    record_sequences,
    reset_sequences,
)
from rollback.database.changes.fence import recheck_fence
from rollback.database.changes.lost_replication import note_lost_replication
from rollback.database.changes.reconcile import outcome_after_failure, reconcile, with_retry
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.preflight import preflight_of_restore
from rollback.database.restore.acceptance import is_restore_request_lost
from rollback.database.restore.actions import announce_change, send_change, tolerate_refusal
from rollback.database.restore.next_action import (
    MOVES_BEHIND_FENCE,
    RESTORE_CHANGES,
    RestoreMove,
    RestoreSnapshot,
    find_restore_objection,
    next_restore_move,
)
from rollback.database.restore.observe import apply_observation, take_snapshot
from rollback.domain.database.progress import BACKUP_PREFIX, DatabaseOutcome, DatabaseProgress, RestorePoint
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.intents.waiting import change_deadline, seconds_to_wait
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.database.errors import (
    AlreadyExists,
    OutcomeUnknown,
    RetryLater,
)


def restore(rollback: Rollback, point: RestorePoint, restoring: RestoreContext, world: World) -> Rollback:
    """One look, at most one change.

    Raises:
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    if rollback.database is not None:
        return advance_restore(rollback, rollback.database, restoring, world)
    return begin_after_checks(
        rollback, lambda: preflight_of_restore(point, restoring, world.clock.now()), restoring, world, {"point": point}
    )


def advance_restore(
    rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World
) -> Rollback:
    """The next move of a restore or a reset that has begun. Raises as `restore`."""
    return reconcile(rollback, progress, restoring, world, _make_next_move)


def _make_next_move(
    rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World
) -> Rollback:
    now, policy = world.clock.now(), world.settings.policy
    seen = take_snapshot(rollback, progress, restoring, now)
    rollback = apply_observation(rollback, progress, seen, now)
    progress = rollback.database or progress
    against = find_restore_objection(seen, progress)
    if against is not None:
        progress = progress.mark_failed(against, now)
    if progress.why_not is not None and progress.restore_asked_at is not None and progress.backup_id is None:
        if now < _request_deadline(progress, restoring, world):
            return rollback.evolve(database=progress, wait_seconds=policy.poll_seconds)
        progress = _clear_lost_request(progress, seen, now)
    move = next_restore_move(seen, progress, carries_sequences=restoring.target.carry_sequences)
    if move in MOVES_BEHIND_FENCE and progress.head is None:
        return rollback.evolve(database=progress.evolve(previewed_at=now, moved_at=None), wait_seconds=0)
    progress = progress.record_move(move, now)
    if move in RESTORE_CHANGES:
        return _make_change(rollback, progress, move, restoring, world)
    match move:
        case RestoreMove.DONE:
            return rollback.evolve(database=progress.ended(DatabaseOutcome.RESTORED, now), wait_seconds=0)
        case RestoreMove.END:
            return rollback.evolve(database=progress.ended(outcome_after_failure(progress), now), wait_seconds=0)
        case RestoreMove.READ_SEQUENCES:

            def read() -> Rollback:
                return rollback.evolve(database=record_sequences(progress, restoring), wait_seconds=0)

            return with_retry(rollback, progress, read, world)
        case RestoreMove.CHECK_PREVIEW | RestoreMove.WAIT_FOR_ENDPOINT:

            def ask() -> Rollback:
                ask_sql = _check_preview if move is RestoreMove.CHECK_PREVIEW else _verify_restored_branch
                return rollback.evolve(database=ask_sql(progress, seen, restoring, now), wait_seconds=0)

            return with_retry(rollback, progress, ask, world)
        case _:
            return rollback.evolve(database=progress, wait_seconds=policy.poll_seconds)


def _request_deadline(progress: DatabaseProgress, restoring: RestoreContext, world: World) -> datetime:
    """A request whose answer was lost was sent before the restore was given up, and may still arrive."""
    given_up_at = progress.cleanup_started_at or world.clock.now()
    return change_deadline(given_up_at, restoring.target.lost_answer_seconds, world)


def _clear_lost_request(progress: DatabaseProgress, seen: RestoreSnapshot, now: datetime) -> DatabaseProgress:
    """Given up after a restore was asked for: where nothing tells of one by now, the branch is as it was."""
    if seen.branch is None or seen.is_busy:
        return progress
    if is_restore_request_lost(progress, seen.branch, seen.backup, has_begun=seen.restore_began):
        return progress.evolve(restore_asked_at=None, cleanup_started_at=now)
    return progress


def _make_change(
    rollback: Rollback, progress: DatabaseProgress, move: RestoreMove, restoring: RestoreContext, world: World
) -> Rollback:
    if move is RestoreMove.RESTORE:
        again = recheck_fence(rollback, progress, restoring, world)
        if again is not None:
            return rollback.evolve(database=reset_sequences(again).evolve(moved_at=None), wait_seconds=0)
    if move is RestoreMove.RESTORE and _source_expires(progress, restoring):
        return _keep_backup(rollback, progress, restoring, world)
    if progress.intent is None or progress.intent.action != move:
        return announce_change(rollback, progress, move, restoring, world)
    if move is RestoreMove.CARRY_SEQUENCES:
        return _carry_sequences(rollback, progress, restoring, world)
    poll = world.settings.policy.poll_seconds
    not_sent = progress.evolve(
        intent=None, restore_asked_at=None if move is RestoreMove.RESTORE else progress.restore_asked_at
    )
    try:
        return rollback.evolve(database=send_change(rollback, progress, move, restoring, world), wait_seconds=poll)
    except (OutcomeUnknown, AlreadyExists):  # the next look tells; until then it may still arrive
        return rollback.evolve(database=progress, wait_seconds=max(poll, restoring.target.lost_answer_seconds))
    except RetryLater as later:
        if move in (RestoreMove.PROTECT_AGAIN, RestoreMove.PROTECT_BACKUP):
            not_sent = _defer_protection_to_conclude(not_sent, str(later), restoring, world)
        return rollback.evolve(database=not_sent, wait_seconds=seconds_to_wait(later, world))
    except CallRefused as refused:
        without = tolerate_refusal(not_sent, move, refused)
        if without is not None:
            return rollback.evolve(database=without, wait_seconds=0)
        if move is RestoreMove.PROTECT_AGAIN:
            return rollback.evolve(
                database=not_sent.evolve(is_protection_deferred=True).add_note(_UNPROTECTED_BRANCH.format(refused))
            )
        return rollback.evolve(database=not_sent.mark_failed(str(refused), world.clock.now()), wait_seconds=poll)


_UNPROTECTED_BRANCH = "the branch could not be protected again at once, and services did not wait for that: {}"
_UNPROTECTED_BACKUP = (
    "the backup {} could not be protected in time, so any address reaches it: protect it in Neon's console: {}"
)


def _defer_protection_to_conclude(
    progress: DatabaseProgress, why: str, restoring: RestoreContext, world: World
) -> DatabaseProgress:
    """The data is as it is to be: somebody else's change of the project keeps no service at zero."""
    limit = timedelta(seconds=restoring.target.protect_timeout_seconds)
    if progress.moved_at is None or world.clock.now() - progress.moved_at < limit:
        return progress
    if progress.moves[-1:] == (RestoreMove.PROTECT_BACKUP,):
        return progress.add_note(_UNPROTECTED_BACKUP.format(progress.backup_id, why)).evolve(
            is_backup_protection_settled=True
        )
    return progress.evolve(is_protection_deferred=True).add_note(_UNPROTECTED_BRANCH.format(why))


def _carry_sequences(
    rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World
) -> Rollback:
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    try:
        carried = carry_sequences(progress, restoring, world.clock.now())
    except RetryLater as later:  # announced already, and idempotent
        return rollback.evolve(database=progress, wait_seconds=seconds_to_wait(later, world))
    return rollback.evolve(database=carried, wait_seconds=0)


def _source_expires(progress: DatabaseProgress, restoring: RestoreContext) -> bool:
    """Whether the source is a backup of ours that Neon is to delete: it becomes the branch's parent, and must stay."""
    if progress.source_branch_id is None or progress.is_expiry_settled:
        return False
    source = restoring.databases.branch(progress.source_branch_id)
    return source is not None and source.name.startswith(BACKUP_PREFIX) and source.expires_at is not None


def _keep_backup(rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World) -> Rollback:
    """Asked for without an announcement: twice is as good as once, and the next look tells."""
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    assert progress.source_branch_id is not None  # noqa: S101 - it was looked at
    poll = world.settings.policy.poll_seconds
    try:
        change = restoring.databases.expire_branch(progress.source_branch_id, None)
    except (OutcomeUnknown, AlreadyExists):
        return rollback.evolve(database=progress, wait_seconds=poll)
    except CallRefused as refused:
        note = f"backup {progress.source_branch_id} may expire, though the branch comes from it now: {refused}"
        return rollback.evolve(database=progress.add_note(note).evolve(is_expiry_settled=True), wait_seconds=0)
    ids = (*progress.operation_ids, *(operation.id for operation in change.operations))
    return rollback.evolve(database=progress.evolve(operation_ids=ids), wait_seconds=poll)


def _check_preview(
    progress: DatabaseProgress, seen: RestoreSnapshot, restoring: RestoreContext, now: datetime
) -> DatabaseProgress:
    """Look at the restore point itself: its tables, its journal, and where exactly in the log it is."""
    assert seen.preview is not None  # noqa: S101 - the move says so
    address = restoring.address(seen.preview.id)
    schema, migrations = restoring.sql.live_schema(address), restoring.sql.migrations(address)
    assert progress.point is not None  # noqa: S101 - a reset has no preview
    lsn = seen.preview.parent_lsn or progress.point.lsn
    if lsn is None:
        return progress.mark_failed(f"Neon did not say which LSN {progress.point.at} is", now)
    return progress.evolve(
        refused_since=None,
        preview_lsn=lsn,
        preview_schema=sha256_of(schema.model_dump()),
        preview_checks=restoring.judge_preview(schema, migrations),
        preview_sequences=read_sequences_on_branch(seen.preview.id, restoring)
        if restoring.target.carry_sequences
        else None,
    )


def _verify_restored_branch(
    progress: DatabaseProgress, seen: RestoreSnapshot, restoring: RestoreContext, now: datetime
) -> DatabaseProgress:
    """The branch answers, and what is on it is what was looked at on the preview, if there was one."""
    assert seen.branch is not None  # noqa: S101 - the move says so
    address = restoring.address(seen.branch.id)
    schema = restoring.sql.live_schema(address)
    if progress.preview_schema not in (None, sha256_of(schema.model_dump())):
        return progress.mark_failed("the restored tables are not those that were looked at on the preview", now)
    return note_lost_replication(progress, address, restoring).evolve(verified_at=now, refused_since=None)
