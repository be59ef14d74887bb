"""A lease expires in the middle of a restore whose execution is slow or dead, and a trigger comes."""

from collections.abc import Callable
from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from simulations.database import BAD, GOOD, DatabaseSimulation
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import Simulation, alarm_event
from simulations.two_writers import WORKER, WORKER_OUTAGE, TwoWriterSimulation
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
APPROVED = Policy()
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
MANUAL = {"type": "service", "service": SERVICE, "target_version": "v1"}
EMERGENCY = {"type": "emergency", "service": SERVICE, "target_version": "v1"}

Moment = Callable[[DatabaseProgress], bool]


def is_fenced(progress: DatabaseProgress) -> bool:
    return progress.fence.head is not None


def is_announced(progress: DatabaseProgress) -> bool:
    return progress.data_change_announced_at is not None


def is_seen_in_neon(progress: DatabaseProgress) -> bool:
    return progress.backup_id is not None


def is_restored(progress: DatabaseProgress) -> bool:
    """Return whether the branch is restored; the services still have zero tasks."""
    return progress.is_over


DATA_MAY_HAVE_CHANGED = (is_announced, is_seen_in_neon, is_restored)


def slow_rollback(simulation: DatabaseSimulation, moment: Moment) -> Rollback:
    """Run a rollback to a moment of its database step, and let its leases expire while its execution runs."""
    rollback = simulation.admit(FULL)
    while rollback.database is None or not moment(rollback.database):
        rollback = simulation.run_due_step(rollback)
    assert rollback.is_fenced
    simulation.workflow.running.add(rollback.execution)
    simulation.pass_time(minutes=simulation.policy.lease_minutes + 1)
    return rollback


def end_execution(simulation: Simulation, rollback: Rollback) -> None:
    simulation.workflow.running.discard(rollback.execution)


def trigger(simulation: Simulation, cause: Any) -> Rollback:
    """Admit an operator's request, or the event of an alarm whose state changes to ALARM now."""
    return simulation.admit(cause if isinstance(cause, dict) else simulation.fire_alarm(cause), "execution-2")


def fences_left_to_operator(rollback: Rollback) -> int:
    return sum(obligation.kind is ObligationKind.FENCE for obligation in rollback.left_to_operator())


@pytest.mark.parametrize(
    "cause", [OUTAGE, DEGRADED, MANUAL, EMERGENCY], ids=["outage", "degraded", "operator", "urgent"]
)
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_trigger_leaves_the_expired_lease_to_a_rollback_that_may_have_changed_data(
    moment: Moment, cause: Any
) -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    expired_lease = simulation.ledger.lease(SERVICE)
    second = trigger(simulation, cause)

    assert second.outcome is Outcome.SUPPRESSED
    assert f"{first.id} may have changed the database and is not concluded" in second.reason
    assert simulation.check(second, "fence-is-settled").suppresses
    assert (second.recheck_at is not None) is (second.event is not None)
    assert second.obligations == ()
    assert simulation.ledger.lease(SERVICE) == expired_lease
    assert simulation.workflow.stopped == []


@pytest.mark.parametrize("cause", [OUTAGE, MANUAL], ids=["outage", "operator"])
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_slow_restore_completes_after_a_suppressed_trigger(moment: Moment, cause: Any) -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    second = simulation.run_to_end(trigger(simulation, cause))
    rollback = simulation.run_to_end(first)

    assert (rollback.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUPPRESSED), rollback.reason
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD, image("v1"), 2)
    assert simulation.neon.calls.count("restore") == 1
    assert all(obligation.discharged_at is not None for obligation in rollback.obligations)
    assert simulation.pages() == []


def test_a_lost_request_of_a_slow_restore_is_sent_again_after_a_suppressed_trigger() -> None:
    simulation = DatabaseSimulation(APPROVED)
    simulation.neon.refuse_next("restore", OutcomeUnknown("it never arrived"))
    first = slow_rollback(simulation, is_announced)
    assert (simulation.rows(), simulation.neon.calls.count("restore")) == (GOOD + BAD, 1)
    second = simulation.run_to_end(trigger(simulation, OUTAGE))
    rollback = simulation.run_to_end(first)

    assert (rollback.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUPPRESSED), rollback.reason
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD, image("v1"), 2)
    assert simulation.neon.calls.count("restore") == 2
    assert simulation.pages() == []


@pytest.mark.parametrize("cause", [OUTAGE, MANUAL], ids=["outage", "operator"])
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_slow_restore_that_resumes_before_the_trigger_holds_its_lease_again(moment: Moment, cause: Any) -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    run_step(first.id, next_step(first), simulation.ports)
    second = simulation.run_to_end(trigger(simulation, cause))
    rollback = simulation.run_to_end(first)

    assert (rollback.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUPPRESSED), rollback.reason
    assert (
        simulation.check(second, "service-is-free").reason
        == f"{first.id} has fenced the service, which causes the outage"
    )
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD, image("v1"), 2)
    assert simulation.neon.calls.count("restore") == 1
    assert simulation.pages() == []


