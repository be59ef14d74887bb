"""Earlier open rollbacks of a service: which of them a new rollback continues, and what it inherits."""

from rollback.check import Check
from rollback.domain.rollback import Obligation, Rollback
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeaseReadPorts


def find_predecessors(rollback: Rollback, world: LeaseReadPorts) -> tuple[list[Rollback], tuple[Check, ...]]:
    """Rollbacks of the same service that have not concluded, newest first.

    Returns:
        The rollbacks, and a warning about those that can't be read: an operator has to put their settings back.
    """
    pending = world.ledger.pending(rollback.service_name)
    for item in pending.unreadable:
        world.ledger.record_unreadable(item, world.clock.now())
    unreadable = [item.key for item in pending.unreadable]
    predecessors: list[Rollback] = []
    for entry in pending.items:
        if not entry.is_open or not entry.can_act or entry.rollback_id == rollback.id:
            continue
        predecessor = find_rollback(entry.rollback_id, world)
        if predecessor is None:
            unreadable.append(entry.rollback_id)
        elif predecessor.concluded_at is None:
            predecessors.append(predecessor)
    predecessors.sort(key=lambda predecessor: predecessor.began_at, reverse=True)
    if not unreadable:
        return predecessors, ()
    reason = f"can't be read, and are left to an operator: {', '.join(sorted(unreadable))}"
    return predecessors, (Check.warned("ledger-is-readable", reason),)


def must_conclude_first(predecessor: Rollback) -> bool:
    """Whether a predecessor has to be concluded before another rollback begins: a successor would lift its fence.

    Its fence surrounds data that it changed, or an operator ended a rollback behind that fence (rule 3: aborted while
    fenced, stay fenced and page).
    """
    stays_fenced = predecessor.is_aborted_by_operator or predecessor.inherits_fence_of is not None
    return predecessor.has_changed_data or (stays_fenced and predecessor.is_fenced)


def is_resumable(predecessor: Rollback, rollback: Rollback) -> bool:
    """Whether this rollback continues a predecessor: it has no outcome, was aborted midway, or lost its lease to us."""
    is_unfinished = (
        predecessor.outcome is None or predecessor.superseded_by == rollback.id or predecessor.is_aborted_midway
    )
    return predecessor.admitted_at is not None and is_unfinished


def inherited_obligations(predecessors: list[Rollback]) -> tuple[Obligation, ...]:
    """Open obligations of all predecessors, in the order in which they were made."""
    return tuple(owed for predecessor in reversed(predecessors) for owed in reversed(predecessor.open_obligations()))
