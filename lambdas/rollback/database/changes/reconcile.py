"""What every way back of a database has in common: begun once, in time, under the leases, behind the fence.

A strategy adds its moves: one look and at most one change for each call. How it ended is told from whether a change
was sent that may have touched the branch's data.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.database.changes.fence import fence, hold_writer_leases
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.restore_rules import collect_notes, has_protected_only_ip_allow
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, OriginalBranch
from rollback.domain.refusal import Refusal
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError, LeaseLost
from rollback.intents.waiting import seconds_to_wait
from rollback.ports.world import World
from rollback.resources.database.errors import NotFound, RetryLater, SessionRefused

_SESSION_REFUSAL_LIMIT = timedelta(
    minutes=1
)  # a branch that was just made or restarted: the proxy may know a former password
_CLEANUP_LIMIT_AT_ZERO = timedelta(minutes=1)  # what is left expires by itself, or is an obligation of Conclude's

OneMove = Callable[[Rollback, DatabaseProgress, RestoreContext, World], Rollback]


def start_progress(
    rollback: Rollback, checks: tuple[Check, ...], restoring: RestoreContext, now: datetime, **what: object
) -> Rollback:
    """Refused, or written down as the branch is before.

    Args:
        checks: made anew: since the plan was, a person may have taken an hour to approve it.
        what: fields of the progress: where the branch is to be brought.
    """
    branch_id, databases = restoring.target.branch_id, restoring.databases
    why = why_refused(rollback, checks)
    if why is not None:
        before = OriginalBranch(name=branch_id, protected=False)
        refused = DatabaseProgress.model_validate({"started_at": now, "before": before, **what})
        refused = refused.mark_failed(why, now).ended(DatabaseOutcome.REFUSED, now)
        return rollback.evolve(database=refused, wait_seconds=0)
    branch = databases.branch(branch_id)
    if branch is None:
        raise NotFound(f"branch {branch_id} was deleted this moment; nothing was changed")
    before = OriginalBranch.of(branch, databases.endpoints(branch_id))
    known = {"notes": collect_notes(checks), "is_ip_allow_protected_only": has_protected_only_ip_allow(checks)}
    progress = DatabaseProgress.model_validate({"started_at": now, "before": before, **known, **what})
    return rollback.evolve(database=progress, wait_seconds=0)


def why_refused(rollback: Rollback, checks: tuple[Check, ...]) -> str | None:
    """None: nothing speaks against it that a person has not overridden."""
    against = [c for c in checks if c.verdict is Verdict.FAIL and not (rollback.request.force and c.forceable)]
    if not against:
        return None
    return f"{'; '.join(f'{check.name}: {check.reason}' for check in against)}; nothing was changed"


def reconcile(
    rollback: Rollback,
    progress: DatabaseProgress,
    restoring: RestoreContext,
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
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    now = world.clock.now()
    if progress.ended_at is not None:
        return rollback.evolve(wait_seconds=0)
    progress = _enforce_timeout(progress, restoring, now, more_minutes)
    can_start_again = not progress.may_have_changed_data if is_reversible is None else is_reversible
    if fenced and can_start_again and progress.ended_at is None:
        progress = _enforce_move_timeout(progress, restoring, now)
    if progress.ended_at is not None:
        return rollback.evolve(database=progress, wait_seconds=0)
    if progress.why_not is None and fenced:
        progress = _hold_writer_leases(rollback, progress, restoring, world)

    def ask() -> Rollback:
        if fenced and progress.is_fence_required:
            return fence(rollback, progress, restoring, world)
        return one_move(rollback, progress, restoring, world)

    return with_retry(rollback, progress, ask, world)


def with_retry(rollback: Rollback, progress: DatabaseProgress, ask: Callable[[], Rollback], world: World) -> Rollback:
    """Ask again while Neon, Postgres or AWS can't be asked; give up what they refuse for good."""
    try:
        return ask()
    except RetryLater as later:
        return rollback.evolve(database=progress, wait_seconds=seconds_to_wait(later, world))
    except SessionRefused as refused:
        now = world.clock.now()
        refused_since = progress.refused_since or now
        is_fresh = bool(progress.moves) or progress.restarted_at is not None
        if progress.why_not is None and is_fresh and now - refused_since < _SESSION_REFUSAL_LIMIT:
            waiting = progress.evolve(refused_since=refused_since)
            return rollback.evolve(database=waiting, wait_seconds=world.settings.policy.poll_seconds)
        return rollback.evolve(
            database=progress.mark_failed(str(refused), now), refusal=Refusal.of(refused), wait_seconds=0
        )
    except NotFound:  # deleted between two looks of this round
        return rollback.evolve(database=progress, wait_seconds=world.settings.policy.poll_seconds)
    except CallRefused as refused:
        mark_failed = progress.mark_failed(str(refused), world.clock.now())
        if progress.why_not is not None:  # to tidy up is refused too
            left = f"a branch that was made on the way may be left: {refused}"
            mark_failed = mark_failed.add_note(left).ended(outcome_after_failure(progress), world.clock.now())
        return rollback.evolve(database=mark_failed, refusal=Refusal.of(refused), wait_seconds=0)
    except ExternalServiceError:  # saved as it is: what is counted here is how long services stand at zero for it
        return rollback.evolve(database=progress, wait_seconds=world.settings.policy.poll_seconds)


