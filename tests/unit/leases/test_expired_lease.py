"""A lease expires in the middle of a restore whose execution is slow or dead, and a trigger comes."""

from collections.abc import Callable
from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from simulations.database import BAD, GOOD, DatabaseSimulation
from simulations.service import Simulation, alarm_event
from simulations.two_writers import WORKER, WORKER_OUTAGE, TwoWriterSimulation
from simulations.worlds import DEGRADED, OUTAGE
from support.builders import SERVICE, image

from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.leases.hold import hold_branch_lease, lease_end
from rollback.operations.pause_abort_unlock import unlock
from rollback.resources.database.errors import OutcomeUnknown
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.route import next_step
from rollback.workflow.runner import run_step

ADA = Operator(name="ada@desk", reason="stop it")
APPROVED = Policy(database_approval="none")
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
BY_HAND = {"type": "service", "service": SERVICE, "target_version": "v1"}
EMERGENCY = {"type": "emergency", "service": SERVICE, "target_version": "v1"}

Moment = Callable[[DatabaseProgress], bool]


def is_fenced(progress: DatabaseProgress) -> bool:
    return progress.fence.head is not None


def is_announced(progress: DatabaseProgress) -> bool:
    return progress.data_change_announced_at is not None


def is_seen_in_neon(progress: DatabaseProgress) -> bool:
    return progress.backup_id is not None


def is_restored(progress: DatabaseProgress) -> bool:
    """Whether the branch is restored; the services still stand at zero tasks."""
    return progress.is_over


DATA_MAY_HAVE_CHANGED = (is_announced, is_seen_in_neon, is_restored)


def slow_rollback(stage: DatabaseSimulation, moment: Moment) -> Rollback:
    """Run a rollback to a moment of its database step, and let its leases expire while its execution runs."""
    rollback = stage.admit(FULL)
    while rollback.database is None or not moment(rollback.database):
        rollback = stage.run_due_step(rollback)
    assert rollback.is_fenced
    stage.workflow.running.add(rollback.execution)
    stage.pass_time(minutes=stage.policy.lease_minutes + 1)
    return rollback


def die(stage: Simulation, rollback: Rollback) -> None:
    stage.workflow.running.discard(rollback.execution)


def trigger(stage: Simulation, by: Any) -> Rollback:
    """Admit an operator's request, or the event of an alarm that turns to ALARM now."""
    return stage.admit(by if isinstance(by, dict) else stage.fire_alarm(by), "execution-2")


def fences_left_to_operator(rollback: Rollback) -> int:
    return sum(owed.kind is ObligationKind.FENCE for owed in rollback.left_to_operator())


@pytest.mark.parametrize("by", [OUTAGE, DEGRADED, BY_HAND, EMERGENCY], ids=["outage", "degraded", "by-hand", "urgent"])
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_trigger_leaves_the_expired_lease_to_a_rollback_that_may_have_changed_data(moment: Moment, by: Any) -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    expired = stage.ledger.lease(SERVICE)
    second = trigger(stage, by)

    assert second.outcome is Outcome.SUPPRESSED
    assert f"{first.id} may have changed the database, and is not concluded" in second.reason
    assert stage.check(second, "fence-is-settled").suppresses
    assert (second.recheck_at is not None) is (second.event is not None)
    assert second.obligations == ()
    assert stage.ledger.lease(SERVICE) == expired
    assert stage.workflow.stopped == []


@pytest.mark.parametrize("by", [OUTAGE, BY_HAND], ids=["outage", "by-hand"])
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_slow_restore_goes_on_to_its_end_after_a_trigger_that_had_to_wait(moment: Moment, by: Any) -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    second = stage.run_to_end(trigger(stage, by))
    done = stage.run_to_end(first)

    assert (done.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUPPRESSED), done.reason
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD, image("v1"), 2)
    assert stage.neon.calls.count("restore") == 1
    assert all(owed.discharged_at is not None for owed in done.obligations)
    assert stage.pages() == []


def test_a_slow_restore_whose_request_never_arrived_is_sent_again_after_a_trigger_that_had_to_wait() -> None:
    stage = DatabaseSimulation(APPROVED)
    stage.neon.refuse_next("restore", OutcomeUnknown("it never arrived"))
    first = slow_rollback(stage, is_announced)
    assert (stage.rows(), stage.neon.calls.count("restore")) == (GOOD + BAD, 1)
    second = stage.run_to_end(trigger(stage, OUTAGE))
    done = stage.run_to_end(first)

    assert (done.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUPPRESSED), done.reason
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD, image("v1"), 2)
    assert stage.neon.calls.count("restore") == 2
    assert stage.pages() == []


