"""Ask Neon, before a rollback concludes, what became of the change of the database that it announced last.

An abort, a crash or a lost lease may come between the sending of a call and the look that would have told. The looks
are the strategies' own; nothing is changed here (decision 18).
"""

from datetime import datetime, timedelta

from rollback.database.changes.reconcile import ending_of
from rollback.database.down_migrations import reconciler as down_migrations
from rollback.database.down_migrations.next_action import commands_of, current
from rollback.database.preflight.context import Restoring
from rollback.database.recreate import observe as database_recreate_look
from rollback.database.restore import observe as database_look
from rollback.database.restore.next_action import DatabaseSnapshot
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseProgress, Ending, backup_name
from rollback.domain.database.target import RestoreTarget
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.errors import CallRefused, InvalidRequest, OutsideFailure
from rollback.intents.waiting import lands_before
from rollback.ports.world import World

_WHY = "the rollback ended before the database's part did"


class _NotYet(Exception):
    """Neon does not tell yet; the text says what is waited for."""


def ask_what_became(rollback: Rollback, world: World) -> Rollback:
    """One look. The answer ends the database's part; without one in time it is said that it is not known."""
    progress, planned = rollback.database, rollback.plan.database if rollback.plan is not None else None
    assert progress is not None  # noqa: S101 - the caller looked
    now, poll = world.clock.now(), world.settings.policy.poll_seconds
    if planned is None or world.settings.database is None:
        return _settled(rollback, progress.but(not_known="no database is set any more"), now)
    target = RestoreTarget.of(world.settings, progress.before.id or planned.branch)
    restoring = Restoring(target=target, databases=world.databases, sql=world.sql)
    if now < _may_land_until(progress, restoring, world):
        return rollback.but(wait_seconds=poll)
    try:
        seen = _looked(rollback, progress.given_up(_WHY, now), planned, restoring, world)
        assert seen.database is not None  # noqa: S101 - a look takes nothing away
        return _settled(seen, seen.database, now)
    except (OutsideFailure, InvalidRequest, _NotYet) as failure:
        may_answer_later = not isinstance(failure, CallRefused)
        if may_answer_later and not _is_out_of_time(rollback, now, world):
            return rollback.but(wait_seconds=poll)
        return _settled(rollback, progress.but(not_known=str(failure) or type(failure).__name__), now)


def _is_out_of_time(rollback: Rollback, now: datetime, world: World) -> bool:
    """Half of the time to conclude: the other half is for what has to be put back."""
    since = rollback.concluding_since or now
    return now - since > timedelta(minutes=world.settings.policy.conclude_timeout_minutes / 2)


def _may_land_until(progress: DatabaseProgress, restoring: Restoring, world: World) -> datetime:
    """The time by which the last announced change was made or never will be."""
    if progress.intent is None:
        return progress.started_at
    return lands_before(progress.intent.at, restoring.target.lost_answer_seconds, world)


def _settled(rollback: Rollback, progress: DatabaseProgress, now: datetime) -> Rollback:
    """With the answer in the document; whoever was told that it is asked for is told the answer."""
    progress = progress.given_up(_WHY, now)
    ended = progress if progress.ended_at is not None else progress.ended(ending_of(progress), now)
    return rollback.but(database=ended.but(asked_at_end=now), reported=False, wait_seconds=0)


def _looked(
    rollback: Rollback, progress: DatabaseProgress, planned: DatabasePlan, restoring: Restoring, world: World
) -> Rollback:
    settings = world.settings.database
    assert settings is not None  # noqa: S101 - the caller looked
    match planned.strategy:
        case Strategy.RECREATE:
            return rollback.but(database=_of_recreate(rollback, progress, settings, restoring, world))
        case Strategy.DELETE:
            return rollback.but(database=_of_delete(progress, restoring, world))
        case Strategy.DOWN_MIGRATIONS:
            return rollback.but(database=_of_down(rollback, progress, planned, settings, restoring, world))
        case _:
            return _of_restore(rollback, progress, restoring, world)


