"""Hold the lease on the database branch, so that one rollback at a time changes the branch."""

from datetime import timedelta

from rollback.domain.database.plan import DatabasePlan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, branch_key
from rollback.errors import LeaseLost
from rollback.leases.hold import hold_lease
from rollback.leases.holder import find_unsettled_holder
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock


def hold_branch_lease(
    rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, world: LeasePorts
) -> str | None:
    """Acquire or renew the lease on the branch.

    An expired lease stays with a rollback that may have changed the branch and is not concluded, unless an operator
    forces the takeover.

    Returns:
        None: the lease is held. Otherwise the other holder's rollback id, and this rollback has changed nothing yet.

    Raises:
        LeaseLost: this rollback held the lease, another took it, and services stand at zero tasks.
    """
    key = branch_key(settings.project_id, plan.branch)
    if rollback.database is None and not rollback.is_forced_by_operator:
        unsettled = find_unsettled_holder(key, world)
        if unsettled is not None:
            return unsettled.id
    if hold_lease(key, rollback.id, world) is not None:
        return None
    held = world.ledger.lease(key)
    holder = held.holder if held is not None else "another rollback"
    if rollback.database is not None:
        raise LeaseLost(f"{holder} holds the lease on {key}")
    return holder


def may_wait_for_predecessor(rollback: Rollback, holder: str, settings: DatabaseSettings, world: HasClock) -> bool:
    """Whether the holder is the rollback that this one took over, and still has time to conclude."""
    if holder != rollback.supersedes:
        return False
    since = rollback.database_waits_since
    return since is None or world.clock.now() - since <= timedelta(minutes=settings.restore_timeout_minutes)
