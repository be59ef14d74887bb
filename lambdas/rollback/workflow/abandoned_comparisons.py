"""Resume data-loss analyses whose execution was stopped or died.

This runs on the database function's schedule, since the janitor's function may not ask a database.
"""

from collections.abc import Iterator
from datetime import timedelta

from rollback.database.data_loss.step import resume_comparison
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict
from rollback.leases.holder import find_rollback
from rollback.ports.world import World
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step

_PATIENCE = timedelta(minutes=2)  # after the function's time limit, the next invocation is long overdue


def resume_abandoned_comparisons(world: World) -> Iterator[str]:
    """Run one round of each abandoned analysis.

    Raises:
        ExternalServiceError: Neon, Postgres or the ledger do not answer; the next scheduled run tries again.
    """
    for entry in world.ledger.pending().items:
        rollback = find_rollback(entry.rollback_id, world) if not entry.is_open else None
        if rollback is None or not _is_comparison_abandoned(rollback, world.for_settings(rollback.settings)):
            continue
        try:
            yield f"{rollback.id}: lost writes, {_resume_comparison(rollback, world)}"
        except Conflict:  # its execution goes on after all
            continue


def _is_comparison_abandoned(rollback: Rollback, world: World) -> bool:
    analysis = rollback.database.account if rollback.database is not None else None
    if analysis is None or next_step(rollback) is not Step.DATA_LOSS:
        return False
    limit = timedelta(seconds=world.settings.policy.database_timeout_seconds) + _PATIENCE
    return analysis.is_resumed or world.clock.now() - analysis.seen_at > limit


def _resume_comparison(rollback: Rollback, world: World) -> str:
    analysis = rollback.database.account if rollback.database is not None else None
    if analysis is not None and not analysis.is_resumed:
        rollback = world.ledger.save(resume_comparison(rollback, analysis, world.clock.now()))
    done = run_step(rollback.id, Step.DATA_LOSS, world).next is not Step.DATA_LOSS
    return "compared" if done else "not yet"