def _of_restore(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    now = world.clock.now()
    seen = database_look.look(rollback, progress, restoring, now)
    _wait_for(busy=seen.operations == "running", what="its operations on the branch")
    rollback = database_look.noticed(rollback, progress, seen, now)
    progress = rollback.database or progress
    if seen.preview is not None:
        expires = seen.preview.expires_at is not None
        then = "it expires by itself, or delete it" if expires else "delete it in Neon's console: it does not expire"
        progress = progress.noted(f"preview branch {seen.preview.name} is left; {then}")
    is_open = seen.backup is not None and not seen.backup.protected
    if is_open and progress.limits_hang_on_protection and not progress.backup_protection_settled:
        name = backup_name(rollback.id)
        progress = progress.noted(f"any address reaches {name}: protect it in Neon's console, IP Allow hangs on that")
    if progress.restore_asked_at is not None and progress.backup_id is None:
        progress = _of_unseen_restore(rollback, progress, seen)
    return rollback.but(database=progress)


def _of_unseen_restore(rollback: Rollback, progress: DatabaseProgress, seen: DatabaseSnapshot) -> DatabaseProgress:
    """Backup and reset together mean that it was accepted; neither, that it was not; one alone tells nothing yet."""
    name = backup_name(rollback.id)
    if seen.branch is None:
        raise _NotYet(f"branch {progress.before.name} is gone: look in Neon's console who deleted it")
    if progress.before.is_reset(seen.branch):
        raise _NotYet(f"the branch was restored at {seen.branch.last_reset_at}, and there is no branch {name}")
    if seen.backup is not None:
        raise _NotYet(f"there is a branch {name}, and the branch itself does not say that it was restored")
    return progress.but(restore_asked_at=None)


def _of_recreate(
    rollback: Rollback,
    progress: DatabaseProgress,
    settings: DatabaseSettings,
    restoring: Restoring,
    world: World,
) -> DatabaseProgress:
    seen = database_recreate_look.look(progress, settings, restoring, world)
    _wait_for(busy=seen.operations == "running", what="its operations on the branches")
    progress = database_recreate_look.noticed(rollback, progress, seen, restoring, world)
    name, backup = progress.before.name, backup_name(rollback.id)
    if seen.old is None:
        raise _NotYet(f"branch {name} is gone: look in Neon's console who deleted it")
    if progress.backup_id is not None and seen.named is None:
        return progress.noted(f"no branch is called {name} now: in Neon's console, rename {backup} back to {name}")
    if progress.backup_id is not None and seen.named is not None:
        return progress.noted(f"branch {name} is {seen.named.id} now, and {backup} is what it was before")
    return progress


def _of_delete(progress: DatabaseProgress, restoring: Restoring, world: World) -> DatabaseProgress:
    now = world.clock.now()
    assert progress.before.id is not None  # noqa: S101 - it was there when the deletion began
    branch = restoring.databases.branch(progress.before.id)
    _wait_for(
        busy=database_look.work_on(progress, (branch,), restoring, now) == "running", what="its operation on the branch"
    )
    if branch is not None:
        return progress.but(restore_asked_at=None)
    gone = f"branch {progress.before.name} was deleted; Neon's console has it back for seven days"
    return progress.noted(gone).ended(Ending.RESTORED, now)


def _of_down(
    rollback: Rollback,
    progress: DatabaseProgress,
    planned: DatabasePlan,
    settings: DatabaseSettings,
    restoring: Restoring,
    world: World,
) -> DatabaseProgress:
    seen = down_migrations.look(rollback, progress, restoring, world.clock.now())
    progress = down_migrations.noticed(rollback, progress, commands_of(settings, planned.migrations), world)
    _wait_for(busy=seen.operations == "running", what="its operations on the branch")
    running = current(progress)
    if running is not None:
        raise _NotYet(f"the task of {running.name}, {running.arn}, still runs")
    if all(run.never_started for run in progress.ran):
        progress = progress.but(restore_asked_at=None, backup_id=None)
        if seen.backup is not None:
            progress = progress.noted(f"delete {seen.backup.name}: no command ran, and nobody needs it")
    return progress


def _wait_for(*, busy: bool, what: str) -> None:
    if busy:
        raise _NotYet(f"Neon has not ended {what}")
