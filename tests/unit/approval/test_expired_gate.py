"""A gate that nobody decides: an automatic rollback pages, and its alarm is evaluated again."""

import pytest
from simulations.database import DatabaseSimulation
from simulations.fake_ports import DEGRADED

from rollback.approval.decide import take_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.ledger.page_count import aggregation_key, is_page
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.workflow import janitor
from rollback.workflow.route import Step

FULL = {"type": "full", "reason": "v2 is bad", "requested_by": "ada"}


@pytest.fixture
def simulation() -> DatabaseSimulation:
    """An environment in which an alarm's rollback needs an approval, since the schema turns it into a full one."""
    return DatabaseSimulation(Policy(on_incompatible_schema="full"), approval=ApprovalPolicy())


def let_expire(simulation: DatabaseSimulation) -> Rollback:
    rollback = simulation.run()
    assert (rollback.outcome, simulation.neon.calls) == (Outcome.REJECTED, [])
    return rollback


def test_the_end_of_an_automatic_rollback_that_nobody_decided_is_a_page(simulation: DatabaseSimulation) -> None:
    rollback = let_expire(simulation)

    assert is_page(rollback)
    assert "no person decided by" in simulation.pages()[-1]
    assert aggregation_key(rollback) == f"alarm {DEGRADED}: rejected for now {' '.join(rollback.failed_check_names)}"


def test_an_alarm_that_lasts_is_evaluated_again_after_its_gate_expired(simulation: DatabaseSimulation) -> None:
    rollback = let_expire(simulation)
    assert rollback.recheck_at is not None

    simulation.pass_time(minutes=simulation.ports.settings.policy.recheck_minutes)
    janitor.sweep(simulation.ports)
    assert len(simulation.workflow.started) == 1


def test_an_alarm_that_recovered_is_not_evaluated_again(simulation: DatabaseSimulation) -> None:
    rollback = let_expire(simulation)
    simulation.alarms.recover(DEGRADED)

    simulation.pass_time(minutes=simulation.ports.settings.policy.recheck_minutes)
    janitor.sweep(simulation.ports)
    assert simulation.workflow.started == []
    assert simulation.read(rollback).recheck_at is None


def test_a_rollback_that_a_person_rejected_is_neither_a_page_nor_evaluated_again(
    simulation: DatabaseSimulation,
) -> None:
    rollback = simulation.run_until(simulation.admit(), Step.APPROVE)
    take_decision(rollback.id, DecisionKind.REJECTED, "we fix it forward", Identity.unverified("ada"), simulation.ports)
    ended = simulation.run_to_end(rollback)

    assert ended.outcome is Outcome.REJECTED
    assert not is_page(ended)
    assert ended.recheck_at is None


def test_an_operator_who_gets_no_decision_is_not_paged(simulation: DatabaseSimulation) -> None:
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.REJECTED
    assert not is_page(rollback)
    assert rollback.recheck_at is None
