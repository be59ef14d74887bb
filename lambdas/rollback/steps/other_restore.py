"""The restore of the rollback that was taken over: it was sent, and nobody knows yet what became of it.

Neon knows nothing of our leases. A rollback that takes another one over by force therefore waits until the other's
Conclude has asked Neon (`steps.database_end`), before it plans or changes anything about the database.
"""

from datetime import datetime, timedelta

from rollback.model.request import RollbackType
from rollback.model.rollback import Rollback
from rollback.steps.holder import document
from rollback.steps.ports import World

_WITH_DATABASE = (RollbackType.DATABASE, RollbackType.FULL)


def may_land_until(announced_at: datetime, world: World) -> datetime:
    """Until when a change of the database may be made that was announced at a time (rule 9).

    The function that sends it ends first; a request whose answer was lost may still reach Neon after that.
    """
    lost = world.settings.database.lost_answer_seconds if world.settings.database is not None else 0
    return announced_at + timedelta(seconds=max(world.settings.policy.database_timeout_seconds, lost))


def waits_for_answer(rollback: Rollback, world: World) -> str | None:
    """Why nothing can be planned about the database yet; None: nothing of the other's is under way.

    The other's Conclude gives up after half of its time, and says that it is not known. An answer that has not come in
    the whole of it comes from nobody: the plan then counts the other's restore as made.
    """
    if rollback.supersedes is None or rollback.request.type not in _WITH_DATABASE:
        return None
    before = document(rollback.supersedes, world)
    if before is None or before.database is None or not before.database.is_unanswered:
        return None
    since = rollback.admitted_at or rollback.created_at
    if world.clock.now() - since > timedelta(minutes=world.settings.policy.conclude_timeout_minutes):
        return None
    return f"{before.id} had sent a change of the database: planned when Neon has told what became of it"
