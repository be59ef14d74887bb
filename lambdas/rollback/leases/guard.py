"""The lease check that precedes each change (rule 9: the lease is read immediately before a change)."""

from datetime import timedelta

from rollback.domain.rollback import Rollback
from rollback.errors import LeaseLost
from rollback.leases.ports import LeasePorts


def assert_lease(rollback: Rollback, world: LeasePorts, timeout_seconds: float | None = None) -> None:
    """Check, immediately before a change, that the lease outlasts the function that makes the change.

    Args:
        rollback: the rollback that makes the change.
        world: the ports.
        timeout_seconds: timeout of that function; None: of the service function.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease expires before the function's timeout.
    """
    held = world.ledger.lease(rollback.service_name)
    until = world.clock.now() + timedelta(seconds=timeout_seconds or world.settings.policy.act_timeout_seconds)
    if held is None or held.counter != rollback.lease_counter or not held.is_held_by(rollback.id, until):
        holder = held.holder if held is not None else "no rollback"
        raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name} ({holder} does)")
