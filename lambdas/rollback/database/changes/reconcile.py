"""The engine of all database strategies: time limits, leases, fence and retries around one round of a strategy.

`run_strategy` is called until the progress has ended. Each call makes one observation and at most one change.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.database.changes.fence import fence
from rollback.database.changes.ports import FencePorts, WaitPorts
from rollback.database.changes.strategy import ActionT, DatabaseStrategy, ProgressT, SnapshotT
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress
from rollback.domain.refusal import Refusal
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, LeaseLost
from rollback.intents.announce import seconds_to_wait
from rollback.leases.hold import hold_writer_leases
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock
from rollback.resources.database.errors import NotFound, RetryLater, SessionRefused

# Neon's proxy may know a former password of a branch that was just made or restarted.
_SESSION_REFUSAL_LIMIT = timedelta(minutes=1)
# Left-overs expire by themselves, or are obligations that Conclude discharges.
_CLEANUP_LIMIT_AT_ZERO = timedelta(minutes=1)


def run_strategy(
    rollback: Rollback, strategy: DatabaseStrategy[ProgressT, SnapshotT, ActionT], ports: FencePorts
) -> Rollback:
    """Begin the strategy, or make the next move: the fence's until it stands, then the strategy's own.

    Raises:
        InvalidRequest: the document has the progress of another strategy.
        LeaseLost: another rollback holds one of our leases, and decides from now on (rule 3: aborted while
            fenced, everything stays as it is).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    if rollback.database is None:
        return strategy.begin(rollback)
    if rollback.database.ended_at is not None:
        return rollback.evolve(wait_seconds=0)
    if not isinstance(rollback.database, strategy.progress_type):
        raise InvalidRequest(f"{rollback.id} began as {rollback.database.kind}, and its plan says otherwise")
    return _advance(rollback, rollback.database, strategy, ports)


def _advance(
    rollback: Rollback,
    progress: ProgressT,
    strategy: DatabaseStrategy[ProgressT, SnapshotT, ActionT],
    ports: FencePorts,
) -> Rollback:
    now, context = ports.clock.now(), strategy.context
    progress = _enforce_timeout(progress, context, now, strategy.extra_minutes)
    if strategy.is_fenced and progress.ended_at is None and strategy.is_reversible(progress):
        progress = _enforce_move_timeout(progress, context, now)
    if progress.ended_at is not None:
        return rollback.evolve(database=progress, wait_seconds=0)
    if strategy.is_fenced and progress.why_not is None:
        progress = _hold_writer_leases(rollback, progress, context, ports)

    def make_next_move() -> Rollback:
        if strategy.is_fenced and progress.is_fence_required:
            return fence(rollback, progress, context, ports)
        return _run_round(rollback, progress, strategy, ports)

    return with_retry(rollback, progress, make_next_move, ports)


def _run_round(
    rollback: Rollback,
    progress: ProgressT,
    strategy: DatabaseStrategy[ProgressT, SnapshotT, ActionT],
    ports: WaitPorts,
) -> Rollback:
    rollback, progress, snapshot = strategy.observe(rollback, progress)
    objection = strategy.find_objection(snapshot, progress)
    if objection is not None:
        progress = progress.mark_failed(objection, ports.clock.now())
    if progress.why_not is not None:
        if strategy.may_still_arrive(progress):
            return rollback.evolve(database=progress, wait_seconds=ports.settings.policy.poll_seconds)
        progress = strategy.clear_unmade_change(snapshot, progress)
    return strategy.act(rollback, progress, strategy.next_action(snapshot, progress), snapshot)


def with_retry(
    rollback: Rollback, progress: DatabaseProgress, make_next_move: Callable[[], Rollback], ports: WaitPorts
) -> Rollback:
    """Ask again while Neon, Postgres or AWS can't be asked. Give the change up when one of them refuses for good."""
    poll = ports.settings.policy.poll_seconds
    try:
        return make_next_move()
    except RetryLater as later:
        return rollback.evolve(database=progress, wait_seconds=seconds_to_wait(later, ports))
    except SessionRefused as refused:
        return _tolerate_refused_session(rollback, progress, refused, ports)
    except NotFound:  # deleted between two calls of this round
        return rollback.evolve(database=progress, wait_seconds=poll)
    except CallRefused as refused:
        failed_progress = progress.mark_failed(str(refused), ports.clock.now())
        if progress.why_not is not None:  # clean-up is refused too
            note = f"a branch of this rollback may still exist, delete that branch in Neon's console: {refused}"
            failed_progress = failed_progress.add_note(note).ended(outcome_after_failure(progress), ports.clock.now())
        return rollback.evolve(database=failed_progress, refusal=Refusal.of(refused), wait_seconds=0)
    except ExternalServiceError:  # keep the progress: the time limit at zero tasks keeps running
        return rollback.evolve(database=progress, wait_seconds=poll)


