"""What every way back of a database has in common: begun once, in time, under the leases, behind the fence.

A strategy adds its moves: one look and at most one change for each call. How it ended is told from whether a change
was sent that may have touched the branch's data.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.database.changes.fence import fence, hold_writers
from rollback.database.preflight.context import Restoring
from rollback.database.preflight.rules import do_limits_hang_on_protection, notes_of
from rollback.domain.database.progress import BranchBefore, DatabaseProgress, Ending
from rollback.domain.refusal import Refusal
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, LeaseLost, OutsideFailure
from rollback.intents.waiting import wait_for
from rollback.ports.world import World
from rollback.resources.database.errors import ComeBackLater, NotThere, SessionRefused

_REFUSED_FOR = timedelta(minutes=1)  # a branch that was just made or restarted: the proxy may know a former password
_TIDY_AT_ZERO = timedelta(minutes=1)  # what is left expires by itself, or is an obligation of Conclude's

OneMove = Callable[[Rollback, DatabaseProgress, Restoring, World], Rollback]


def begun(
    rollback: Rollback, checks: tuple[Check, ...], restoring: Restoring, now: datetime, **what: object
) -> Rollback:
    """Refused, or written down as the branch is before.

    Args:
        checks: made anew: since the plan was, a person may have taken an hour to approve it.
        what: fields of the progress: where the branch is to be brought.
    """
    branch_id, databases = restoring.target.branch_id, restoring.databases
    why = why_refused(rollback, checks)
    if why is not None:
        before = BranchBefore(name=branch_id, protected=False)
        refused = DatabaseProgress.model_validate({"started_at": now, "before": before, **what})
        refused = refused.given_up(why, now).ended(Ending.REFUSED, now)
        return rollback.but(database=refused, wait_seconds=0)
    branch = databases.branch(branch_id)
    if branch is None:
        raise NotThere(f"branch {branch_id} was deleted this moment; nothing was changed")
    before = BranchBefore.of(branch, databases.endpoints(branch_id))
    known = {"notes": notes_of(checks), "limits_hang_on_protection": do_limits_hang_on_protection(checks)}
    progress = DatabaseProgress.model_validate({"started_at": now, "before": before, **known, **what})
    return rollback.but(database=progress, wait_seconds=0)


def why_refused(rollback: Rollback, checks: tuple[Check, ...]) -> str | None:
    """None: nothing speaks against it that a person has not overridden."""
    against = [c for c in checks if c.verdict is Verdict.FAIL and not (rollback.request.force and c.forceable)]
    if not against:
        return None
    return f"{'; '.join(f'{check.name}: {check.reason}' for check in against)}; nothing was changed"


def take_turn(
    rollback: Rollback,
    progress: DatabaseProgress,
    restoring: Restoring,
    world: World,
    one_move: OneMove,
    *,
    fenced: bool = True,
    more_minutes: float = 0,
    is_reversible: bool | None = None,
) -> Rollback:
    """The next move of what has begun: the fence's until it stands, then the strategy's own.

    Args:
        fenced: whether anybody may write to the branch.
        more_minutes: than a restore may take.
        is_reversible: all that was changed can be taken back; by default while no change of the data was sent.

    Raises:
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        OutsideFailure: Neon or AWS could not be asked; nothing is lost, call again.
    """
    now = world.clock.now()
    if progress.ended_at is not None:
        return rollback.but(wait_seconds=0)
    progress = _in_time(progress, restoring, now, more_minutes)
    can_start_again = not progress.may_have_changed_data if is_reversible is None else is_reversible
    if fenced and can_start_again and progress.ended_at is None:
        progress = _move_in_time(progress, restoring, now)
    if progress.ended_at is not None:
        return rollback.but(database=progress, wait_seconds=0)
    if progress.why_not is None and fenced:
        progress = _holding(rollback, progress, restoring, world)

    def ask() -> Rollback:
        if fenced and progress.is_to_be_fenced:
            return fence(rollback, progress, restoring, world)
        return one_move(rollback, progress, restoring, world)

    return patiently(rollback, progress, ask, world)


def patiently(rollback: Rollback, progress: DatabaseProgress, ask: Callable[[], Rollback], world: World) -> Rollback:
    """Ask again while Neon, Postgres or AWS can't be asked; give up what they refuse for good."""
    try:
        return ask()
    except ComeBackLater as later:
        return rollback.but(database=progress, wait_seconds=wait_for(later, world))
    except SessionRefused as refused:
        now = world.clock.now()
        refused_since = progress.refused_since or now
        is_fresh = bool(progress.moves) or progress.restarted_at is not None
        if progress.why_not is None and is_fresh and now - refused_since < _REFUSED_FOR:
            waiting = progress.but(refused_since=refused_since)
            return rollback.but(database=waiting, wait_seconds=world.settings.policy.poll_seconds)
        return rollback.but(database=progress.given_up(str(refused), now), refusal=Refusal.of(refused), wait_seconds=0)
    except NotThere:  # deleted between two looks of this round
        return rollback.but(database=progress, wait_seconds=world.settings.policy.poll_seconds)
    except CallRefused as refused:
        given_up = progress.given_up(str(refused), world.clock.now())
        if progress.why_not is not None:  # to tidy up is refused too
            left = f"a branch that was made on the way may be left: {refused}"
            given_up = given_up.noted(left).ended(ending_of(progress), world.clock.now())
        return rollback.but(database=given_up, refusal=Refusal.of(refused), wait_seconds=0)
    except OutsideFailure:  # saved as it is: what is counted here is how long services stand at zero for it
        return rollback.but(database=progress, wait_seconds=world.settings.policy.poll_seconds)


