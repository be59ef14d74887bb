"""Restore: bring a root branch back to its restore point, one safe move at a time.

Called until `rollback.database.ending` says how it ended: behind the fence, on a preview first, and never twice. Neon
knows nothing of our lease; what keeps a second restore from happening is the backup's name, which follows from the
rollback's id: Neon refuses a name that is taken.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from rollback.model.check import Check, Verdict
from rollback.model.database_errors import (
    AccessRefused,
    AlreadyExists,
    ComeBackLater,
    NotThere,
    OutcomeUnknown,
    QueryFailed,
    RequestRefused,
)
from rollback.model.database_move import CHANGES, DatabaseSnapshot, Move, next_move, objection
from rollback.model.database_progress import BranchBefore, DatabaseProgress, Ending, RestorePoint
from rollback.model.errors import LeaseLost
from rollback.model.release import sha256_of
from rollback.model.rollback import Rollback
from rollback.steps.database_changes import act, intend
from rollback.steps.database_look import look, noticed
from rollback.steps.database_preflight import preflight
from rollback.steps.fence import fence, hold_writers, stands
from rollback.steps.ports import World
from rollback.steps.restoring import Restoring


def restore(rollback: Rollback, point: RestorePoint, restoring: Restoring, world: World) -> Rollback:
    """One look, at most one change.

    Raises:
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        OutsideFailure: Neon or AWS could not be asked; nothing is lost, call again.
    """
    now = world.clock.now()
    if rollback.database is not None:
        return go_on(rollback, rollback.database, restoring, world)
    return begun(rollback, preflight(point, restoring, now), restoring, now, point=point)


def begun(
    rollback: Rollback, checks: tuple[Check, ...], restoring: Restoring, now: datetime, **what: object
) -> Rollback:
    """Refused, or written down as the branch is before.

    Args:
        checks: made anew: since the plan was, a person may have taken an hour to approve it.
        what: fields of the progress: where the branch is to be brought.
    """
    branch_id, databases = restoring.target.branch_id, restoring.databases
    against = [c for c in checks if c.verdict is Verdict.FAIL and not (rollback.request.force and c.forceable)]
    if against:
        why = "; ".join(f"{check.name}: {check.reason}" for check in against)
        before = BranchBefore(name=branch_id, protected=False)
        refused = DatabaseProgress.model_validate({"started_at": now, "before": before, **what})
        refused = refused.given_up(f"{why}; nothing was changed", now).ended(Ending.REFUSED, now)
        return rollback.but(database=refused, wait_seconds=0)
    branch = databases.branch(branch_id)
    if branch is None:
        raise NotThere(f"branch {branch_id} was deleted this moment; nothing was changed")
    before = BranchBefore.of(branch, databases.endpoints(branch_id))
    progress = DatabaseProgress.model_validate({"started_at": now, "before": before, **what})
    return rollback.but(database=progress, wait_seconds=0)


def go_on(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    """The next move of a restore or a reset that has begun. Raises as `restore`."""
    now = world.clock.now()
    if progress.ended_at is not None:
        return rollback.but(wait_seconds=0)
    progress = _in_time(progress, restoring, now)
    if progress.ended_at is not None:
        return rollback.but(database=progress, wait_seconds=0)
    if progress.why_not is None:
        progress = _holding(rollback, progress, restoring, world)

    def ask() -> Rollback:
        if progress.why_not is None and progress.head is None:
            return fence(rollback, progress, restoring, world)
        return _one_move(rollback, progress, restoring, world)

    return _patiently(rollback, progress, ask, world)


def _patiently(rollback: Rollback, progress: DatabaseProgress, ask: Callable[[], Rollback], world: World) -> Rollback:
    """Who can't be asked now is asked again; what Postgres refuses to tell can't be waited for."""
    try:
        return ask()
    except ComeBackLater as later:
        return rollback.but(database=progress, wait_seconds=_wait(later, world))
    except QueryFailed as failed:
        return rollback.but(database=progress.given_up(str(failed), world.clock.now()), wait_seconds=0)


def _wait(later: ComeBackLater, world: World) -> int:
    return max(world.settings.policy.poll_seconds, ceil(later.retry_after_seconds or 0))


def _in_time(progress: DatabaseProgress, restoring: Restoring, now: datetime) -> DatabaseProgress:
    """What takes too long is given up; what can't be tidied up in time is left to whoever reads the report."""
    target = restoring.target
    if progress.tidying_since is not None:
        late = now - progress.tidying_since > timedelta(minutes=target.tidy_timeout_minutes)
        return progress.ended(_ending(progress), now) if late else progress
    if now - progress.started_at <= timedelta(minutes=target.restore_timeout_minutes):
        return progress
    last = progress.moves[-1] if progress.moves else "the fence"
    return progress.given_up(f"not done in {target.restore_timeout_minutes:g} minutes; it was at {last}", now)