def _tolerate_refused_session(
    rollback: Rollback, progress: DatabaseProgress, refused: SessionRefused, ports: WaitPorts
) -> Rollback:
    """Wait for a compute that was just made, restored or restarted; give up otherwise."""
    now = ports.clock.now()
    refused_since = progress.refused_since or now
    is_fresh = bool(progress.moves) or progress.fence.restarted_at is not None
    if progress.why_not is None and is_fresh and now - refused_since < _SESSION_REFUSAL_LIMIT:
        waiting = progress.evolve(refused_since=refused_since)
        return rollback.evolve(database=waiting, wait_seconds=ports.settings.policy.poll_seconds)
    failed_progress = progress.mark_failed(str(refused), now)
    return rollback.evolve(database=failed_progress, refusal=Refusal.of(refused), wait_seconds=0)


def outcome_after_failure(progress: DatabaseProgress) -> DatabaseOutcome:
    """Return the outcome of a failed change: refused if the data is certainly untouched."""
    return DatabaseOutcome.FAILED if progress.may_have_changed_data else DatabaseOutcome.REFUSED


def end_unsuccessfully(rollback: Rollback, progress: DatabaseProgress, ports: HasClock) -> Rollback:
    """End a failed change once its clean-up is done."""
    ended_progress = progress.ended(outcome_after_failure(progress), ports.clock.now())
    return rollback.evolve(database=ended_progress, wait_seconds=0)


def _enforce_timeout(progress: ProgressT, context: BranchContext, now: datetime, extra_minutes: float) -> ProgressT:
    """Fail a change that takes too long. The report names resources that can't be cleaned up in time."""
    branch_settings = context.settings
    if progress.cleanup_started_at is not None:
        cleanup_limit = timedelta(minutes=branch_settings.cleanup_timeout_minutes)
        if not progress.may_have_changed_data and progress.fence.stopped_at is not None:
            cleanup_limit = min(cleanup_limit, _CLEANUP_LIMIT_AT_ZERO)
        is_late = now - progress.cleanup_started_at > cleanup_limit
        return progress.ended(outcome_after_failure(progress), now) if is_late else progress
    limit = branch_settings.restore_timeout_minutes + extra_minutes
    if now - progress.started_at <= timedelta(minutes=limit):
        return progress
    last_move = _in_words(progress.moves[-1]) if progress.moves else "the fence"
    return progress.mark_failed(
        f"the database change did not end in {limit:g} minutes; its last move was {last_move}", now
    )


def _enforce_move_timeout(progress: ProgressT, context: BranchContext, now: datetime) -> ProgressT:
    """Limit each move while services have zero tasks and could be started again."""
    limit = timedelta(minutes=context.settings.move_timeout_minutes)
    if progress.fence.head is None:
        since, move = progress.fence.stopped_at, "the check for connected sessions"
    else:
        since, move = progress.moved_at, _in_words(progress.moves[-1]) if progress.moves else ""
    if progress.why_not is not None or since is None or now - since <= limit:
        return progress
    reason = f"{move} did not end in {limit.total_seconds() / 60:g} minutes, and the services had zero tasks"
    return progress.mark_failed(reason, now)  # no collision: a second try would stop services again


def _in_words(move: str) -> str:
    return move.replace("_", " ")


def _hold_writer_leases(
    rollback: Rollback, progress: ProgressT, context: BranchContext, ports: LeasePorts
) -> ProgressT:
    """Hold the other writers' leases. Refuse if another rollback has one before the fence begins."""
    try:
        hold_writer_leases(rollback, context.settings.writers, ports)
    except LeaseLost as lost:
        if rollback.is_fenced:
            raise
        collided_progress = progress.evolve(may_succeed_later=True)
        reason = f"{lost}; wait for that rollback to conclude, and start again; nothing was changed"
        return collided_progress.mark_failed(reason, ports.clock.now())
    return progress