def ending_of(progress: DatabaseProgress) -> Ending:
    """Of what was given up."""
    untouched = progress.backup_id is None and progress.restore_asked_at is None
    return Ending.REFUSED if untouched else Ending.FAILED


def _in_time(progress: DatabaseProgress, restoring: Restoring, now: datetime, more_minutes: float) -> DatabaseProgress:
    """What takes too long is given up; what can't be tidied up in time is left to whoever reads the report."""
    target = restoring.target
    if progress.tidying_since is not None:
        limit_of_tidying = timedelta(minutes=target.tidy_timeout_minutes)
        if ending_of(progress) is Ending.REFUSED and progress.stopped_at is not None:
            limit_of_tidying = min(limit_of_tidying, _TIDY_AT_ZERO)
        late = now - progress.tidying_since > limit_of_tidying
        return progress.ended(ending_of(progress), now) if late else progress
    limit = target.restore_timeout_minutes + more_minutes
    if now - progress.started_at <= timedelta(minutes=limit):
        return progress
    last = progress.moves[-1] if progress.moves else "the fence"
    return progress.given_up(f"not done in {limit:g} minutes; it was at {last}", now)


def _move_in_time(progress: DatabaseProgress, restoring: Restoring, now: datetime) -> DatabaseProgress:
    """Services stand at zero, and can be started again: no move waits for longer than it may take."""
    limit = timedelta(minutes=restoring.target.move_timeout_minutes)
    if progress.head is None:
        since, move = progress.stopped_at, "looking who is connected"
    else:
        since, move = progress.moved_at, progress.moves[-1] if progress.moves else ""
    if progress.why_not is not None or since is None or now - since <= limit:
        return progress
    why = f"{move} was not done in {limit.total_seconds() / 60:g} minutes, while services stood at zero"
    return progress.given_up(why, now)  # no collision: a look again would stop services again


def _holding(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> DatabaseProgress:
    """The other writers' leases. Before the fence begins, one that is not to be had is a refusal."""
    try:
        hold_writers(rollback, restoring.target.writers, world)
    except LeaseLost as lost:
        if rollback.is_fenced:
            raise
        collided = progress.but(collided=True)
        return collided.given_up(f"{lost}; wait for it; nothing was changed", world.clock.now())
    return progress
