"""Who holds the lease on a service, for those who must not get in its way."""

from rollback.domain.lease import Lease
from rollback.domain.rollback import Rollback, service_of
from rollback.errors import UnreadableItem
from rollback.leases.takeover import describe_takeover_state
from rollback.ports.world import World


def find_live_lease(service_name: str, world: World) -> Lease | None:
    """The lease of a rollback that goes on; None: nobody holds it, or it ran out."""
    held = world.ledger.lease(service_name)
    return held if held is not None and held.expires_at > world.clock.now() else None


def find_live_database_lease(world: World) -> Lease | None:
    """Of a rollback that may be changing the environment's branch: held on it, or on a service that writes to it."""
    database = world.settings.database
    if database is None or database.branch_id is None:
        return None
    names = (database.lease_of(None), *(service.name for service in world.settings.writers()))
    leases = (find_live_lease(name, world) for name in names)
    return next((lease for lease in leases if lease is not None), None)


def holder_of(lease: Lease, world: World) -> Rollback | None:
    """The rollback behind a lease; None: there is no record of it, or it can't be read."""
    return find_rollback(lease.holder, world)


def find_rollback(rollback_id: str, world: World) -> Rollback | None:
    """A rollback by its id, whichever service it is about: it may hold another writer's lease, or a branch's.

    None: there is no such record, or it can't be read. One that can't be read is set aside.
    """
    service_name = service_of(rollback_id)
    try:
        return world.ledger.read(service_name, rollback_id)
    except KeyError:
        return None
    except UnreadableItem as unreadable:
        world.ledger.record_unreadable(unreadable, world.clock.now())
        return None


def describe_holder(lease: Lease, world: World) -> str:
    """What a person is told before they get in the way of the holder."""
    holder = holder_of(lease, world)
    if holder is None:
        return f"{lease.holder} holds the lease, and there is no record of what it has done"
    return describe_takeover_state(holder)
