"""The restore of the rollback that was taken over: it was sent, and nobody knows yet what became of it.

Neon knows nothing of our leases. A rollback that takes another one over by force therefore waits until the other's
Conclude has asked Neon (`steps.database_end`), before it plans or changes anything about the database.
"""

from datetime import timedelta

from rollback.domain.request import DATABASE_TYPES
from rollback.domain.rollback import Rollback
from rollback.leases.holder import find_rollback
from rollback.ports.world import World


def why_wait_for_other_restore(rollback: Rollback, world: World) -> str | None:
    """Why nothing can be planned about the database yet; None: nothing of the other's is under way.

    The other's Conclude gives up after half of its time, and says that it is not known. An answer that has not come in
    the whole of it comes from nobody: the plan then counts the other's restore as made.
    """
    if rollback.supersedes is None or rollback.request.type not in DATABASE_TYPES:
        return None
    before = find_rollback(rollback.supersedes, world)
    if before is None or before.database is None or not before.database.has_unanswered_change:
        return None
    since = rollback.admitted_at or rollback.created_at
    if world.clock.now() - since > timedelta(minutes=world.settings.policy.conclude_timeout_minutes):
        return None
    return f"{before.id} had sent a change of the database: planned when Neon has told what became of it"
