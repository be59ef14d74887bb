"""Restore: bring a root branch back to its restore point, one safe move at a time.

Called until `rollback.database.ending` says how it ended: on a preview first, then behind the fence, and never twice.
Neon knows nothing of our lease; what keeps a second restore from happening is the backup's name, which follows from the
rollback's id: Neon refuses a name that is taken.
"""

from datetime import datetime, timedelta

from rollback.canonical_json import sha256_of
from rollback.database.changes.begin import begin
from rollback.database.changes.carry_sequences import (
    carry_sequences,
    read_sequences,
    sequences_at,
    with_sequences_to_read,
)
from rollback.database.changes.fence import refenced
from rollback.database.changes.lost_replication import told_of_lost_work
from rollback.database.changes.reconcile import ending_of, patiently, take_turn
from rollback.database.preflight.context import Restoring
from rollback.database.preflight.preflight import preflight
from rollback.database.restore.acceptance import was_never_made
from rollback.database.restore.actions import act, intend, without_extras
from rollback.database.restore.next_action import (
    BEHIND_THE_FENCE,
    CHANGES,
    DatabaseSnapshot,
    Move,
    next_move,
    objection,
)
from rollback.database.restore.observe import look, noticed
from rollback.domain.database.progress import BACKUP_PREFIX, DatabaseProgress, Ending, RestorePoint
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.intents.waiting import lands_before, wait_for
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.database.errors import (
    AlreadyExists,
    ComeBackLater,
    OutcomeUnknown,
)


def restore(rollback: Rollback, point: RestorePoint, restoring: Restoring, world: World) -> Rollback:
    """One look, at most one change.

    Raises:
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        OutsideFailure: Neon or AWS could not be asked; nothing is lost, call again.
    """
    if rollback.database is not None:
        return go_on(rollback, rollback.database, restoring, world)
    return begin(rollback, lambda: preflight(point, restoring, world.clock.now()), restoring, world, {"point": point})


