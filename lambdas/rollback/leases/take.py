"""Take the lease on a service for a new rollback, if necessary from a rollback that may be taken over."""

from dataclasses import dataclass
from datetime import datetime

from rollback.domain.lease import Lease
from rollback.domain.obligation import ObligationKind
from rollback.domain.request import OPERATOR_TRIGGERS, RollbackType
from rollback.domain.rollback import Rollback
from rollback.leases.hold import lease_end
from rollback.leases.holder import holder_of
from rollback.leases.ports import LeasePorts
from rollback.leases.takeover import find_takeover_objection
from rollback.ports.holders import HasLedger


@dataclass(frozen=True)
class LeaseTaken:
    """The lease, and the rollback that it was taken from.

    Attributes:
        lease: the lease that this rollback holds now.
        previous_holder: the rollback that held the lease; None: the lease was free, or that record can't be read.
    """

    lease: Lease
    previous_holder: Rollback | None = None


@dataclass(frozen=True)
class LeaseDenied:
    """The reason why another rollback keeps the lease."""

    reason: str


def take_service_lease(rollback: Rollback, now: datetime, ports: LeasePorts) -> LeaseTaken | LeaseDenied:
    """Acquire a free or expired lease; take over a held lease where rule 1 allows it.

    Rule 1: an automatic trigger never takes over a rollback that is fenced, changes a database, or is an emergency.
    """
    lease = ports.ledger.acquire(rollback.service_name, rollback.id, now, lease_end(now, ports))
    return LeaseTaken(lease) if lease is not None else _take_over(rollback, now, ports)


def _take_over(rollback: Rollback, now: datetime, ports: LeasePorts) -> LeaseTaken | LeaseDenied:
    until, current_lease = lease_end(now, ports), ports.ledger.lease(rollback.service_name)
    if current_lease is None:  # the holder has just released the lease
        lease = ports.ledger.acquire(rollback.service_name, rollback.id, now, until)
        return LeaseTaken(lease) if lease is not None else LeaseDenied(_changed_hands(rollback))
    holder = holder_of(current_lease, ports)
    objection = (
        find_takeover_objection(rollback, holder)
        if holder is not None
        else _find_objection_without_record(rollback, current_lease, ports)
    )
    is_paused = rollback.trigger not in OPERATOR_TRIGGERS and ports.ledger.pause(rollback.service_name) is not None
    if objection is None and is_paused:  # a takeover would end the holder, and Plan would suppress the paused trigger
        objection = f"automatic rollbacks are paused, so {current_lease.holder} is not taken over"
    if objection is not None:
        return LeaseDenied(objection)
    lease = ports.ledger.take_over(current_lease, rollback.id, until)
    if lease is None:
        return LeaseDenied(_changed_hands(rollback))
    return LeaseTaken(lease, holder)


def _changed_hands(rollback: Rollback) -> str:
    return f"the lease on {rollback.service_name} has just changed hands"


def _find_objection_without_record(rollback: Rollback, current_lease: Lease, ports: HasLedger) -> str | None:
    """Reason to wait for a holder whose record is missing or unreadable; None: the lease may be taken over.

    An emergency takes over unless the holder has fenced the service (rule 1). The ledger's index stores
    obligations apart from the rollback's record.
    """
    if rollback.is_forced_by_operator:
        return None
    obligations = ports.ledger.obligations(rollback.service_name)
    is_fenced = any(
        entry.rollback_id == current_lease.holder and any(o.kind is ObligationKind.FENCE for o in entry.obligations)
        for entry in obligations.items
    )
    if rollback.request.type is RollbackType.EMERGENCY and not is_fenced:
        return None
    return f"{current_lease.holder} holds the lease on {rollback.service_name}, but has no readable record"