def _ending(progress: DatabaseProgress) -> Ending:
    untouched = progress.backup_id is None and progress.restore_asked_at is None
    return Ending.REFUSED if untouched else Ending.FAILED


def _holding(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> DatabaseProgress:
    """The other writers' leases. Before the fence begins, one that is not to be had is a refusal."""
    try:
        hold_writers(rollback, restoring.target.writers, world)
    except LeaseLost as lost:
        if rollback.is_fenced:
            raise
        return progress.given_up(f"{lost}; wait for it; nothing was changed", world.clock.now())
    return progress


def _one_move(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    now, policy = world.clock.now(), world.settings.policy
    seen = look(rollback, progress, restoring, now)
    rollback = noticed(rollback, progress, seen, now)
    progress = rollback.database or progress
    against = objection(seen, progress)
    if against is not None:
        progress = progress.given_up(against, now)
    move = next_move(seen, progress)
    progress = progress.moved(move)
    if move in CHANGES:
        return _change(rollback, progress, move, restoring, world)
    match move:
        case Move.DONE:
            return rollback.but(database=progress.ended(Ending.RESTORED, now), wait_seconds=0)
        case Move.END:
            return rollback.but(database=progress.ended(_ending(progress), now), wait_seconds=0)
        case Move.CHECK_PREVIEW | Move.WAIT_FOR_ENDPOINT:

            def ask() -> Rollback:
                ask_sql = _checked if move is Move.CHECK_PREVIEW else _verified
                return rollback.but(database=ask_sql(progress, seen, restoring, now), wait_seconds=0)

            return _patiently(rollback, progress, ask, world)
        case _:
            return rollback.but(database=progress, wait_seconds=policy.poll_seconds)


def _change(rollback: Rollback, progress: DatabaseProgress, move: Move, restoring: Restoring, world: World) -> Rollback:
    if move is Move.RESTORE and not stands(restoring.target.writers, world):
        again = progress.but(head=None, stopped_at=None, intent=None)  # somebody started tasks: they write
        return rollback.but(database=again, wait_seconds=0)
    if progress.intent is None or progress.intent.action != move:
        return intend(rollback, progress, move, restoring, world)
    poll = world.settings.policy.poll_seconds
    not_sent = progress.but(intent=None, restore_asked_at=None if move is Move.RESTORE else progress.restore_asked_at)
    try:
        return rollback.but(database=act(rollback, progress, move, restoring, world), wait_seconds=poll)
    except (OutcomeUnknown, AlreadyExists):  # the next look tells; until then it may still arrive
        return rollback.but(database=progress, wait_seconds=max(poll, restoring.target.lost_answer_seconds))
    except ComeBackLater as later:
        return rollback.but(database=not_sent, wait_seconds=_wait(later, world))
    except (RequestRefused, AccessRefused, NotThere) as refused:
        return rollback.but(database=not_sent.given_up(str(refused), world.clock.now()), wait_seconds=poll)


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
        preview_lsn=lsn,
        preview_schema=sha256_of(schema.model_dump()),
        preview_checks=restoring.judge_preview(schema, migrations),
    )


def _verified(
    progress: DatabaseProgress, seen: DatabaseSnapshot, restoring: Restoring, now: datetime
) -> DatabaseProgress:
    """The branch answers, and what is on it is what was looked at on the preview, if there was one."""
    assert seen.branch is not None  # noqa: S101 - the move says so
    schema = restoring.sql.live_schema(restoring.address(seen.branch.id))
    if progress.preview_schema not in (None, sha256_of(schema.model_dump())):
        return progress.given_up("the restored tables are not those that were looked at on the preview", now)
    return progress.but(verified_at=now)
