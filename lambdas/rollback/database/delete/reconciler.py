"""Delete: a pull request's branch, when it was asked for by name. Neon keeps what it deletes for seven days.

Nobody is fenced: the pull request is closed. A branch that is gone already is success.
"""

from datetime import datetime

from rollback.check import Check
from rollback.database.changes.reconcile import reconcile, why_refused
from rollback.database.changes.send import SendResult, announce, is_announced, may_still_arrive, send_announced
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.rules_by_strategy import judge_delete
from rollback.database.restore.observe import operation_status
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, OriginalBranch
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, InvalidRequest
from rollback.ports.world import World

_DELETE = "delete_branch"


def delete(rollback: Rollback, plan: DatabasePlan, restoring: RestoreContext, world: World) -> Rollback:
    """One look, at most one change.

    Args:
        plan: `branch` is the name. The restoring's target need not be there any more.

    Raises:
        InvalidRequest: the environment has no database any more.
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        ExternalServiceError: Neon could not be asked; nothing is lost, call again.
    """
    settings, now = world.settings.database, world.clock.now()
    if settings is None:
        raise InvalidRequest(f"no database is set for {world.settings.environment} any more")
    if rollback.database is not None:
        return reconcile(rollback, rollback.database, restoring, world, _make_next_move, fenced=False)
    before = OriginalBranch(name=plan.branch, protected=False)
    try:
        branch = restoring.databases.branch_named(plan.branch)
        branches = tuple(restoring.databases.branches())
    except CallRefused as refused:
        check = Check.failed("database-access", str(refused))
        return _start_progress(rollback, DatabaseProgress(started_at=now, before=before), (check,), now)
    if branch is None:
        gone = DatabaseProgress(started_at=now, before=before).add_note(f"branch {plan.branch} was gone already")
        return rollback.evolve(database=gone.ended(DatabaseOutcome.RESTORED, now), wait_seconds=0)
    progress = DatabaseProgress(started_at=now, before=OriginalBranch.of(branch, ()))
    return _start_progress(rollback, progress, judge_delete(branches, branch, settings), now)


def _start_progress(
    rollback: Rollback, progress: DatabaseProgress, checks: tuple[Check, ...], now: datetime
) -> Rollback:
    why = why_refused(rollback, checks)
    if why is not None:
        progress = progress.mark_failed(why, now).ended(DatabaseOutcome.REFUSED, now)
    return rollback.evolve(database=progress, wait_seconds=0)


def _make_next_move(
    rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World
) -> Rollback:
    """The branch is known by its id: another one may have got its name."""
    now, poll, databases = world.clock.now(), world.settings.policy.poll_seconds, restoring.databases
    branch_id = progress.before.id
    assert branch_id is not None  # noqa: S101 - it was there when we began
    branch = databases.branch(branch_id)
    work = operation_status(progress, (branch,), restoring, now)
    if branch is None and progress.restore_asked_at is None:
        progress = progress.add_note(f"somebody else deleted branch {progress.before.name}")
    if work == "running" or (progress.why_not is not None and may_still_arrive(progress, restoring, world)):
        return rollback.evolve(database=progress, wait_seconds=poll)
    if branch is None:
        return rollback.evolve(database=progress.ended(DatabaseOutcome.RESTORED, now), wait_seconds=0)
    if progress.why_not is not None:  # it is there, and nothing of ours is under way
        return rollback.evolve(
            database=progress.evolve(restore_asked_at=None).ended(DatabaseOutcome.REFUSED, now), wait_seconds=0
        )
    if not is_announced(progress, _DELETE):
        record_move = progress.record_move(_DELETE, now)
        return announce(rollback, record_move, _DELETE, world, restore_asked_at=record_move.restore_asked_at or now)

    def call() -> SendResult:
        gone = databases.delete_branch(branch_id)
        return gone.operations if gone is not None else (), {}

    return send_announced(rollback, progress, call, restoring, world, restore_asked_at=None)