@pytest.mark.parametrize("by", [OUTAGE, BY_HAND], ids=["outage", "by-hand"])
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_slow_restore_that_resumes_before_the_trigger_holds_its_lease_again(moment: Moment, by: Any) -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    run_step(first.id, next_step(first), stage.world)
    second = stage.run_to_end(trigger(stage, by))
    done = stage.run_to_end(first)

    assert (done.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUPPRESSED), done.reason
    assert (
        stage.check(second, "service-is-free").reason == f"{first.id} has fenced the service, which causes the outage"
    )
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD, image("v1"), 2)
    assert stage.neon.calls.count("restore") == 1
    assert stage.pages() == []


def test_the_next_trigger_begins_once_the_slow_restore_has_ended() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, is_seen_in_neon)
    trigger(stage, OUTAGE)
    stage.run_to_end(first)
    third = stage.admit({}, "execution-3")
    assert (third.outcome, third.supersedes, third.obligations) == (None, None, ())
    held = stage.ledger.lease(SERVICE)
    assert held is not None
    assert held.is_held_by(third.id, stage.clock.now())


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_the_janitor_pages_about_a_dead_restore_and_leaves_its_fence_to_an_operator(moment: Moment) -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    die(stage, first)
    second = stage.run_to_end(trigger(stage, OUTAGE))
    for _ in range(4):
        janitor.sweep(stage.world)
        stage.pass_time(minutes=1)
    ended = stage.read(first)

    assert ended.outcome is Outcome.FAILED
    assert ended.reason.startswith("its execution ended without a conclusion")
    assert ended.concluded_at is not None
    assert fences_left_to_operator(ended) == 1
    assert (stage.rows(), stage.services.desired_count) == (GOOD, 0)
    assert "left at zero tasks, so that nothing writes to it" in stage.pages()[-1]
    assert stage.read(second).recheck_at is not None
    assert stage.ledger.lease(SERVICE) is None


def test_an_alarm_waits_for_an_operator_after_a_dead_restore_and_an_operator_may_undo_it() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, is_seen_in_neon)
    die(stage, first)
    second = stage.run_to_end(trigger(stage, OUTAGE))
    while stage.read(first).concluded_at is None:
        janitor.sweep(stage.world)
        stage.pass_time(minutes=1)
    while not stage.workflow.started:
        stage.pass_time(minutes=1)
        janitor.sweep(stage.world)
    name, event = stage.workflow.started.pop()
    again = stage.run(event, name)
    assert (again.id, again.outcome) == (second.id, Outcome.SUPPRESSED)
    assert f"{first.id} stopped all tasks of {SERVICE}" in stage.check(again, "not-left-at-zero").reason
    stage.healthy_versions.add("v2")
    undone = stage.run({"type": "full", "service": SERVICE, "undo": first.id}, "execution-3")
    assert undone.outcome is Outcome.SUCCEEDED, undone.reason
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD + BAD, image("v2"), 2)


@pytest.mark.parametrize("by", [OUTAGE, FULL, EMERGENCY], ids=["outage", "full", "urgent"])
def test_a_trigger_continues_a_slow_restore_that_has_changed_no_data(by: Any) -> None:
    stage = DatabaseSimulation()
    first = slow_rollback(stage, is_fenced)
    second = trigger(stage, by)
    assert second.supersedes == first.id
    assert [owed.kind for owed in second.obligations] == [owed.kind for owed in first.obligations]
    ended, done = stage.run_to_end(first), stage.run_to_end(second)

    assert (ended.outcome, ended.superseded_by) == (Outcome.ABORTED, second.id)
    assert ended.reason == f"{first.id} no longer holds the lease on {SERVICE} ({second.id} does)"
    assert all(owed.handed_to == second.id for owed in ended.obligations)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert all(owed.discharged_at is not None for owed in done.obligations)
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD, image("v1"), 2)
    assert stage.neon.calls.count("restore") == 1
    assert stage.pages() == []


def test_a_slow_restore_that_has_changed_no_data_gives_up_and_starts_its_services_if_no_trigger_comes() -> None:
    """The time limit of one move is shorter than a lease."""
    stage = DatabaseSimulation(APPROVED)
    ended = stage.run_to_end(slow_rollback(stage, is_fenced))
    assert ended.outcome is Outcome.REFUSED
    assert "was not done in 5 minutes, while services stood at zero" in ended.reason
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD + BAD, image("v2"), 2)
    assert "restore" not in stage.neon.calls
    assert len(stage.pages()) == 1


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_an_operator_s_force_takes_the_expired_lease_and_the_slow_restore_ends_without_a_page(moment: Moment) -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    heir = trigger(stage, {**BY_HAND, "force": True, "reason": "Ada knows"})
    assert (heir.outcome, heir.supersedes, heir.inherits_fence_of) == (None, first.id, first.id)
    ended = stage.run_to_end(first)

    assert (ended.outcome, ended.superseded_by) == (Outcome.ABORTED, heir.id)
    assert ended.reason == f"{first.id} no longer holds the lease on {SERVICE} ({heir.id} does)"
    assert all(owed.handed_to == heir.id for owed in ended.obligations if owed.discharged_at is None)
    assert stage.services.desired_count == 0
    assert stage.pages() == []


