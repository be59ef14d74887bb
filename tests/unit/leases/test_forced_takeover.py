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
APPROVED = Policy(database_approval="none")
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
FORCED = {"force": True, "reason": "Ada knows"}


def behind_its_fence(stage: DatabaseSimulation) -> Rollback:
    """Run until the service stands at zero tasks, with the branch unchanged."""
    rollback = stage.admit(FULL)
    while rollback.database is None or rollback.database.fence.head is None:
        rollback = stage.run_due_step(rollback)
    return rollback


def with_a_restore_that_was_lost(stage: DatabaseSimulation, *, is_made: bool) -> Rollback:
    """Run until the restore's request was sent and its answer lost."""
    rollback = behind_its_fence(stage)
    if is_made:
        stage.neon.lose_next("restore")
    else:
        stage.neon.refuse_next("restore", OutcomeUnknown("it never arrived"))
    while "restore" not in stage.neon.calls:
        rollback = stage.run_due_step(rollback)
    assert rollback.database is not None
    assert rollback.database.has_unanswered_change
    return rollback


def taken_over(stage: DatabaseSimulation, given: Mapping[str, object] = FULL) -> Rollback:
    return stage.admit({**given, **FORCED, "service": SERVICE}, "execution-2")


def test_the_database_is_not_planned_while_the_outcome_of_the_other_s_restore_is_unknown() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = with_a_restore_that_was_lost(stage, is_made=False)
    heir = taken_over(stage)
    assert heir.supersedes == first.id
    assert "has sent a change of the database" in describe_takeover_state(first)
    calls = list(stage.neon.calls)
    for _ in range(3):
        heir = stage.run_due_step(heir)
    assert heir.plan is None
    assert heir.outcome is None
    assert first.id in heir.reason
    assert stage.neon.calls == calls


def test_the_new_rollback_restores_if_the_other_s_restore_was_never_made() -> None:
    """The other's Conclude reads the outcome from Neon, and releases the branch."""
    stage = DatabaseSimulation(APPROVED)
    first = with_a_restore_that_was_lost(stage, is_made=False)
    heir = stage.run_due_step(taken_over(stage))
    concluded = stage.run_to_end(first)
    assert concluded.database is not None
    assert not concluded.database.may_have_changed_data
    done = stage.run_to_end(heir)

    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert (stage.rows(), stage.running()) == (GOOD, image("v1"))
    assert stage.neon.calls.count("restore") == 2


def test_a_restore_that_the_other_made_is_not_made_again() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = with_a_restore_that_was_lost(stage, is_made=True)
    heir = stage.run_due_step(taken_over(stage))
    stage.run_to_end(first)
    done = stage.run_to_end(heir)

    assert done.outcome is Outcome.REFUSED, done.reason
    assert first.id in done.reason
    assert stage.rows() == GOOD
    assert stage.neon.calls.count("restore") == 1
    assert stage.services.desired_count == 0
    assert stage.running() == image("v2")
    assert ObligationKind.FENCE in {owed.kind for owed in done.left_to_operator()}


def test_the_other_s_restore_counts_as_made_if_the_other_is_not_concluded_in_time() -> None:
    stage = DatabaseSimulation(APPROVED)
    with_a_restore_that_was_lost(stage, is_made=False)
    heir = taken_over(stage)
    stage.pass_time(minutes=stage.policy.conclude_timeout_minutes + 1)
    done = stage.run_until(heir)
    assert done.outcome is Outcome.REFUSED
    assert stage.neon.calls.count("restore") == 1
    assert stage.services.desired_count == 0


def test_the_new_rollback_starts_no_tasks_while_a_lost_request_may_still_reach_neon() -> None:
    stage = DatabaseSimulation(APPROVED, lost_answer_seconds=300)
    first = behind_its_fence(stage)
    stage.neon.lose_next("restore")
    while "restore" not in stage.neon.calls:
        cursor = run_step(first.id, Step.DATABASE, stage.world)
        stage.pass_time(seconds=cursor.wait_seconds if "restore" not in stage.neon.calls else 0)
    first = stage.read(first)
    assert first.database is not None
    assert first.database.intent is not None
    sent_at = first.database.intent.at
    heir = stage.run_until(taken_over(stage, {"type": "service", "target_version": "v1"}), Step.SERVICE)
    while stage.services.desired_count == 0:
        heir = stage.run_due_step(heir)
    assert stage.clock.now() >= sent_at + timedelta(seconds=300)


REFUSED = {"type": "service", "target_version": "v9"}


def test_rule_3_the_fence_of_an_abort_stays_when_its_successor_is_refused() -> None:
    """Ada aborted the rollback behind its fence, and it is not concluded yet."""
    stage = DatabaseSimulation(APPROVED)
    first = behind_its_fence(stage)
    abort(first.id, ADA, stage.world)
    heir = taken_over(stage, REFUSED)
    assert heir.inherits_fence_of == first.id
    done = stage.run_to_end(heir)

    assert done.outcome is Outcome.REFUSED
    assert stage.services.desired_count == 0
    assert stage.rows() == GOOD + BAD
    assert {ObligationKind.FENCE} <= {owed.kind for owed in done.left_to_operator()}
    assert len(stage.pages()) >= 1


def test_rule_3_the_fence_of_an_abort_stays_through_any_number_of_takeovers() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = behind_its_fence(stage)
    abort(first.id, ADA, stage.world)
    second = taken_over(stage, REFUSED)
    third = stage.admit({**REFUSED, **FORCED, "service": SERVICE}, "execution-3")
    assert third.inherits_fence_of == second.id
    stage.run_to_end(third)
    assert stage.services.desired_count == 0


def test_a_forced_rollback_that_succeeds_lifts_the_fence_of_an_abort() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = behind_its_fence(stage)
    abort(first.id, ADA, stage.world)
    done = stage.run_to_end(taken_over(stage, {"type": "emergency", "target_version": "v1"}))
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert (stage.running(), stage.services.desired_count) == (image("v1"), 2)


@pytest.mark.parametrize("given", [REFUSED, {"type": "service", "target_version": "v1"}])
def test_no_rollback_takes_over_an_abort_behind_its_fence_without_force(given: Mapping[str, object]) -> None:
    stage = DatabaseSimulation(APPROVED)
    first = behind_its_fence(stage)
    abort(first.id, ADA, stage.world)
    stage.pass_time(minutes=stage.policy.lease_minutes + 1)
    newcomer = admit({**given, "service": SERVICE}, "arn:other", stage.clock.now(), stage.world)
    assert newcomer.outcome is Outcome.SUPPRESSED
    assert newcomer.inherits_fence_of is None
    assert stage.services.desired_count == 0
