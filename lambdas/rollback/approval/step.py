"""Approve: the rollback gives its leases back, asks for a decision, and waits for it. Changes only the ledger.

Called again, the step looks at the ledger: at the decision, then at the time. So a lost wake-up delays a decision by
minutes and loses none.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from rollback.approval.ports import ApprovalPorts
from rollback.domain.approval.gate import Approval, Decision, DecisionKind
from rollback.domain.operator import OperatorAction
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import CallRefused, ExternalServiceError, StageNotReached, UnreadableItem
from rollback.leases.hold import lease_end, release_leases
from rollback.leases.holder import find_predecessors, find_rollback, find_unsettled_holder
from rollback.leases.ports import LeasePorts
from rollback.reports.approval import approval_message, approval_report_id, approval_subject

_LONGEST_WAIT_SECONDS = 300  # a lost wake-up costs at most this
_VERBS = {DecisionKind.APPROVED: "approve", DecisionKind.REJECTED: "reject"}  # no person expires or supersedes a gate


def approve(rollback: Rollback, ports: ApprovalPorts) -> Rollback:
    """Do the next task of the gate, or wait.

    Raises:
        StageNotReached: the rollback has no gate: a defect of the product.
    """
    gate, now = rollback.approval, ports.clock.now()
    if gate is None:
        raise StageNotReached(f"{rollback.id} waits at a gate that Plan did not open")
    decision = gate.decision or ports.ledger.approval_decision(rollback.id, gate.nonce)
    if decision is None and gate.is_expired(now):
        reason = f"no person decided by {gate.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        expired = Decision(kind=DecisionKind.EXPIRED, reason=reason, at=now)
        decision = ports.ledger.put_approval_decision(rollback.id, gate.nonce, expired).decision
    if decision is not None:
        return _follow(rollback, gate.model_copy(update={"decision": decision}), decision, ports)
    if gate.lease_returned_at is None:
        release_leases(rollback, ports)
        returned = gate.model_copy(update={"lease_returned_at": now})
        return rollback.evolve(approval=returned, wait_seconds=0)
    if gate.announced_at is None and not gate.announcement_error:
        return _announce(rollback, gate, now, ports)
    return rollback.evolve(wait_seconds=_seconds_to_wait(rollback, gate, now, ports))


def with_stored_decision(rollback: Rollback, ports: LeasePorts) -> Rollback:
    """Copy the decision about a gate that another way ends than the decision, so that the report names it.

    Args:
        rollback: a rollback that is about to end, because its execution died or an operator aborted it.
        ports: access to the ledger.
    """
    gate = rollback.approval
    if gate is None or not gate.is_open:
        return rollback
    decision = None
    with suppress(UnreadableItem):  # a damaged decision keeps no rollback from its end
        decision = ports.ledger.approval_decision(rollback.id, gate.nonce)
    if decision is None:
        return rollback
    _record_action(rollback, decision, ports)
    return rollback.evolve(approval=gate.model_copy(update={"decision": decision}))


def _announce(rollback: Rollback, gate: Approval, now: datetime, ports: ApprovalPorts) -> Rollback:
    """Ask for a decision, once; after a crash between the message and the save the message comes twice."""
    attributes = {
        "report_id": approval_report_id(rollback, gate),
        "environment": rollback.environment,
        "severity": "page",
    }
    try:
        ports.notifications.publish(approval_subject(rollback), approval_message(rollback, gate), attributes)
    except CallRefused as refusal:  # `rollback status` shows the gate; the refusal changes no outcome
        unsent = gate.model_copy(update={"announcement_error": str(refusal)})
        return rollback.evolve(approval=unsent, wait_seconds=0)
    except ExternalServiceError:
        seconds = min(ports.settings.policy.poll_seconds, _seconds_to_wait(rollback, gate, now, ports))
        return rollback.evolve(wait_seconds=seconds)
    return rollback.evolve(approval=gate.model_copy(update={"announced_at": now}), wait_seconds=0)


def _seconds_to_wait(rollback: Rollback, gate: Approval, now: datetime, ports: ApprovalPorts) -> int:
    """Wait until the gate expires, but look again within minutes; direct mode has no wake-up and polls."""
    longest = ports.settings.policy.poll_seconds if rollback.is_direct else _LONGEST_WAIT_SECONDS
    remaining = int((gate.expires_at - now).total_seconds()) + 1
    return max(1, min(longest, remaining))


def _follow(rollback: Rollback, gate: Approval, decision: Decision, ports: ApprovalPorts) -> Rollback:
    """Follow the decision: take the lease for the second Plan, or end."""
    _record_action(rollback, decision, ports)
    decided = rollback.evolve(approval=gate, wait_seconds=0)
    match decision.kind:
        case DecisionKind.APPROVED:
            return _take_lease_again(rollback, gate, decision, ports)
        case DecisionKind.REJECTED:
            return decided.evolve(outcome=Outcome.REJECTED, reason=f"rejected by {decision.by}: {decision.reason}")
        case DecisionKind.EXPIRED:
            # The alarm has no answer: its next evaluation asks again while it lasts.
            minutes = ports.settings.policy.recheck_minutes
            recheck_at = ports.clock.now() + timedelta(minutes=minutes) if rollback.may_be_evaluated_again else None
            reason = f"{decision.reason}; nothing was changed"
            return decided.evolve(outcome=Outcome.REJECTED, reason=reason, recheck_at=recheck_at)
        case DecisionKind.SUPERSEDED:
            reason = f"{decision.reason} before a person decided; nothing was changed"
            return decided.evolve(
                outcome=Outcome.ABORTED, reason=reason, taken_over_by=decision.by, is_operator_abort=False
            )


def _record_action(rollback: Rollback, decision: Decision, ports: LeasePorts) -> None:
    """Record a person's decision for `rollback status`; called again, it is the same item.

    The function that takes decisions may write items of approvals alone, so that this step records the action.
    """
    verb = _VERBS.get(decision.kind)
    if verb is None:
        return
    ports.ledger.record_action(
        OperatorAction(
            service=rollback.service_name,
            at=decision.at,
            verb=verb,
            subject=rollback.id,
            by=decision.by,
            reason=decision.reason,
        )
    )


def _take_lease_again(rollback: Rollback, gate: Approval, decision: Decision, ports: ApprovalPorts) -> Rollback:
    """Take the service's lease; wait for a rollback that changes nothing yet, and refuse behind any other."""
    decided, name, now = rollback.evolve(approval=gate, wait_seconds=0), rollback.service_name, ports.clock.now()
    unsettled = find_unsettled_holder(name, ports)
    if unsettled is not None:
        return _refuse(decided, f"{unsettled.id} holds the lease on {name}")
    lease = ports.ledger.acquire(name, rollback.id, now, lease_end(now, ports))
    if lease is None:
        current = ports.ledger.lease(name)
        holder = find_rollback(current.holder, ports) if current is not None else None
        holder_id = current.holder if current is not None else "another rollback"
        return _wait_or_refuse(rollback, decided, holder, f"{holder_id} holds the lease on {name}", ports)
    predecessors, _ = find_predecessors(rollback, ports)
    # One that is not admitted yet finds this lease, as any trigger does.
    unfinished = [other for other in predecessors if not other.is_at_gate and other.admitted_at is not None]
    if unfinished:
        other = next((other for other in unfinished if not _changes_nothing_yet(other)), unfinished[0])
        ports.ledger.release_lease(name, rollback.id)
        return _wait_or_refuse(rollback, decided, other, f"{other.id} began meanwhile and is not concluded", ports)
    reason = f"approved by {decision.by}: {decision.reason}; the plan is made again"
    return decided.evolve(lease_counter=lease.counter, reason=reason)


