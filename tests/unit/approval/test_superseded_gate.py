"""The gate of a waiting rollback ends once another rollback of the service has begun, and not before."""

import pytest
from simulations.fake_ports import DEGRADED
from simulations.service import Simulation, start_simulation

from rollback.domain.approval.gate import Decision, DecisionKind
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.rollback import Rollback
from rollback.errors import ExternalServiceError
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step


@pytest.fixture
def simulation() -> Simulation:
    """An environment in which a forced rollback needs an approval, and an alarm's needs none."""
    simulation = start_simulation()
    approval = ApprovalPolicy(required_for=(ApprovalReason.FORCED,))
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"approval": approval}))
    return simulation


def wait_at_gate(simulation: Simulation) -> Rollback:
    rollback = simulation.run_until(simulation.admit({"force": True, "reason": "try"}), Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    simulation.clock.pass_time(minutes=1)
    return simulation.read(rollback)


def decision_about(waiting: Rollback, simulation: Simulation) -> Decision | None:
    assert waiting.approval is not None
    return simulation.ledger.approval_decision(waiting.id, waiting.approval.nonce)


def test_a_rollback_whose_plan_could_not_be_saved_ends_no_gate(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = wait_at_gate(simulation)
    automatic = simulation.admit(simulation.fire_alarm(DEGRADED), "execution-2")

    def fail(*_: object, **__: object) -> None:
        raise ExternalServiceError("DynamoDB does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(simulation.ledger, "save", fail)
        with pytest.raises(ExternalServiceError, match="DynamoDB does not answer"):
            run_step(automatic.id, Step.PLAN, simulation.ports)
    assert decision_about(waiting, simulation) is None


def test_a_rollback_ends_the_waiting_gate_in_the_round_after_its_plan(simulation: Simulation) -> None:
    waiting = wait_at_gate(simulation)
    automatic = simulation.admit(simulation.fire_alarm(DEGRADED), "execution-2")
    run_step(automatic.id, Step.PLAN, simulation.ports)
    assert decision_about(waiting, simulation) is None

    run_step(automatic.id, Step.SERVICE, simulation.ports)
    decision = decision_about(waiting, simulation)
    assert decision is not None
    assert (decision.kind, decision.by) == (DecisionKind.SUPERSEDED, automatic.id)
