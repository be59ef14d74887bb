"""Reset: bring a branch to the head of another one, e.g. staging to production; its own state is always kept.

The source is a setting, never the branch's parent: after a restore of production, staging's parent is the bad backup.
"""

from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.source import judge_source
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.preflight import preflight_of_reset
from rollback.database.restore.reconciler import advance_restore
from rollback.domain.rollback import Rollback
from rollback.ports.world import World


def reset(
    rollback: Rollback,
    source_branch_id: str,
    restoring: RestoreContext,
    world: World,
    undone_rollback_id: str | None = None,
) -> Rollback:
    """One look, at most one change; it ends as a restore does. Raises as `database_restore.restore`.

    Args:
        undoes: the rollback whose backup the source is: back to it may go the project's default branch too.
    """
    if rollback.database is not None:
        return advance_restore(rollback, rollback.database, restoring, world)

    def checks() -> tuple[Check, ...]:
        found = preflight_of_reset(
            source_branch_id, restoring, world.clock.now(), is_undo=undone_rollback_id is not None
        )
        return (*found, *judge_source(rollback, found, source_branch_id, restoring, world))

    return begin_after_checks(rollback, checks, restoring, world, {"source_branch_id": source_branch_id})
