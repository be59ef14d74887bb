"""The rollback that took over the lease of another and continues it."""

from rollback.domain.rollback import Rollback
from rollback.errors import UnreadableItem
from rollback.leases.holder import find_rollback
from rollback.ports.world import World


def successor_of(rollback: Rollback, world: World) -> str | None:
    """The rollback that took the lease over and goes on with this one; None: nobody does."""
    try:
        held = world.ledger.lease(rollback.service_name)
    except UnreadableItem:
        return None
    if held is None or held.holder == rollback.id:
        return None
    successor = find_rollback(held.holder, world)
    if successor is None:
        return None
    return successor.id if successor.admitted_at is None or successor.supersedes == rollback.id else None
