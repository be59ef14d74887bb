"""Hold leases: on the rollback's own service, on the branch, and on the services that a fence keeps at zero tasks.

Rule 9: the lease is read immediately before each change. Rule 8: a fence names every service that writes to the branch,
and no other rollback may begin on a stopped service until it starts again.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from rollback.domain.database.plan import DatabasePlan
from rollback.domain.lease import Lease
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, branch_key
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import LeaseLost, UnreadableItem
from rollback.leases.holder import find_unsettled_holder
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasLedger, HasSettings


def lease_end(now: datetime, ports: HasSettings) -> datetime:
    """End of a lease that is taken or renewed now."""
    return now + timedelta(minutes=ports.settings.policy.lease_minutes)


def hold_lease(name: str, rollback_id: str, ports: LeasePorts) -> Lease | None:
    """Take a lease, or renew it if the rollback holds it already.

    Args:
        name: name of the service, or key of the branch.
        rollback_id: the rollback that is to hold the lease.
        ports: access to AWS, Neon and the ledger.

    Returns:
        The lease; None: another rollback holds it.

    Raises:
        LeaseLost: the lease expired between the two calls; call again.
    """
    now = ports.clock.now()
    until = lease_end(now, ports)
    lease = ports.ledger.acquire(name, rollback_id, now, until)
    return ports.ledger.renew(lease, now, until) if lease is not None else None


def holds_lease(rollback: Rollback, now: datetime, ports: HasLedger) -> bool:
    """Whether a rollback holds an unexpired lease on its service."""
    lease = ports.ledger.lease(rollback.service_name)
    return lease is not None and lease.is_held_by(rollback.id, now)


def renew_service_lease(rollback: Rollback, ports: LeasePorts) -> int:
    """Renew the lease on the rollback's own service; an expired lease that no other rollback took is taken again.

    Step Functions or Lambda may pause for longer than a lease. Ending for that could leave a service at zero tasks.

    Returns:
        The lease's counter. It is newer than the document's after the lease was taken again, in this round or in one
        whose save was lost. The document has to be saved with it before any change.

    Raises:
        LeaseLost: another rollback has taken the lease.
    """
    now = ports.clock.now()
    until = lease_end(now, ports)
    try:
        lease = ports.ledger.lease(rollback.service_name)
    except UnreadableItem:  # no rollback can prove that it holds an unreadable lease: the first that asks takes it
        lease = ports.ledger.acquire(rollback.service_name, rollback.id, now, until)
        if lease is not None:
            return lease.counter
    if lease is None or lease.holder != rollback.id:
        raise LeaseLost(_describe_loss(rollback, lease))
    if lease.expires_at <= now:
        lease = ports.ledger.acquire(rollback.service_name, rollback.id, now, until)
        if lease is None:
            raise LeaseLost(_describe_loss(rollback, ports.ledger.lease(rollback.service_name)))
    return ports.ledger.renew(lease, now, until).counter


def _describe_loss(rollback: Rollback, lease: Lease | None) -> str:
    """Describe why the rollback can't act under a lease that it holds, has lost or holds for too short a time."""
    service_name = rollback.service_name
    if lease is None:
        return f"{rollback.id} lost the lease on {service_name}; no rollback holds it now"
    if lease.holder != rollback.id:
        return f"{rollback.id} lost the lease on {service_name}; holder now: {lease.holder}"
    if lease.counter != rollback.lease_counter:
        return f"{rollback.id} can't act: another process took its lease on {service_name} again"
    return (
        f"{rollback.id} can't act: its lease on {service_name} ends at {lease.expires_at:%H:%M:%S} UTC, before the "
        "function's timeout"
    )


def release_leases(rollback: Rollback, ports: LeasePorts) -> None:
    """Release all leases of a concluded rollback: on its service, on the branch and on all services of the branch."""
    ports.ledger.release_lease(rollback.service_name, rollback.id)
    settings = ports.settings.database
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or settings is None:
        return
    ports.ledger.release_lease(branch_key(settings.project_id, planned.branch), rollback.id)
    for service in (*ports.settings.writers(), *ports.settings.readers()):
        ports.ledger.release_lease(service.name, rollback.id)