def _wait_or_refuse(
    rollback: Rollback, decided: Rollback, other: Rollback | None, objection: str, ports: ApprovalPorts
) -> Rollback:
    """Wait for the other rollback's end while it changes nothing, at most as long as a lease; then refuse.

    The document keeps its open gate meanwhile. So a new evaluation of an alarm finds that another rollback waits.

    Args:
        rollback: the approved rollback, as it waits at its gate.
        decided: the same rollback with the decision.
        other: the rollback in the way; None: it has no record that can be read.
        objection: why the approved rollback can't go on now.
        ports: access to the ledger.
    """
    gate, now, policy = rollback.approval, ports.clock.now(), ports.settings.policy
    since = (gate.lease_awaited_since if gate is not None else None) or now
    is_over = now - since >= timedelta(minutes=policy.lease_minutes)
    if gate is None or is_over or (other is not None and not _changes_nothing_yet(other)):
        return _refuse(decided, objection)
    waiting = gate.model_copy(update={"lease_awaited_since": since})
    return rollback.evolve(approval=waiting, wait_seconds=policy.poll_seconds)


def _changes_nothing_yet(other: Rollback) -> bool:
    """Whether a rollback has neither changed nor announced anything: it may end and leave the approved facts true."""
    intents = [part.intent for part in (other.service, other.database) if part is not None]
    return not other.has_acted and not any(intents) and not other.open_obligations()


def _refuse(rollback: Rollback, objection: str) -> Rollback:
    reason = f"the rollback is approved, but {objection}. Nothing was changed; start the rollback again"
    return rollback.evolve(outcome=Outcome.REFUSED, reason=reason)
