"""The lease check that precedes each change (rule 9: the lease is read immediately before)."""

from datetime import timedelta

from rollback.domain.rollback import Rollback
from rollback.errors import LeaseLost
from rollback.ports.world import World


def assert_lease(rollback: Rollback, world: World, timeout_seconds: float | None = None) -> None:
    """Read immediately before a change (rule 9).

    Args:
        timeout_seconds: time limit of the function that makes the change; the service function's unless told.

    Raises:
        LeaseLost: it is another's, or ends before the function does.
    """
    held = world.ledger.lease(rollback.service_name)
    until = world.clock.now() + timedelta(seconds=timeout_seconds or world.settings.policy.act_timeout_seconds)
    ours = held is not None and held.counter == rollback.lease_counter and held.is_held_by(rollback.id, until)
    if not ours:
        holder = held.holder if held is not None else "nobody"
        raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name} ({holder} does)")
