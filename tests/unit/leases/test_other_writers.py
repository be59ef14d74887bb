"""Other services that write to the branch of a database rollback: their tasks, alarms and leases."""

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from simulations.database import AFTER, BRANCH, GOOD
from simulations.service import alarm_event
from simulations.two_writers import WORKER, WORKER_OUTAGE, TwoWriterSimulation
from support.builders import SERVICE

from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError
from rollback.leases.holder import describe_holder
from rollback.workflow.admit import admit
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}


def run_worker_outage(simulation: TwoWriterSimulation) -> Rollback:
    """Fire the alarm of a writer without tasks, and run its execution to the end."""
    now = simulation.clock.now()
    simulation.alarms.fire(WORKER_OUTAGE, now)
    event = alarm_event(f"worker-{now:%H%M%S}", WORKER_OUTAGE, now)
    rollback = admit(event, f"worker-{now:%H%M%S}", now, simulation.ports)
    for _ in range(100):
        rollback = simulation.ledger.read(WORKER, rollback.id)
        if rollback.concluded_at is not None:
            return rollback
        step = Step.CONCLUDE if rollback.outcome is not None else Step.PLAN if rollback.plan is None else Step.SERVICE
        cursor = run_step(rollback.id, step, simulation.ports)
        cursor = run_step(rollback.id, cursor.next, simulation.ports)
        if cursor.wait_seconds:
            simulation.pass_time(seconds=cursor.wait_seconds)
    raise AssertionError(f"no end: {rollback}")


def fail_after_restore(simulation: TwoWriterSimulation) -> Rollback:
    rollback = simulation.admit(FULL)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    simulation.sql.schemas[BRANCH] = AFTER
    return simulation.run_to_end(rollback)


def test_all_writers_are_started_after_a_full_rollback() -> None:
    simulation = TwoWriterSimulation()
    rollback = simulation.read(simulation.run(FULL))

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.rows() == GOOD
    assert simulation.worker.desired_count == 2
    assert simulation.ledger.lease(WORKER) is None


def test_another_writer_that_was_left_at_zero_is_not_started_by_its_own_alarm() -> None:
    simulation = TwoWriterSimulation()
    rollback = fail_after_restore(simulation)
    assert rollback.outcome is Outcome.FAILED
    assert {o.service for o in rollback.left_to_operator() if o.kind is ObligationKind.FENCE} == {None, WORKER}
    simulation.pass_time(minutes=20)

    worker_rollback = run_worker_outage(simulation)
    assert worker_rollback.outcome is Outcome.SUPPRESSED, worker_rollback.reason
    assert rollback.id in worker_rollback.reason
    assert simulation.worker.desired_count == 0


def test_leases_on_another_writer_and_the_branch_are_held_while_conclude_asks_neon_about_a_restore() -> None:
    """Conclude asks Neon for up to ten minutes, as long as a lease lasts, and restores no setting during that time."""
    simulation = TwoWriterSimulation()
    rollback = simulation.admit(FULL)
    simulation.neon.lose_next("restore")
    while "restore" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    simulation.ledger.save(rollback.evolve(outcome=Outcome.FAILED, reason="its execution timed out", wait_seconds=0))

    def raise_no_answer(*_: object, **__: object) -> NoReturn:
        raise ExternalServiceError("Neon does not answer")

    simulation.replace(neon=UnavailablePort(raise_no_answer))
    began = simulation.clock.now()
    while simulation.read(rollback).open_obligations() and simulation.clock.now() - began < timedelta(minutes=12):
        for name in (SERVICE, WORKER, simulation.branch_key):
            lease = simulation.ledger.lease(name)
            assert lease is not None, name
            assert lease.is_held_by(rollback.id, simulation.clock.now()), name
        simulation.run_due_step(rollback)
    assert simulation.clock.now() - began > timedelta(minutes=10)


class UnavailablePort:
    """A port of which every call fails."""

    def __init__(self, silent: Callable[..., NoReturn]) -> None:
        self._silent = silent

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        return self._silent


def test_the_lease_on_another_writer_is_held_as_long_as_the_fence_keeps_that_writer_at_zero() -> None:
    simulation = TwoWriterSimulation()
    rollback = simulation.run_until(simulation.admit(FULL), Step.SERVICE)
    for _ in range(20):  # the target is slow to start
        rollback = simulation.read(rollback)
        if rollback.service is not None and rollback.service.acted_at is not None:
            break
        simulation.run_due_step(rollback)
    arn = simulation.describe_service().primary.definition_arn
    simulation.services.behaviours[arn] = "unhealthy"
    began = simulation.clock.now()
    while simulation.clock.now() - began < timedelta(minutes=12):
        simulation.run_due_step(rollback)
    assert simulation.worker.desired_count == 0
    lease = simulation.ledger.lease(WORKER)
    assert lease is not None
    assert lease.is_held_by(rollback.id, simulation.clock.now())
    assert "changing the database" in describe_holder(lease, simulation.ports)
