"""Phase of a rollback, as events, statuses and messages name it."""

from enum import StrEnum

from rollback.domain.rollback import Rollback


class Phase(StrEnum):
    """Phases in the order in which a rollback passes them. Not every rollback passes all."""

    STARTED = "started"
    PLANNED = "planned"
    APPROVAL_REQUESTED = "approval_requested"
    ACTING = "acting"
    VERIFYING = "verifying"
    CONCLUDED = "concluded"
    DATA_LOSS_REPORTED = "data_loss_reported"


def phase_of(rollback: Rollback) -> Phase:
    """Return the phase that a document has reached."""
    if rollback.concluded_at is not None:
        return Phase.DATA_LOSS_REPORTED if _is_data_loss_reported(rollback) else Phase.CONCLUDED
    if rollback.verification is not None:
        return Phase.VERIFYING
    if rollback.is_at_gate:
        return Phase.APPROVAL_REQUESTED
    if rollback.has_acted or _has_announced_a_change(rollback):
        return Phase.ACTING
    return Phase.PLANNED if rollback.plan is not None else Phase.STARTED


def phases_between(before: Rollback | None, after: Rollback) -> tuple[Phase, ...]:
    """List the phases that a rollback entered between two saves, in order.

    Verify may lead back to acting, so a former phase may be entered again.

    Args:
        before: the earlier document; None: the rollback did not exist.
        after: the later document.
    """
    order, reached = list(Phase), phase_of(after)
    is_new = before is None or before.evaluations != after.evaluations
    former = None if is_new or before is None else phase_of(before)
    if former is reached:
        return ()
    first = order.index(former) + 1 if former is not None else 0
    if first > order.index(reached):
        return (reached,)
    return tuple(phase for phase in order[first : order.index(reached) + 1] if _has_passed(phase, after))


def _has_passed(phase: Phase, rollback: Rollback) -> bool:
    """Whether a rollback entered a phase on its way: a refused one never acted."""
    match phase:
        case Phase.STARTED | Phase.CONCLUDED:
            return True
        case Phase.PLANNED:
            return rollback.plan is not None
        case Phase.APPROVAL_REQUESTED:
            return rollback.approval is not None and rollback.approval.carried_from is None
        case Phase.ACTING:
            return rollback.has_acted or _has_announced_a_change(rollback)
        case Phase.VERIFYING:
            return rollback.verification is not None
        case Phase.DATA_LOSS_REPORTED:
            return _is_data_loss_reported(rollback)


def _has_announced_a_change(rollback: Rollback) -> bool:
    return (rollback.service is not None and rollback.service.intent is not None) or rollback.database is not None


def _is_data_loss_reported(rollback: Rollback) -> bool:
    analysis = rollback.database.data_loss_analysis if rollback.database is not None else None
    return analysis is not None and analysis.reported_at is not None
