"""Go on with the accounts of lost writes that nobody goes on with: their execution was stopped, or died.

On the database function's schedule, since the janitor's function asks no database.
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

_PATIENCE = timedelta(minutes=2)  # after the function's time limit: the next invocation was due long ago


def resume_abandoned_comparisons(world: World) -> Iterator[str]:
    """One round of each.

    Raises:
        ExternalServiceError: Neon, Postgres or the ledger do not answer; the next schedule tries again.
    """
    for one in world.ledger.pending().items:
        rollback = find_rollback(one.rollback_id, world) if not one.is_open else None
        if rollback is None or not _is_comparison_abandoned(rollback, world.for_settings(rollback.settings)):
            continue
        try:
            yield f"{rollback.id}: lost writes, {_resume_comparison(rollback, world)}"
        except Conflict:  # somebody goes on with it after all
            continue


def _is_comparison_abandoned(rollback: Rollback, world: World) -> bool:
    account = rollback.database.account if rollback.database is not None else None
    if account is None or next_step(rollback) is not Step.DATA_LOSS:
        return False
    limit = timedelta(seconds=world.settings.policy.database_timeout_seconds) + _PATIENCE
    return account.is_resumed or world.clock.now() - account.seen_at > limit


def _resume_comparison(rollback: Rollback, world: World) -> str:
    account = rollback.database.account if rollback.database is not None else None
    if account is not None and not account.is_resumed:
        rollback = world.ledger.save(resume_comparison(rollback, account, world.clock.now()))
    done = run_step(rollback.id, Step.DATA_LOSS, world).next is not Step.DATA_LOSS
    return "compared" if done else "not yet"
