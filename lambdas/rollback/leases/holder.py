"""The rollback that holds a lease, and whether it is alive."""

from rollback.domain.lease import Lease
from rollback.domain.rollback import Rollback, service_of
from rollback.errors import UnreadableItem
from rollback.leases.ports import LeaseLivenessPorts, LeasePorts, LeaseReadPorts
from rollback.leases.takeover import describe_takeover_state


def find_live_lease(name: str, world: LeaseReadPorts) -> Lease | None:
    """The unexpired lease on a service, or on a branch by its key; None: there is none."""
    held = world.ledger.lease(name)
    return held if held is not None and held.expires_at > world.clock.now() else None


def find_live_database_lease(world: LeasePorts) -> Lease | None:
    """The unexpired lease of a rollback that may be changing the environment's branch; None: there is none.

    Such a rollback holds a lease on the branch, or on a service that writes to the branch.
    """
    database = world.settings.database
    if database is None or database.branch_id is None:
        return None
    names = (database.lease_of(None), *(service.name for service in world.settings.writers()))
    leases = (find_live_lease(name, world) for name in names)
    return next((lease for lease in leases if lease is not None), None)


def holder_of(lease: Lease, world: LeaseReadPorts) -> Rollback | None:
    """The rollback that holds a lease; None: its record is missing or can't be read."""
    return find_rollback(lease.holder, world)


def find_rollback(rollback_id: str, world: LeaseReadPorts) -> Rollback | None:
    """A rollback by its id, of any service: a rollback may hold leases on other services, and on a branch.

    Returns:
        None: the record is missing, or can't be read. An unreadable record is noted for an operator.
    """
    service_name = service_of(rollback_id)
    try:
        return world.ledger.read(service_name, rollback_id)
    except KeyError:
        return None
    except UnreadableItem as unreadable:
        world.ledger.record_unreadable(unreadable, world.clock.now())
        return None


def why_lease_is_alive(lease: Lease, world: LeaseLivenessPorts) -> str | None:
    """Reason why the holder of a lease may still act; None: it is concluded, or its execution and its lease ended."""
    holder = holder_of(lease, world)
    if holder is not None and holder.concluded_at is not None:
        return None
    if holder is not None and world.workflow.is_running(holder.execution):
        return "its execution runs"
    if lease.expires_at > world.clock.now():
        return f"its lease holds until {lease.expires_at:%H:%M:%S} UTC"
    return None


def describe_holder(lease: Lease, world: LeaseReadPorts) -> str:
    """The state of the holder, for an operator who is about to interfere with it."""
    holder = holder_of(lease, world)
    if holder is None:
        return f"{lease.holder} holds the lease, and there is no record of what it has done"
    return describe_takeover_state(holder)
