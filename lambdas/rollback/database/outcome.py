"""Turn the outcome of the database's part into the outcome of the rollback."""

from datetime import timedelta

from rollback.database.changes.begin import refused_progress
from rollback.database.changes.ports import WaitPorts
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.rollback import Outcome, Rollback
from rollback.service.newer_deployment import end_as_superseded


def apply_outcome(rollback: Rollback, world: WaitPorts) -> Rollback:
    """End the rollback if its database part ended it; leave it open if the service comes next or the part goes on.

    A restored branch leaves the rollback open, a deleted one ends it: no service runs on a deleted branch.
    A collision with another rollback suppresses an automatic rollback for now, because its alarm may stay in ALARM.
    """
    progress = rollback.database
    if progress is None or progress.database_outcome is None:
        return rollback
    if progress.database_outcome is DatabaseOutcome.DELETED:
        reason = rollback.plan.summary if rollback.plan is not None else ""
        return rollback.evolve(outcome=Outcome.SUCCEEDED, reason=reason, wait_seconds=0)
    if progress.has_succeeded:
        return rollback
    is_refused = progress.database_outcome is DatabaseOutcome.REFUSED
    reason = f"database: {progress.why_not}"
    if is_refused and rollback.newer is not None:
        return end_as_superseded(rollback, rollback.newer)
    if is_refused and progress.has_collided and rollback.event is not None:
        recheck_at = world.clock.now() + timedelta(minutes=world.settings.policy.recheck_minutes)
        return rollback.evolve(outcome=Outcome.SUPPRESSED, reason=reason, recheck_at=recheck_at, wait_seconds=0)
    return rollback.evolve(outcome=Outcome.REFUSED if is_refused else Outcome.FAILED, reason=reason, wait_seconds=0)


def refuse(rollback: Rollback, branch: str, why: str, world: WaitPorts, *, has_collided: bool = False) -> Rollback:
    """Refuse the database's part before anything was changed.

    Args:
        branch: name of the branch that stays as it is.
        has_collided: whether another rollback or a newer observation is the reason, so that a later evaluation may go
            on.
    """
    now = world.clock.now()
    progress = refused_progress(branch, f"{why}; nothing was changed", now, has_collided=has_collided)
    return apply_outcome(rollback.evolve(database=progress), world)