def go_on(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    """The next move of a restore or a reset that has begun. Raises as `restore`."""
    return take_turn(rollback, progress, restoring, world, _one_move)


def _one_move(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    now, policy = world.clock.now(), world.settings.policy
    seen = look(rollback, progress, restoring, now)
    rollback = noticed(rollback, progress, seen, now)
    progress = rollback.database or progress
    against = objection(seen, progress)
    if against is not None:
        progress = progress.given_up(against, now)
    if progress.why_not is not None and progress.restore_asked_at is not None and progress.backup_id is None:
        if now < _may_land_until(progress, restoring, world):
            return rollback.but(database=progress, wait_seconds=policy.poll_seconds)
        progress = _taken_back(progress, seen, now)
    move = next_move(seen, progress, carries_sequences=restoring.target.carry_sequences)
    if move in BEHIND_THE_FENCE and progress.head is None:
        return rollback.but(database=progress.but(previewed_at=now, moved_at=None), wait_seconds=0)
    progress = progress.moved(move, now)
    if move in CHANGES:
        return _change(rollback, progress, move, restoring, world)
    match move:
        case Move.DONE:
            return rollback.but(database=progress.ended(Ending.RESTORED, now), wait_seconds=0)
        case Move.END:
            return rollback.but(database=progress.ended(ending_of(progress), now), wait_seconds=0)
        case Move.READ_SEQUENCES:

            def read() -> Rollback:
                return rollback.but(database=read_sequences(progress, restoring), wait_seconds=0)

            return patiently(rollback, progress, read, world)
        case Move.CHECK_PREVIEW | Move.WAIT_FOR_ENDPOINT:

            def ask() -> Rollback:
                ask_sql = _checked if move is Move.CHECK_PREVIEW else _verified
                return rollback.but(database=ask_sql(progress, seen, restoring, now), wait_seconds=0)

            return patiently(rollback, progress, ask, world)
        case _:
            return rollback.but(database=progress, wait_seconds=policy.poll_seconds)


def _may_land_until(progress: DatabaseProgress, restoring: Restoring, world: World) -> datetime:
    """A request whose answer was lost was sent before the restore was given up, and may still arrive."""
    given_up_at = progress.tidying_since or world.clock.now()
    return lands_before(given_up_at, restoring.target.lost_answer_seconds, world)


def _taken_back(progress: DatabaseProgress, seen: DatabaseSnapshot, now: datetime) -> DatabaseProgress:
    """Given up after a restore was asked for: where nothing tells of one by now, the branch is as it was."""
    if seen.branch is None or seen.is_busy:
        return progress
    if was_never_made(progress, seen.branch, seen.backup, has_begun=seen.restore_began):
        return progress.but(restore_asked_at=None, tidying_since=now)
    return progress


def _change(rollback: Rollback, progress: DatabaseProgress, move: Move, restoring: Restoring, world: World) -> Rollback:
    if move is Move.RESTORE:
        again = refenced(rollback, progress, restoring, world)
        if again is not None:
            return rollback.but(database=with_sequences_to_read(again).but(moved_at=None), wait_seconds=0)
    if move is Move.RESTORE and _source_expires(progress, restoring):
        return _keep_backup(rollback, progress, restoring, world)
    if progress.intent is None or progress.intent.action != move:
        return intend(rollback, progress, move, restoring, world)
    if move is Move.CARRY_SEQUENCES:
        return _carry(rollback, progress, restoring, world)
    poll = world.settings.policy.poll_seconds
    not_sent = progress.but(intent=None, restore_asked_at=None if move is Move.RESTORE else progress.restore_asked_at)
    try:
        return rollback.but(database=act(rollback, progress, move, restoring, world), wait_seconds=poll)
    except (OutcomeUnknown, AlreadyExists):  # the next look tells; until then it may still arrive
        return rollback.but(database=progress, wait_seconds=max(poll, restoring.target.lost_answer_seconds))
    except ComeBackLater as later:
        if move in (Move.PROTECT_AGAIN, Move.PROTECT_BACKUP):
            not_sent = _left_to_conclude(not_sent, str(later), restoring, world)
        return rollback.but(database=not_sent, wait_seconds=wait_for(later, world))
    except CallRefused as refused:
        without = without_extras(not_sent, move, refused)
        if without is not None:
            return rollback.but(database=without, wait_seconds=0)
        if move is Move.PROTECT_AGAIN:
            return rollback.but(database=not_sent.but(protection_left=True).noted(_UNPROTECTED.format(refused)))
        return rollback.but(database=not_sent.given_up(str(refused), world.clock.now()), wait_seconds=poll)


_UNPROTECTED = "the branch could not be protected again at once, and services did not wait for that: {}"
_OPEN_BACKUP = (
    "the backup {} could not be protected in time, so any address reaches it: protect it in Neon's console: {}"
)


def _left_to_conclude(progress: DatabaseProgress, why: str, restoring: Restoring, world: World) -> DatabaseProgress:
    """The data is as it is to be: somebody else's change of the project keeps no service at zero."""
    limit = timedelta(seconds=restoring.target.protect_timeout_seconds)
    if progress.moved_at is None or world.clock.now() - progress.moved_at < limit:
        return progress
    if progress.moves[-1:] == (Move.PROTECT_BACKUP,):
        return progress.noted(_OPEN_BACKUP.format(progress.backup_id, why)).but(backup_protection_settled=True)
    return progress.but(protection_left=True).noted(_UNPROTECTED.format(why))


def _carry(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    try:
        carried = carry_sequences(progress, restoring, world.clock.now())
    except ComeBackLater as later:  # announced already, and idempotent
        return rollback.but(database=progress, wait_seconds=wait_for(later, world))
    return rollback.but(database=carried, wait_seconds=0)


def _source_expires(progress: DatabaseProgress, restoring: Restoring) -> bool:
    """Whether the source is a backup of ours that Neon is to delete: it becomes the branch's parent, and must stay."""
    if progress.source_branch_id is None or progress.expiry_settled:
        return False
    source = restoring.databases.branch(progress.source_branch_id)
    return source is not None and source.name.startswith(BACKUP_PREFIX) and source.expires_at is not None


def _keep_backup(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    """Asked for without an announcement: twice is as good as once, and the next look tells."""
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    assert progress.source_branch_id is not None  # noqa: S101 - it was looked at
    poll = world.settings.policy.poll_seconds
    try:
        change = restoring.databases.expire_branch(progress.source_branch_id, None)
    except (OutcomeUnknown, AlreadyExists):
        return rollback.but(database=progress, wait_seconds=poll)
    except CallRefused as refused:
        note = f"backup {progress.source_branch_id} may expire, though the branch comes from it now: {refused}"
        return rollback.but(database=progress.noted(note).but(expiry_settled=True), wait_seconds=0)
    ids = (*progress.operation_ids, *(operation.id for operation in change.operations))
    return rollback.but(database=progress.but(operation_ids=ids), wait_seconds=poll)


def _checked(
    progress: DatabaseProgress, seen: DatabaseSnapshot, restoring: Restoring, now: datetime
) -> DatabaseProgress:
    """Look at the restore point itself: its tables, its journal, and where exactly in the log it is."""
    assert seen.preview is not None  # noqa: S101 - the move says so
    address = restoring.address(seen.preview.id)
    schema, migrations = restoring.sql.live_schema(address), restoring.sql.migrations(address)
    assert progress.point is not None  # noqa: S101 - a reset has no preview
    lsn = seen.preview.parent_lsn or progress.point.lsn
    if lsn is None:
        return progress.given_up(f"Neon did not say which LSN {progress.point.at} is", now)
    return progress.but(
        refused_since=None,
        preview_lsn=lsn,
        preview_schema=sha256_of(schema.model_dump()),
        preview_checks=restoring.judge_preview(schema, migrations),
        preview_sequences=sequences_at(seen.preview.id, restoring) if restoring.target.carry_sequences else None,
    )


def _verified(
    progress: DatabaseProgress, seen: DatabaseSnapshot, restoring: Restoring, now: datetime
) -> DatabaseProgress:
    """The branch answers, and what is on it is what was looked at on the preview, if there was one."""
    assert seen.branch is not None  # noqa: S101 - the move says so
    address = restoring.address(seen.branch.id)
    schema = restoring.sql.live_schema(address)
    if progress.preview_schema not in (None, sha256_of(schema.model_dump())):
        return progress.given_up("the restored tables are not those that were looked at on the preview", now)
    return told_of_lost_work(progress, address, restoring).but(verified_at=now, refused_since=None)
