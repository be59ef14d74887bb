"""Take a lease, hold it for longer, and give it back. A lease is on a service, or on a database branch by its key."""

from datetime import datetime, timedelta

from rollback.domain.lease import Lease
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import branch_key
from rollback.errors import LeaseLost, UnreadableItem
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasLedger, HasSettings


def lease_end(now: datetime, world: HasSettings) -> datetime:
    """End of a lease that is taken or renewed now."""
    return now + timedelta(minutes=world.settings.policy.lease_minutes)


def hold_lease(name: str, rollback_id: str, world: LeasePorts) -> Lease | None:
    """Take a lease, or renew it if the rollback holds it already.

    Args:
        name: name of the service, or key of the branch.
        rollback_id: the rollback that is to hold the lease.
        world: the ports.

    Returns:
        The lease; None: another rollback holds it.

    Raises:
        LeaseLost: the lease expired between the two calls; call again.
    """
    now = world.clock.now()
    until = lease_end(now, world)
    lease = world.ledger.acquire(name, rollback_id, now, until)
    return world.ledger.renew(lease, now, until) if lease is not None else None


def holds_lease(rollback: Rollback, now: datetime, world: HasLedger) -> bool:
    """Whether a rollback holds an unexpired lease on its service."""
    held = world.ledger.lease(rollback.service_name)
    return held is not None and held.is_held_by(rollback.id, now)


def renew_service_lease(rollback: Rollback, world: LeasePorts) -> int:
    """Renew the lease on the rollback's own service; an expired lease that no other rollback took is taken again.

    Step Functions or Lambda may pause for longer than a lease. Ending for that could leave a service at zero tasks.

    Returns:
        The lease's counter.

    Raises:
        LeaseLost: another rollback has taken the lease since.
    """
    now = world.clock.now()
    until = lease_end(now, world)
    lost = f"{rollback.id} no longer holds the lease on {rollback.service_name}"
    try:
        held = world.ledger.lease(rollback.service_name)
    except UnreadableItem:  # no rollback can prove that it holds an unreadable lease: the first to ask takes it
        held = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
        if held is not None:
            return held.counter
    if held is None or held.holder != rollback.id or held.counter != rollback.lease_counter:
        raise LeaseLost(lost)
    if held.expires_at <= now:
        held = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
        if held is None:
            raise LeaseLost(f"{lost}: it expired")
    return world.ledger.renew(held, now, until).counter


def release_leases(rollback: Rollback, world: LeasePorts) -> None:
    """Give back all leases of a concluded rollback: its service's, the branch's, and those of all services of it."""
    world.ledger.release_lease(rollback.service_name, rollback.id)
    settings = world.settings.database
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or settings is None:
        return
    world.ledger.release_lease(branch_key(settings.project_id, planned.branch), rollback.id)
    for service in (*world.settings.writers(), *world.settings.readers()):
        world.ledger.release_lease(service.name, rollback.id)
