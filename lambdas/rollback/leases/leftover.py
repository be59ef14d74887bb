"""Leases that a rollback did not release because it crashed before or after its conclusion."""

from collections.abc import Iterator
from datetime import timedelta

from rollback.errors import UnreadableItem
from rollback.leases.hold import lease_end
from rollback.leases.holder import holder_of
from rollback.leases.ports import LeasePorts, LeaseReadPorts
from rollback.ports.holders import HasSettings

_LEASE_IN_USE = timedelta(minutes=1)  # an operator may be unfencing under a lease that was renewed so recently


def release_leases_of_concluded(service: str, ports: LeasePorts) -> Iterator[str]:
    """Release leases on a service, and on its branch, that a concluded rollback still holds.

    Yields:
        Each released lease, in one line.
    """
    for name in (service, *_branch_key_of_first_writer(service, ports)):
        try:
            lease = ports.ledger.lease(name)
        except UnreadableItem as unreadable:
            ports.ledger.record_unreadable(unreadable, ports.clock.now())
            continue
        holder = holder_of(lease, ports) if lease is not None else None
        if lease is None or holder is None:
            continue  # without a readable holder the lease expires, and the metric of stale leases shows that
        now = ports.clock.now()
        was_just_renewed = lease.expires_at > lease_end(now, ports) - _LEASE_IN_USE
        if holder.concluded_at is not None and not was_just_renewed:
            ports.ledger.release_lease(name, holder.id)
            yield f"{holder.id}: lease on {name} released"


def is_lease_stale(service: str, ports: LeaseReadPorts) -> bool:
    """Whether a service's lease expired and was neither released nor taken over, or can't be read."""
    try:
        lease = ports.ledger.lease(service)
    except UnreadableItem:
        return True
    return lease is not None and lease.expires_at <= ports.clock.now()


def _branch_key_of_first_writer(service: str, ports: HasSettings) -> tuple[str, ...]:
    """The key of the branch if this service is the branch's first writer: so each branch is checked once."""
    database, writers = ports.settings.database, ports.settings.writers()
    if database is None or database.branch_id is None or not writers or writers[0].name != service:
        return ()
    return (database.branch_key(None),)
