"""An approval of a rollback that is taken over counts for its successor, unless the successor asks for more."""

from typing import Any

import pytest
from simulations.database import DatabaseSimulation

from rollback.approval.decide import take_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.planning.approval import settle_approval
from rollback.workflow.route import Step

FULL = {"type": "full", "reason": "v2 is bad", "requested_by": "ada"}
ADA = Identity(arn="arn:aws:sts::123456789012:assumed-role/OnCall/ada", is_verified=True)
GRACE = ADA.model_copy(update={"arn": ADA.arn.replace("ada", "grace")})


def approved_by_grace(**approval: Any) -> tuple[DatabaseSimulation, Rollback]:
    """A rollback that Ada started, Grace approved, and that is about to change the database."""
    simulation = DatabaseSimulation(Policy(), approval=ApprovalPolicy(**approval))
    started = simulation.admit(FULL)
    simulation.ledger.save(started.evolve(requester=ADA))
    waiting = simulation.run_until(started, Step.APPROVE)
    take_decision(waiting.id, DecisionKind.APPROVED, "checked the plan", GRACE, simulation.ports)
    return simulation, simulation.run_until(waiting, Step.DATABASE)


def settle_successor(
    simulation: DatabaseSimulation, approved: Rollback, requester: Identity, **request: Any
) -> Rollback:
    """Settle the approval of a rollback that continues an approved one with the same plan."""
    assert approved.plan is not None
    successor = approved.evolve(
        id=f"{approved.id}-2",
        approval=None,
        requester=requester,
        request=approved.request.model_copy(update=request),
        continues_rollback_id=approved.id,
    )
    return settle_approval(successor, approved.plan, simulation.ports, resumed=approved)


def test_the_approval_counts_for_a_successor_with_the_same_facts_and_reasons() -> None:
    simulation, approved = approved_by_grace()
    successor = settle_successor(simulation, approved, ADA)
    assert successor.approval is not None
    assert successor.approval.carried_from == approved.id


def test_a_reason_that_nobody_approved_needs_an_approval_of_its_own() -> None:
    simulation, approved = approved_by_grace(required_for=(ApprovalReason.FULL, ApprovalReason.FORCED))
    successor = settle_successor(simulation, approved, ADA, force=True)
    assert successor.is_at_gate
    assert successor.approval is not None
    assert successor.approval.reasons == (ApprovalReason.FULL, ApprovalReason.FORCED)


@pytest.mark.parametrize(("four_eyes", "waits"), [(True, True), (False, False)])
def test_with_four_eyes_an_approver_who_takes_the_rollback_over_does_not_approve_it_too(
    four_eyes: bool, waits: bool
) -> None:
    simulation, approved = approved_by_grace(four_eyes=four_eyes)
    assert settle_successor(simulation, approved, GRACE).is_at_gate is waits
