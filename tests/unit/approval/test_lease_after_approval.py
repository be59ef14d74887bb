"""An approved rollback takes its lease again: it waits for an evaluation that changes nothing, and for no other."""

from datetime import timedelta

import pytest
from simulations.database import DatabaseSimulation
from simulations.fake_ports import DEGRADED, OUTAGE

from rollback.approval.decide import await_approval, take_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import Intent, ServiceProgress
from rollback.domain.settings.policy import Policy
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step


@pytest.fixture
def simulation() -> DatabaseSimulation:
    """An environment in which an alarm's rollback needs an approval, since the schema turns it into a full one."""
    return DatabaseSimulation(Policy(on_incompatible_schema="full"), approval=ApprovalPolicy())


def approve_behind_an_evaluation(simulation: DatabaseSimulation) -> tuple[Rollback, Rollback]:
    """Approve a waiting rollback while the evaluation of another alarm holds the lease, before it has a plan."""
    waiting = simulation.run_until(simulation.admit(), Step.APPROVE)
    run_step(waiting.id, Step.APPROVE, simulation.ports)
    simulation.clock.pass_time(minutes=1)
    simulation.alarms.recover(DEGRADED)
    evaluation = simulation.run_until(simulation.admit(simulation.fire_alarm(OUTAGE), "execution-2"), Step.PLAN)
    identity = Identity.unverified("grace")
    take_decision(waiting.id, DecisionKind.APPROVED, "checked the plan", identity, simulation.ports)
    run_step(waiting.id, Step.APPROVE, simulation.ports)
    return simulation.read(waiting), evaluation


def test_an_approval_outlives_an_evaluation_that_holds_the_lease_for_a_moment(simulation: DatabaseSimulation) -> None:
    waiting, evaluation = approve_behind_an_evaluation(simulation)
    assert waiting.outcome is None
    assert waiting.wait_seconds == simulation.ports.settings.policy.poll_seconds

    suppressed = simulation.run_to_end(evaluation)
    assert suppressed.outcome is Outcome.SUPPRESSED
    assert f"{waiting.id} waits for an approval already" in suppressed.reason
    assert simulation.run_to_end(waiting).outcome is Outcome.SUCCEEDED


def test_an_execution_that_waits_for_the_lease_is_woken_by_its_timer_alone(simulation: DatabaseSimulation) -> None:
    waiting, _ = approve_behind_an_evaluation(simulation)
    assert await_approval(waiting.id, "token-1", simulation.ports)
    assert simulation.workflow.woken == []


def test_an_approval_is_refused_once_the_other_rollback_announced_a_change(simulation: DatabaseSimulation) -> None:
    waiting, evaluation = approve_behind_an_evaluation(simulation)
    now = simulation.clock.now()
    intent = Intent(action="deploy", at=now)
    announced = ServiceProgress(started_at=now, escalation_level_since=now, intent=intent)
    simulation.ledger.save(simulation.read(evaluation).evolve(service=announced))
    run_step(waiting.id, Step.APPROVE, simulation.ports)

    refused = simulation.read(waiting)
    assert refused.outcome is Outcome.REFUSED
    assert f"{evaluation.id} holds the lease" in refused.reason


def test_an_approval_waits_for_no_lease_longer_than_a_lease_lasts(simulation: DatabaseSimulation) -> None:
    waiting, evaluation = approve_behind_an_evaluation(simulation)
    for _ in range(2):
        simulation.clock.pass_time(minutes=simulation.ports.settings.policy.lease_minutes / 2)
        lease = simulation.ledger.lease(waiting.service_name)
        assert lease is not None
        simulation.ledger.renew(lease, simulation.clock.now(), simulation.clock.now() + timedelta(hours=1))
        run_step(waiting.id, Step.APPROVE, simulation.ports)

    assert simulation.read(waiting).outcome is Outcome.REFUSED
    assert simulation.read(evaluation).outcome is None
