"""Leases on the other services that a fence keeps at zero tasks (rule 8: a fence names every service that writes).

The fence causes their outage, so no other rollback may begin on them until they start again.
"""

from contextlib import suppress

from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import branch_key
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import LeaseLost
from rollback.leases.hold import hold_lease
from rollback.leases.ports import LeasePorts


def hold_writer_leases(rollback: Rollback, writers: tuple[ServiceSettings, ...], world: LeasePorts) -> None:
    """Take the leases on all other services that write to the branch.

    `renew_leases_of_stopped_services` keeps each lease until its service starts; Conclude gives each back with the last
    obligation of its service.

    Raises:
        LeaseLost: another rollback holds one of them.
    """
    for service in writers:
        if service.name == rollback.service_name:
            continue  # the runner renews the lease on the rollback's own service
        if hold_lease(service.name, rollback.id, world) is None:
            raise LeaseLost(f"{service.name} writes to the branch, and another rollback holds the lease on it")


def renew_leases_of_stopped_services(rollback: Rollback, world: LeasePorts) -> frozenset[str]:
    """Renew the leases on the other services that still stand at zero tasks for this rollback.

    Returns:
        Services whose lease another rollback has taken since: those are that rollback's to start.

    Raises:
        LeaseLost: a lease expired while it was being renewed; call again.
    """
    lost, expired = set(), None
    for name in sorted({owed.service for owed in rollback.open_obligations() if owed.service is not None}):
        try:
            if hold_lease(name, rollback.id, world) is None:
                lost.add(name)
        except LeaseLost as error:  # the other leases are renewed all the same
            expired = error
    if expired is not None:
        raise expired
    return frozenset(lost)


def renew_leases_while_concluding(rollback: Rollback, world: LeasePorts) -> None:
    """Renew all leases that a rollback still needs while Neon or ECS is asked about the outcome of its changes.

    Without this, another rollback might begin on a service with zero tasks, or on the branch. Leases that
    another rollback has taken since are left to that rollback.
    """
    if not rollback.open_obligations():
        return
    with suppress(LeaseLost):
        if hold_lease(rollback.service_name, rollback.id, world) is None:
            return
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is not None and world.settings.database is not None:
        with suppress(LeaseLost):
            hold_lease(branch_key(world.settings.database.project_id, planned.branch), rollback.id, world)
    with suppress(LeaseLost):
        renew_leases_of_stopped_services(rollback, world)
