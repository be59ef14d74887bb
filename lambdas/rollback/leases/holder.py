"""Rollbacks around a lease: the present holder, the successor that took the lease over, and unfinished predecessors."""

from rollback.check import Check
from rollback.domain.lease import Lease
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Rollback, service_of
from rollback.errors import ExternalServiceError, UnreadableItem
from rollback.leases.ports import LeaseLivenessPorts, LeasePorts, LeaseReadPorts
from rollback.leases.takeover import describe_takeover_state


def find_live_lease(name: str, ports: LeaseReadPorts) -> Lease | None:
    """The unexpired lease on a service, or on a branch by its key; None: there is none."""
    lease = ports.ledger.lease(name)
    return lease if lease is not None and lease.expires_at > ports.clock.now() else None


def find_live_database_lease(ports: LeasePorts) -> Lease | None:
    """The unexpired lease of a rollback that may be changing the environment's branch; None: there is none.

    Such a rollback holds a lease on the branch, or on a service that writes to the branch.
    """
    database = ports.settings.database
    if database is None or database.branch_id is None:
        return None
    names = (database.branch_key(None), *(service.name for service in ports.settings.writers()))
    leases = (find_live_lease(name, ports) for name in names)
    return next((lease for lease in leases if lease is not None), None)


def holder_of(lease: Lease, ports: LeaseReadPorts) -> Rollback | None:
    """The rollback that holds a lease; None: its record is missing or can't be read."""
    return find_rollback(lease.holder, ports)


def find_rollback(rollback_id: str, ports: LeaseReadPorts) -> Rollback | None:
    """A rollback by its id, of any service: a rollback may hold leases on other services, and on a branch.

    Returns:
        None: the record is missing, or can't be read. An unreadable record is noted for an operator.
    """
    service_name = service_of(rollback_id)
    try:
        return ports.ledger.read(service_name, rollback_id)
    except KeyError:
        return None
    except UnreadableItem as unreadable:
        ports.ledger.record_unreadable(unreadable, ports.clock.now())
        return None


def why_lease_is_alive(lease: Lease, ports: LeaseLivenessPorts) -> str | None:
    """Reason why the holder of a lease may still act; None: it is concluded, or its execution and its lease ended.

    Without an answer of Step Functions the holder counts as alive: an execution that nobody saw may still run.
    """
    holder = holder_of(lease, ports)
    if holder is not None and holder.concluded_at is not None:
        return None
    if lease.expires_at > ports.clock.now():
        return f"its lease holds until {lease.expires_at:%H:%M:%S} UTC"
    try:
        is_running = holder is not None and ports.workflow.is_running(holder.execution)
    except ExternalServiceError as failure:
        return f"Step Functions could not be asked whether its execution runs: {failure}"
    return "its execution runs" if is_running else None


def describe_holder(lease: Lease, ports: LeaseReadPorts) -> str:
    """The state of the holder, for an operator who is about to interfere with it."""
    holder = holder_of(lease, ports)
    if holder is None:
        return f"{lease.holder} holds the lease, and the ledger has no record of {lease.holder} that can be read"
    return describe_takeover_state(holder)


def successor_of(rollback: Rollback, ports: LeaseReadPorts) -> str | None:
    """Id of the rollback that took the lease over and continues this one; None: no rollback does."""
    try:
        lease = ports.ledger.lease(rollback.service_name)
    except UnreadableItem:
        return None
    if lease is None or lease.holder == rollback.id:
        return None
    successor = holder_of(lease, ports)
    if successor is None:
        return None
    return successor.id if successor.admitted_at is None or successor.continues_rollback_id == rollback.id else None


def find_predecessors(rollback: Rollback, ports: LeaseReadPorts) -> tuple[list[Rollback], tuple[Check, ...]]:
    """Rollbacks of the same service that have not concluded, newest first.

    Returns:
        The rollbacks, and a warning about those that can't be read: an operator has to put their settings back.
    """
    pending = ports.ledger.pending(rollback.service_name)
    for item in pending.unreadable:
        ports.ledger.record_unreadable(item, ports.clock.now())
    unreadable_keys = [item.key for item in pending.unreadable]
    predecessors: list[Rollback] = []
    for entry in pending.items:
        if not entry.is_open or not entry.can_act or entry.rollback_id == rollback.id:
            continue
        predecessor = find_rollback(entry.rollback_id, ports)
        if predecessor is None:
            unreadable_keys.append(entry.rollback_id)
        elif predecessor.concluded_at is None:
            predecessors.append(predecessor)
    predecessors.sort(key=lambda predecessor: predecessor.began_at, reverse=True)
    if not unreadable_keys:
        return predecessors, ()
    reason = f"these records can't be read, and are left to an operator: {', '.join(sorted(unreadable_keys))}"
    return predecessors, (Check.warned("ledger-is-readable", reason),)


def find_rollback_at_gate(service_name: str, ports: LeaseReadPorts) -> Rollback | None:
    """The rollback of a service that waits for an approval, without a lease; None: there is none."""
    entries = (entry for entry in ports.ledger.pending(service_name).items if entry.is_open and entry.can_act)
    rollbacks = (find_rollback(entry.rollback_id, ports) for entry in entries)
    return next((rollback for rollback in rollbacks if rollback is not None and rollback.is_at_gate), None)


def must_conclude_first(predecessor: Rollback) -> bool:
    """Whether a predecessor has to be concluded before another rollback begins: a successor would lift its fence.

    The predecessor changed the data behind its fence, or an operator ended a rollback behind that fence (rule 3:
    aborted while fenced, stay fenced and page).
    """
    stays_fenced = predecessor.is_aborted_by_operator or predecessor.inherits_fence_of is not None
    return predecessor.has_changed_data or (stays_fenced and predecessor.is_fenced)


def is_resumable(predecessor: Rollback, rollback: Rollback) -> bool:
    """Whether this rollback continues a predecessor: without outcome, aborted midway, or taken over by it."""
    is_unfinished = (
        predecessor.outcome is None or predecessor.taken_over_by == rollback.id or predecessor.is_aborted_midway
    )
    return predecessor.admitted_at is not None and is_unfinished


def find_unsettled_holder(name: str, ports: LeaseReadPorts) -> Rollback | None:
    """The rollback that let a lease expire and has to be concluded first; None: a free lease may be taken.

    The execution of that rollback may be slow. If another rollback took the lease, even for a moment, the slow
    execution would end at its next step, with services at zero tasks.

    Args:
        name: name of the service, or key of the branch.
        ports: access to AWS, Neon and the ledger.
    """
    try:
        lease = ports.ledger.lease(name)
    except UnreadableItem:  # no rollback can prove that it holds an unreadable lease
        return None
    if lease is None or lease.expires_at > ports.clock.now():
        return None
    holder = holder_of(lease, ports)
    is_unsettled = holder is not None and holder.concluded_at is None and must_conclude_first(holder)
    return holder if is_unsettled else None


def inherited_obligations(predecessors: list[Rollback]) -> tuple[Obligation, ...]:
    """Open obligations of all predecessors, in the order in which they were made."""
    return tuple(
        obligation
        for predecessor in reversed(predecessors)
        for obligation in reversed(predecessor.open_obligations())
        if obligation.kind is not ObligationKind.PREVIEW_BRANCH  # a drill deletes its own preview, without a lease
    )
