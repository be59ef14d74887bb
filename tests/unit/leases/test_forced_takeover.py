"""A forced takeover by an operator waits for a sent restore, and keeps a fence that an operator left."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from simulations.database import BAD, GOOD, DatabaseSimulation
from support.builders import SERVICE, image

from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.leases.takeover import describe_takeover_state
from rollback.operations.pause_abort_unlock import abort
from rollback.resources.database.errors import OutcomeUnknown
from rollback.workflow.admit import admit
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

ADA = Operator(name="ada@desk", reason="stop it")
APPROVED = Policy()
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
FORCED = {"force": True, "reason": "Ada knows"}


def run_until_fenced(simulation: DatabaseSimulation) -> Rollback:
    """Run a rollback until its fence keeps the service at zero tasks; the branch is unchanged."""
    rollback = simulation.admit(FULL)
    while rollback.database is None or rollback.database.fence.head is None:
        rollback = simulation.run_due_step(rollback)
    return rollback


def run_until_restore_is_lost(simulation: DatabaseSimulation, *, is_performed: bool) -> Rollback:
    """Run a rollback until its restore was requested and the answer was lost."""
    rollback = run_until_fenced(simulation)
    if is_performed:
        simulation.neon.lose_next("restore")
    else:
        simulation.neon.refuse_next("restore", OutcomeUnknown("it never arrived"))
    while "restore" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    assert rollback.database is not None
    assert rollback.database.has_unconfirmed_change
    return rollback


def take_over(simulation: DatabaseSimulation, execution_input: Mapping[str, object] = FULL) -> Rollback:
    return simulation.admit({**execution_input, **FORCED, "service": SERVICE}, "execution-2")


def test_the_database_is_not_planned_while_the_outcome_of_the_former_holder_s_restore_is_unknown() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_restore_is_lost(simulation, is_performed=False)
    successor = take_over(simulation)
    assert successor.continues_rollback_id == first.id
    assert "has sent a change of the database" in describe_takeover_state(first)
    calls = list(simulation.neon.calls)
    for _ in range(3):
        successor = simulation.run_due_step(successor)
    assert successor.plan is None
    assert successor.outcome is None
    assert first.id in successor.reason
    assert simulation.neon.calls == calls


def test_the_successor_restores_if_the_former_holder_s_restore_did_not_happen() -> None:
    """Conclude of the former holder reads the outcome from Neon, and releases the branch."""
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_restore_is_lost(simulation, is_performed=False)
    successor = simulation.run_due_step(take_over(simulation))
    concluded = simulation.run_to_end(first)
    assert concluded.database is not None
    assert not concluded.database.may_have_changed_data
    rollback = simulation.run_to_end(successor)

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert (simulation.rows(), simulation.running()) == (GOOD, image("v1"))
    assert simulation.neon.calls.count("restore") == 2


def test_a_restore_by_the_former_holder_is_not_repeated() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_restore_is_lost(simulation, is_performed=True)
    successor = simulation.run_due_step(take_over(simulation))
    simulation.run_to_end(first)
    rollback = simulation.run_to_end(successor)

    assert rollback.outcome is Outcome.REFUSED, rollback.reason
    assert first.id in rollback.reason
    assert simulation.rows() == GOOD
    assert simulation.neon.calls.count("restore") == 1
    assert simulation.services.desired_count == 0
    assert simulation.running() == image("v2")
    assert ObligationKind.FENCE in {obligation.kind for obligation in rollback.left_to_operator()}


def test_the_former_holder_s_restore_counts_as_done_if_that_holder_is_not_concluded_in_time() -> None:
    simulation = DatabaseSimulation(APPROVED)
    run_until_restore_is_lost(simulation, is_performed=False)
    successor = take_over(simulation)
    simulation.pass_time(minutes=simulation.policy.conclude_timeout_minutes + 1)
    rollback = simulation.run_until(successor)
    assert rollback.outcome is Outcome.REFUSED
    assert simulation.neon.calls.count("restore") == 1
    assert simulation.services.desired_count == 0


def test_the_successor_starts_no_tasks_while_a_lost_request_may_still_reach_neon() -> None:
    simulation = DatabaseSimulation(APPROVED, lost_answer_seconds=300)
    first = run_until_fenced(simulation)
    simulation.neon.lose_next("restore")
    while "restore" not in simulation.neon.calls:
        cursor = run_step(first.id, Step.DATABASE, simulation.ports)
        simulation.pass_time(seconds=cursor.wait_seconds if "restore" not in simulation.neon.calls else 0)
    first = simulation.read(first)
    assert first.database is not None
    assert first.database.intent is not None
    sent_at = first.database.intent.at
    successor = simulation.run_until(take_over(simulation, {"type": "service", "target_version": "v1"}), Step.SERVICE)
    while simulation.services.desired_count == 0:
        successor = simulation.run_due_step(successor)
    assert simulation.clock.now() >= sent_at + timedelta(seconds=300)


REFUSED = {"type": "service", "target_version": "v9"}


def test_rule_3_the_fence_of_an_abort_stays_when_its_successor_is_refused() -> None:
    """An operator aborted the former rollback behind its fence, and that rollback is not concluded yet."""
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_fenced(simulation)
    abort(first.id, ADA, simulation.ports)
    successor = take_over(simulation, REFUSED)
    assert successor.inherits_fence_of == first.id
    rollback = simulation.run_to_end(successor)

    assert rollback.outcome is Outcome.REFUSED
    assert simulation.services.desired_count == 0
    assert simulation.rows() == GOOD + BAD
    assert {ObligationKind.FENCE} <= {obligation.kind for obligation in rollback.left_to_operator()}
    assert len(simulation.pages()) >= 1


def test_rule_3_the_fence_of_an_abort_stays_through_any_number_of_takeovers() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_fenced(simulation)
    abort(first.id, ADA, simulation.ports)
    second = take_over(simulation, REFUSED)
    third = simulation.admit({**REFUSED, **FORCED, "service": SERVICE}, "execution-3")
    assert third.inherits_fence_of == second.id
    simulation.run_to_end(third)
    assert simulation.services.desired_count == 0


def test_a_forced_rollback_that_succeeds_lifts_the_fence_of_an_abort() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_fenced(simulation)
    abort(first.id, ADA, simulation.ports)
    rollback = simulation.run_to_end(take_over(simulation, {"type": "emergency", "target_version": "v1"}))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert (simulation.running(), simulation.services.desired_count) == (image("v1"), 2)


@pytest.mark.parametrize("execution_input", [REFUSED, {"type": "service", "target_version": "v1"}])
def test_no_rollback_takes_over_an_abort_behind_its_fence_without_force(execution_input: Mapping[str, object]) -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = run_until_fenced(simulation)
    abort(first.id, ADA, simulation.ports)
    simulation.pass_time(minutes=simulation.policy.lease_minutes + 1)
    newcomer = admit({**execution_input, "service": SERVICE}, "arn:other", simulation.clock.now(), simulation.ports)
    assert newcomer.outcome is Outcome.SUPPRESSED
    assert newcomer.inherits_fence_of is None
    assert simulation.services.desired_count == 0