def test_the_next_trigger_begins_once_the_slow_restore_has_ended() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, is_seen_in_neon)
    trigger(simulation, OUTAGE)
    simulation.run_to_end(first)
    third = simulation.admit({}, "execution-3")
    assert (third.outcome, third.continues_rollback_id, third.obligations) == (None, None, ())
    lease = simulation.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.is_held_by(third.id, simulation.clock.now())


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_the_janitor_pages_about_a_dead_restore_and_leaves_its_fence_to_an_operator(moment: Moment) -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    end_execution(simulation, first)
    second = simulation.run_to_end(trigger(simulation, OUTAGE))
    for _ in range(4):
        janitor.sweep(simulation.ports)
        simulation.pass_time(minutes=1)
    rollback = simulation.read(first)

    assert rollback.outcome is Outcome.FAILED
    assert rollback.reason.startswith("its execution ended without a conclusion")
    assert rollback.concluded_at is not None
    assert fences_left_to_operator(rollback) == 1
    assert (simulation.rows(), simulation.services.desired_count) == (GOOD, 0)
    assert "left at zero tasks, so that they do not write to the branch" in simulation.pages()[-1]
    assert simulation.read(second).recheck_at is not None
    assert simulation.ledger.lease(SERVICE) is None


def test_an_alarm_is_suppressed_after_a_dead_restore_and_an_operator_may_undo_that_restore() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, is_seen_in_neon)
    end_execution(simulation, first)
    second = simulation.run_to_end(trigger(simulation, OUTAGE))
    while simulation.read(first).concluded_at is None:
        janitor.sweep(simulation.ports)
        simulation.pass_time(minutes=1)
    while not simulation.workflow.started:
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
    name, event = simulation.workflow.started.pop()
    rechecked_rollback = simulation.run(event, name)
    assert (rechecked_rollback.id, rechecked_rollback.outcome) == (second.id, Outcome.SUPPRESSED)
    assert (
        f"{first.id} stopped all tasks of {SERVICE}" in simulation.check(rechecked_rollback, "not-left-at-zero").reason
    )
    simulation.healthy_versions.add("v2")
    undo = simulation.run({"type": "full", "service": SERVICE, "undo": first.id}, "execution-3")
    assert undo.outcome is Outcome.SUCCEEDED, undo.reason
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD + BAD, image("v2"), 2)


@pytest.mark.parametrize("cause", [OUTAGE, FULL, EMERGENCY], ids=["outage", "full", "urgent"])
def test_a_trigger_continues_a_slow_restore_that_has_changed_no_data(cause: Any) -> None:
    simulation = DatabaseSimulation()
    first = slow_rollback(simulation, is_fenced)
    second = trigger(simulation, cause)
    assert second.continues_rollback_id == first.id
    assert [obligation.kind for obligation in second.obligations] == [
        obligation.kind for obligation in first.obligations
    ]
    concluded_first, concluded_second = simulation.run_to_end(first), simulation.run_to_end(second)

    assert (concluded_first.outcome, concluded_first.taken_over_by) == (Outcome.ABORTED, second.id)
    assert concluded_first.reason == f"{first.id} lost the lease on {SERVICE}; holder now: {second.id}"
    assert all(obligation.handed_to == second.id for obligation in concluded_first.obligations)
    assert concluded_second.outcome is Outcome.SUCCEEDED, concluded_second.reason
    assert all(obligation.discharged_at is not None for obligation in concluded_second.obligations)
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD, image("v1"), 2)
    assert simulation.neon.calls.count("restore") == 1
    assert simulation.pages() == []


def test_a_slow_restore_that_has_changed_no_data_is_refused_and_starts_its_services_without_a_trigger() -> None:
    """The time limit of one move is shorter than a lease."""
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.run_to_end(slow_rollback(simulation, is_fenced))
    assert rollback.outcome is Outcome.REFUSED
    assert "did not end in 5 minutes, and the services had zero tasks" in rollback.reason
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD + BAD, image("v2"), 2)
    assert "restore" not in simulation.neon.calls
    assert len(simulation.pages()) == 1


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_an_operator_s_force_takes_the_expired_lease_and_the_slow_restore_ends_without_a_page(moment: Moment) -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    successor = trigger(simulation, {**MANUAL, "force": True, "reason": "Ada knows"})
    assert (successor.outcome, successor.continues_rollback_id, successor.inherits_fence_of) == (
        None,
        first.id,
        first.id,
    )
    rollback = simulation.run_to_end(first)

    assert (rollback.outcome, rollback.taken_over_by) == (Outcome.ABORTED, successor.id)
    assert rollback.reason == f"{first.id} lost the lease on {SERVICE}; holder now: {successor.id}"
    assert all(
        obligation.handed_to == successor.id for obligation in rollback.obligations if obligation.discharged_at is None
    )
    assert simulation.services.desired_count == 0
    assert simulation.pages() == []


