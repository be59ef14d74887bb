"""Wait for the restore of a rollback that was taken over, while the restore's outcome is not known.

Neon knows nothing of our leases. A rollback that takes another one over by force therefore waits until the other's
Conclude has read the outcome from Neon (`database.unsettled_change`). Only then it plans or changes the database.
"""

from datetime import timedelta

from rollback.domain.request import DATABASE_TYPES
from rollback.domain.rollback import Rollback
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeasePorts


def why_wait_for_other_restore(rollback: Rollback, world: LeasePorts) -> str | None:
    """Return the reason to wait before the database is planned; None: no change of the other rollback is pending.

    The other's Conclude gives up after half of its time limit, and records that the outcome is not known. After the
    whole limit no outcome will come: the plan then assumes that the other's restore was made.
    """
    if rollback.supersedes is None or rollback.request.type not in DATABASE_TYPES:
        return None
    before = find_rollback(rollback.supersedes, world)
    if before is None or before.database is None or not before.database.has_unanswered_change:
        return None
    since = rollback.admitted_at or rollback.created_at
    if world.clock.now() - since > timedelta(minutes=world.settings.policy.conclude_timeout_minutes):
        return None
    return f"{before.id} has sent a change of the database: the plan is made once Neon has reported its outcome"