def assert_lease(rollback: Rollback, ports: LeasePorts, timeout_seconds: float | None = None) -> None:
    """Check, immediately before a change, that the lease outlasts the function that makes the change.

    Args:
        rollback: the rollback that makes the change.
        ports: access to AWS, Neon and the ledger.
        timeout_seconds: timeout of that function; None: of the service function.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease expires before the function's timeout.
    """
    lease = ports.ledger.lease(rollback.service_name)
    until = ports.clock.now() + timedelta(seconds=timeout_seconds or ports.settings.policy.act_timeout_seconds)
    if lease is None or lease.counter != rollback.lease_counter or not lease.is_held_by(rollback.id, until):
        raise LeaseLost(_describe_loss(rollback, lease))


def hold_writer_leases(rollback: Rollback, writers: tuple[ServiceSettings, ...], ports: LeasePorts) -> None:
    """Take the leases on all other services that write to the branch.

    `renew_leases_of_stopped_services` keeps each lease until its service starts; Conclude releases each lease with the
    last obligation of its service.

    Raises:
        LeaseLost: another rollback holds one of them.
    """
    for service in writers:
        if service.name == rollback.service_name:
            continue  # the runner renews the lease on the rollback's own service
        if hold_lease(service.name, rollback.id, ports) is None:
            raise LeaseLost(f"another rollback holds the lease on {service.name}, which writes to the branch")


def hold_branch_lease(
    rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, ports: LeasePorts
) -> str | None:
    """Acquire or renew the lease on the branch, so that one rollback at a time changes it.

    An expired lease stays with a rollback that may have changed the branch and is not concluded, unless an operator
    forces the takeover.

    Returns:
        None: this rollback holds the lease. Otherwise the id of the holder; this rollback has changed nothing yet.

    Raises:
        LeaseLost: this rollback held the lease, another rollback took the lease, and services stand at zero tasks.
    """
    key = branch_key(settings.project_id, plan.branch)
    if rollback.database is None and not rollback.is_forced_by_operator:
        unsettled = find_unsettled_holder(key, ports)
        if unsettled is not None:
            return unsettled.id
    if hold_lease(key, rollback.id, ports) is not None:
        return None
    lease = ports.ledger.lease(key)
    holder = lease.holder if lease is not None else "another rollback"
    if rollback.database is not None:
        raise LeaseLost(f"{holder} holds the lease on {key}")
    return holder


def renew_leases_of_stopped_services(rollback: Rollback, ports: LeasePorts) -> frozenset[str]:
    """Renew the leases on the other services that still stand at zero tasks for this rollback.

    Returns:
        Services whose lease another rollback has taken: that rollback starts them.

    Raises:
        LeaseLost: a lease expired while it was being renewed; call again.
    """
    lost_names, lease_lost = set(), None
    for name in sorted(
        {obligation.service for obligation in rollback.open_obligations() if obligation.service is not None}
    ):
        try:
            if hold_lease(name, rollback.id, ports) is None:
                lost_names.add(name)
        except LeaseLost as error:  # the other leases are renewed all the same
            lease_lost = error
    if lease_lost is not None:
        raise lease_lost
    return frozenset(lost_names)


def renew_leases_while_concluding(rollback: Rollback, ports: LeasePorts) -> None:
    """Renew all leases that a rollback still needs until Neon and ECS have shown the outcome of its changes.

    Without this, another rollback might begin on a service with zero tasks, or on the branch. Leases that
    another rollback has taken since are left to that rollback.
    """
    if not rollback.open_obligations():
        return
    with suppress(LeaseLost):
        if hold_lease(rollback.service_name, rollback.id, ports) is None:
            return
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is not None and ports.settings.database is not None:
        with suppress(LeaseLost):
            hold_lease(branch_key(ports.settings.database.project_id, planned.branch), rollback.id, ports)
    with suppress(LeaseLost):
        renew_leases_of_stopped_services(rollback, ports)