@pytest.mark.parametrize("moment", [is_fenced, *DATA_MAY_HAVE_CHANGED])
def test_a_rollback_whose_lease_an_operator_released_ends_behind_its_fence_and_pages(moment: Moment) -> None:
    """A trigger between the unlock and the next step takes the free lease, and gives it back."""
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    unlock(SERVICE, ADA, simulation.ports, force=True)
    second = simulation.run_to_end(trigger(simulation, OUTAGE))
    assert second.outcome is Outcome.SUPPRESSED
    assert simulation.ledger.lease(SERVICE) is None
    rollback = simulation.run_to_end(first)

    assert (rollback.outcome, rollback.taken_over_by) == (Outcome.ABORTED, None)
    assert rollback.reason == f"{first.id} lost the lease on {SERVICE}; no rollback holds it now"
    assert fences_left_to_operator(rollback) == 1
    assert simulation.services.desired_count == 0
    assert rollback.id in simulation.pages()[-1]


def test_the_janitor_pages_about_a_dead_restore_that_has_changed_no_data_and_starts_its_services() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, is_fenced)
    end_execution(simulation, first)
    for _ in range(4):
        janitor.sweep(simulation.ports)
        simulation.pass_time(minutes=1)
    rollback = simulation.read(first)
    assert (rollback.outcome, rollback.left_to_operator()) == (Outcome.FAILED, ())
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD + BAD, image("v2"), 2)
    assert rollback.id in simulation.pages()[-1]


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_round_whose_save_was_lost_after_the_expired_lease_was_acquired_again_is_repeated(moment: Moment) -> None:
    """The ledger's lease has a newer counter than the document after such a round."""
    simulation = DatabaseSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    now = simulation.clock.now()
    lease = simulation.ledger.acquire(SERVICE, first.id, now, lease_end(now, simulation.ports))
    assert lease is not None
    assert lease.counter != first.lease_counter
    rollback = simulation.run_to_end(first)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert (simulation.rows(), simulation.running(), simulation.services.desired_count) == (GOOD, image("v1"), 2)
    assert simulation.neon.calls.count("restore") == 1


def trigger_worker(simulation: TwoWriterSimulation, cause: Any) -> Rollback:
    """Admit a trigger of the other writer, whose lease the fence took and let expire."""
    now = simulation.clock.now()
    if cause == WORKER_OUTAGE:
        simulation.alarms.fire(WORKER_OUTAGE, now)
        cause = alarm_event("worker-1", WORKER_OUTAGE, now)
    return admit(cause, execution_arn("worker-1"), now, simulation.ports)


@pytest.mark.parametrize(
    "cause",
    [
        WORKER_OUTAGE,
        {"type": "service", "service": WORKER, "target_version": "w1"},
        {"type": "emergency", "service": WORKER, "target_version": "w1"},
    ],
    ids=["outage", "operator", "urgent"],
)
@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_no_trigger_starts_another_writer_in_the_middle_of_a_slow_restore(moment: Moment, cause: Any) -> None:
    simulation = TwoWriterSimulation(APPROVED)
    first = slow_rollback(simulation, moment)
    worker_rollback = trigger_worker(simulation, cause)
    assert worker_rollback.outcome is Outcome.SUPPRESSED
    assert f"{first.id} may have changed the database and is not concluded" in worker_rollback.reason
    assert simulation.worker.desired_count == 0
    rollback = simulation.run_to_end(first)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert (simulation.rows(), simulation.services.desired_count, simulation.worker.desired_count) == (GOOD, 2, 2)


@pytest.mark.parametrize("moment", DATA_MAY_HAVE_CHANGED)
def test_a_rollback_of_a_service_that_does_not_write_leaves_the_expired_lease_on_the_branch(moment: Moment) -> None:
    """The fence takes no lease on that service, so Admit does not see the slow restore."""
    simulation = TwoWriterSimulation(APPROVED, writers=(SERVICE,))
    first = slow_rollback(simulation, moment)
    expired_lease = simulation.ledger.lease(simulation.branch_key)
    worker_rollback = trigger_worker(simulation, {"type": "full", "service": WORKER, "target_version": "w1"})
    assert worker_rollback.admitted_at is not None
    plan = simulation.read(first).plan
    assert plan is not None
    assert plan.database is not None
    assert hold_branch_lease(worker_rollback, plan.database, simulation.database, simulation.ports) == first.id
    assert simulation.ledger.lease(simulation.branch_key) == expired_lease
    rollback = simulation.run_to_end(first)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
