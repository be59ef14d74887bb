"""The end of Plan: open the gate if the rollback needs an approval, or compare the plan with the approved facts.

The gate is saved with the plan, under the lease. So two rollbacks of one service never wait at a gate together.
"""

import secrets
from datetime import timedelta

from rollback.approval.decide import requester_of
from rollback.approval.rules import REASONS_IN_WORDS, facts_to_approve, reasons_for_approval
from rollback.check import Check
from rollback.domain.approval.compare import changed_facts
from rollback.domain.approval.gate import Approval, ApprovedFacts, Decision, DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalReason
from rollback.domain.approval.rules import refuse_decision
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasSettings

_NONCE_BYTES = 8


def as_requested(rollback: Rollback) -> Rollback:
    """Return the rollback with the type that was requested, so that the schema is judged again after an approval."""
    gate = rollback.approval
    if gate is None or not gate.is_replan_due or rollback.escalated_from_type is None:
        return rollback
    request = rollback.request.model_copy(update={"type": rollback.escalated_from_type})
    return rollback.evolve(request=request, escalated_from_type=None)


def settle_approval(rollback: Rollback, plan: Plan, ports: LeasePorts, *, resumed: Rollback | None) -> Rollback:
    """Return a rollback whose plan refuses nothing: it goes on, waits at its gate, or is refused.

    Args:
        rollback: the rollback with its plan.
        plan: its plan.
        ports: access to the ledger.
        resumed: the rollback that this one continues; its approval counts for the same facts and reasons.
    """
    if rollback.is_drill:  # it changes a preview branch only, and restarts what runs
        return rollback
    gate, facts = rollback.approval, facts_to_approve(rollback, plan)
    if gate is not None and gate.is_replan_due:
        return _compare(rollback, gate, facts, ports)
    reasons = reasons_for_approval(rollback.request, plan, rollback.admission, ports.settings.approval)
    earlier = resumed.approval if resumed is not None else None
    if resumed is not None and earlier is not None and _covers(earlier, rollback, facts, reasons, ports):
        carried = earlier.model_copy(update={"carried_from": resumed.id, "replanned_at": ports.clock.now()})
        return rollback.evolve(approval=carried)
    if not reasons:
        return rollback
    because = "; ".join(REASONS_IN_WORDS[reason] for reason in reasons)
    objection = _find_objection(rollback, because, ports)
    if objection is not None:
        refused_plan = plan.model_copy(update={"checks": (*plan.checks, objection)})
        outcome = Outcome.SUPPRESSED if objection.suppresses else Outcome.REFUSED
        recheck_at = objection.recheck_due_at if rollback.may_be_evaluated_again else None
        return rollback.evolve(plan=refused_plan, outcome=outcome, reason=objection.reason, recheck_at=recheck_at)
    now = ports.clock.now()
    expires_at = now + timedelta(minutes=ports.settings.approval.approval_timeout_minutes)
    opened = Approval(
        requested_at=now,
        expires_at=expires_at,
        reasons=tuple(reason.value for reason in reasons),
        nonce=secrets.token_hex(_NONCE_BYTES),
        approved_facts=facts,
    )
    reason = f"{plan.summary}; waits for an approval until {expires_at:%Y-%m-%d %H:%M:%S} UTC, since {because}"
    return rollback.evolve(approval=opened, reason=reason)


def _covers(
    earlier: Approval,
    rollback: Rollback,
    facts: ApprovedFacts,
    reasons: tuple[ApprovalReason, ...],
    ports: HasSettings,
) -> bool:
    """Whether an approval of the continued rollback counts for this one: same facts, no new reason, same rules."""
    decision = earlier.decision
    if decision is None or not earlier.is_approved or changed_facts(earlier.approved_facts, facts):
        return False
    approver = Identity(arn=decision.by, is_verified=decision.is_verified)
    is_refused = refuse_decision(ports.settings.approval, approver, requester_of(rollback)) is not None
    return {reason.value for reason in reasons} <= {*earlier.reasons} and not is_refused


def _compare(rollback: Rollback, gate: Approval, facts: ApprovedFacts, ports: LeasePorts) -> Rollback:
    """Go on with the approved facts, or refuse: a person approved another rollback than this plan."""
    differences = changed_facts(gate.approved_facts, facts)
    if not differences:
        return rollback.evolve(approval=gate.model_copy(update={"replanned_at": ports.clock.now()}))
    by = gate.decision.by if gate.decision is not None else "a person"
    reason = (
        f"the plan changed after {by} approved it: {'; '.join(differences)}. Nothing was changed; start the rollback "
        "again for a plan of the present state"
    )
    return rollback.evolve(outcome=Outcome.REFUSED, reason=reason)


def _find_objection(rollback: Rollback, because: str, ports: LeasePorts) -> Check | None:
    """Check that the rollback can wait at a gate; None: it can."""
    policy = ports.settings.approval
    if rollback.open_obligations():
        reason = (
            f"the rollback needs an approval, since {because}; it took over settings that another rollback changed, "
            "and a rollback with such settings does not wait. They are put back now; start the rollback again"
        )
        return Check.failed("nothing-waits-while-changed", reason)
    is_unproved = rollback.requester is None or not rollback.requester.is_verified
    if policy.four_eyes and rollback.is_requested_by_person and is_unproved:
        reason = (
            f"the rollback needs an approval, since {because}, and approval.four_eyes demands another person for it. "
            "AWS did not confirm who started this rollback; start it from the command line, which sends a proof of "
            "identity"
        )
        return Check.failed("requester-is-verified", reason)
    waiting = _find_waiting(rollback, ports)
    if waiting and not rollback.is_forced_by_operator:
        other = waiting[0]
        until = f"{other.approval.expires_at:%H:%M:%S} UTC" if other.approval is not None else "its end"
        reason = f"{other.id} waits for an approval already, until {until}; at most one rollback of a service waits"
        recheck_at = ports.clock.now() + timedelta(minutes=ports.settings.policy.recheck_minutes)
        return Check.failed("no-approval-is-pending", reason, suppresses=True, recheck_due_at=recheck_at)
    return None


def _find_waiting(rollback: Rollback, ports: LeasePorts) -> list[Rollback]:
    """Rollbacks that waited at a gate when this one was admitted, and wait still."""
    others = (find_rollback(other_id, ports) for other_id in rollback.supersedes)
    return [other for other in others if other is not None and other.is_at_gate]


def supersede_waiting(rollback: Rollback, ports: LeasePorts) -> None:
    """End the gates of other rollbacks of the service, since the state that a person would approve goes away.

    The first round after Plan does so, with the plan saved: a rollback that does not begin ends no gate. Each later
    round repeats it, since a crash may have come between. No execution is woken, so that an emergency makes no further
    call: each finds the decision within minutes.

    Args:
        rollback: a rollback whose saved plan lets it go on.
        ports: access to the ledger.
    """
    for other in _find_waiting(rollback, ports):
        if other.approval is not None:
            reason = f"{rollback.id} ({rollback.request.type}, {rollback.trigger}) began on {rollback.service_name}"
            superseded = Decision(kind=DecisionKind.SUPERSEDED, by=rollback.id, reason=reason, at=ports.clock.now())
            ports.ledger.put_approval_decision(other.id, other.approval.nonce, superseded)
