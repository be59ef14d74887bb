"""The rollback that took over the lease of another and continues it."""

from rollback.domain.rollback import Rollback
from rollback.errors import UnreadableItem
from rollback.leases.holder import holder_of
from rollback.leases.ports import LeaseReadPorts


def successor_of(rollback: Rollback, world: LeaseReadPorts) -> str | None:
    """Id of the rollback that took the lease over and continues this one; None: no rollback does."""
    try:
        held = world.ledger.lease(rollback.service_name)
    except UnreadableItem:
        return None
    if held is None or held.holder == rollback.id:
        return None
    successor = holder_of(held, world)
    if successor is None:
        return None
    return successor.id if successor.admitted_at is None or successor.supersedes == rollback.id else None