@pytest.mark.parametrize("moment", [is_fenced, *DATA_MAY_HAVE_CHANGED])
def test_a_rollback_whose_lease_an_operator_gave_back_ends_behind_its_fence_and_pages(moment: Moment) -> None:
    """A trigger between the unlock and the next step takes the free lease, and gives it back."""
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    unlock(SERVICE, ADA, stage.world, force=True)
    second = stage.run_to_end(trigger(stage, OUTAGE))
    assert second.outcome is Outcome.SUPPRESSED
    assert stage.ledger.lease(SERVICE) is None
    ended = stage.run_to_end(first)

    assert (ended.outcome, ended.superseded_by) == (Outcome.ABORTED, None)
    assert ended.reason == f"{first.id} no longer holds the lease on {SERVICE} (no rollback does)"
    assert fences_left_to_operator(ended) == 1
    assert stage.services.desired_count == 0
    assert ended.id in stage.pages()[-1]


def test_the_janitor_pages_about_a_dead_restore_that_has_changed_no_data_and_starts_its_services() -> None:
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, is_fenced)
    die(stage, first)
    for _ in range(4):
        janitor.sweep(stage.world)
        stage.pass_time(minutes=1)
    ended = stage.read(first)
    assert (ended.outcome, ended.left_to_operator()) == (Outcome.FAILED, ())
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD + BAD, image("v2"), 2)
    assert ended.id in stage.pages()[-1]


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_round_whose_save_was_lost_after_it_took_the_expired_lease_again_is_repeated(moment: Moment) -> None:
    """The ledger's lease then has a newer counter than the document."""
    stage = DatabaseSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    now = stage.clock.now()
    retaken = stage.ledger.acquire(SERVICE, first.id, now, lease_end(now, stage.world))
    assert retaken is not None
    assert retaken.counter != first.lease_counter
    done = stage.run_to_end(first)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert (stage.rows(), stage.running(), stage.services.desired_count) == (GOOD, image("v1"), 2)
    assert stage.neon.calls.count("restore") == 1


def trigger_of_worker(stage: TwoWriterSimulation, by: Any) -> Rollback:
    """Admit a trigger of the other writer, whose lease the fence took and let expire."""
    now = stage.clock.now()
    if by == WORKER_OUTAGE:
        stage.alarms.fire(WORKER_OUTAGE, now)
        by = alarm_event("worker-1", WORKER_OUTAGE, now)
    return admit(by, execution_arn("worker-1"), now, stage.world)


@pytest.mark.parametrize(
    "by",
    [
        WORKER_OUTAGE,
        {"type": "service", "service": WORKER, "target_version": "w1"},
        {"type": "emergency", "service": WORKER, "target_version": "w1"},
    ],
    ids=["outage", "by-hand", "urgent"],
)
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_no_trigger_starts_another_writer_in_the_middle_of_a_slow_restore(moment: Moment, by: Any) -> None:
    stage = TwoWriterSimulation(APPROVED)
    first = slow_rollback(stage, moment)
    of_worker = trigger_of_worker(stage, by)
    assert of_worker.outcome is Outcome.SUPPRESSED
    assert f"{first.id} may have changed the database, and is not concluded" in of_worker.reason
    assert stage.worker.desired_count == 0
    done = stage.run_to_end(first)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert (stage.rows(), stage.services.desired_count, stage.worker.desired_count) == (GOOD, 2, 2)


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_rollback_of_a_service_that_does_not_write_leaves_the_expired_lease_on_the_branch(moment: Moment) -> None:
    """The fence takes no lease on that service, so Admit does not see the slow restore."""
    stage = TwoWriterSimulation(APPROVED, writers=(SERVICE,))
    first = slow_rollback(stage, moment)
    expired = stage.ledger.lease(stage.branch_key)
    of_worker = trigger_of_worker(stage, {"type": "full", "service": WORKER, "target_version": "w1"})
    assert of_worker.admitted_at is not None
    plan = stage.read(first).plan
    assert plan is not None
    assert plan.database is not None
    assert hold_branch_lease(of_worker, plan.database, stage.database, stage.world) == first.id
    assert stage.ledger.lease(stage.branch_key) == expired
    done = stage.run_to_end(first)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