def outcome_after_failure(progress: DatabaseProgress) -> DatabaseOutcome:
    """Of what was given up."""
    untouched = progress.backup_id is None and progress.restore_asked_at is None
    return DatabaseOutcome.REFUSED if untouched else DatabaseOutcome.FAILED


def _enforce_timeout(
    progress: DatabaseProgress, restoring: RestoreContext, now: datetime, more_minutes: float
) -> DatabaseProgress:
    """What takes too long is given up; what can't be tidied up in time is left to whoever reads the report."""
    target = restoring.target
    if progress.cleanup_started_at is not None:
        limit_of_tidying = timedelta(minutes=target.cleanup_timeout_minutes)
        if outcome_after_failure(progress) is DatabaseOutcome.REFUSED and progress.stopped_at is not None:
            limit_of_tidying = min(limit_of_tidying, _CLEANUP_LIMIT_AT_ZERO)
        late = now - progress.cleanup_started_at > limit_of_tidying
        return progress.ended(outcome_after_failure(progress), now) if late else progress
    limit = target.restore_timeout_minutes + more_minutes
    if now - progress.started_at <= timedelta(minutes=limit):
        return progress
    last = progress.moves[-1] if progress.moves else "the fence"
    return progress.mark_failed(f"not done in {limit:g} minutes; it was at {last}", now)


def _enforce_move_timeout(progress: DatabaseProgress, restoring: RestoreContext, now: datetime) -> DatabaseProgress:
    """Services stand at zero, and can be started again: no move waits for longer than it may take."""
    limit = timedelta(minutes=restoring.target.move_timeout_minutes)
    if progress.head is None:
        since, move = progress.stopped_at, "looking who is connected"
    else:
        since, move = progress.moved_at, progress.moves[-1] if progress.moves else ""
    if progress.why_not is not None or since is None or now - since <= limit:
        return progress
    why = f"{move} was not done in {limit.total_seconds() / 60:g} minutes, while services stood at zero"
    return progress.mark_failed(why, now)  # no collision: a look again would stop services again


def _hold_writer_leases(
    rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World
) -> DatabaseProgress:
    """The other writers' leases. Before the fence begins, one that is not to be had is a refusal."""
    try:
        hold_writer_leases(rollback, restoring.target.writers, world)
    except LeaseLost as lost:
        if rollback.is_fenced:
            raise
        has_collided = progress.evolve(has_collided=True)
        return has_collided.mark_failed(f"{lost}; wait for it; nothing was changed", world.clock.now())
    return progress
