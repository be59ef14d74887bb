"""Operations on rollbacks: pause, resume, abort, unlock."""

from datetime import timedelta
from typing import Any

import pytest
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from simulations.service import SUSPECT, Simulation, alarm_event, start_simulation, start_simulation_at_zero
from support.builders import SERVICE
from support.builders import rollback as a_rollback

from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import Conflict, ExternalServiceError, InvalidRequest
from rollback.operations.pause_abort_unlock import abort, pause, resume, unlock
from rollback.workflow import janitor
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step
from rollback_cli.direct_mode import wait_until_concluded

ANN = Operator(name="ann@desk", reason="the database is being moved")
BOB = Operator(name="bob@desk", reason="me too")


def verbs(simulation: Simulation) -> list[str]:
    return [action.verb for action in simulation.ledger.actions(SERVICE)]


def acting(simulation: Simulation) -> Rollback:
    """A rollback that has sent its update."""
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    simulation.workflow.running.add(rollback.execution)
    return simulation.run_due_step(rollback)


def concluded(simulation: Simulation, rollback: Rollback) -> Rollback:
    """Conclude a rollback as the command line does."""
    return wait_until_concluded(rollback.id, simulation.ports, lambda seconds: simulation.pass_time(seconds=seconds))


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_every_operation_requires_a_reason(reason: str) -> None:
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        Operator(name="ann", reason=reason)


# Pause


def test_during_a_pause_an_alarm_starts_no_rollback_and_an_operator_does() -> None:
    simulation = start_simulation()
    said = pause(SERVICE, ANN, simulation.ports)
    assert "are paused" in said
    suppressed = simulation.run(alarm_event())
    assert suppressed.outcome is Outcome.SUPPRESSED
    assert "by ann@desk: the database is being moved" in suppressed.reason
    assert simulation.run({}, "execution-2").outcome is Outcome.SUCCEEDED


def test_a_pause_does_not_end_a_live_rollback_and_names_the_command_that_does() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)
    assert f"rollback abort production {rollback.id}" in pause(SERVICE, ANN, simulation.ports)


def test_pausing_twice_is_refused_and_keeps_the_first_reason() -> None:
    simulation = start_simulation()
    pause(SERVICE, ANN, simulation.ports)
    with pytest.raises(InvalidRequest, match="paused already, since 2026-03-01 03:00 UTC by ann@desk"):
        pause(SERVICE, BOB, simulation.ports)
    stands = simulation.ledger.pause(SERVICE)
    assert stands is not None
    assert stands.by == "ann@desk"
    assert verbs(simulation) == ["pause"]


def test_the_second_of_two_simultaneous_pauses_is_refused_with_the_first() -> None:
    simulation = start_simulation()
    put = simulation.ledger.put_pause

    def bob_is_faster(given: Any) -> None:
        put(given.model_copy(update={"by": "bob@desk"}))
        put(given)

    simulation.ledger.put_pause = bob_is_faster  # type: ignore[method-assign, assignment]
    with pytest.raises(InvalidRequest, match="by bob@desk"):
        pause(SERVICE, ANN, simulation.ports)


def test_an_alarm_in_alarm_is_rechecked_after_resume() -> None:
    simulation = start_simulation()
    pause(SERVICE, ANN, simulation.ports)
    simulation.run(alarm_event())
    simulation.pass_time(minutes=30)
    assert janitor.sweep(simulation.ports) == []
    assert "paused since 2026-03-01 03:00 UTC by ann@desk" in resume(SERVICE, BOB, simulation.ports)
    assert len(janitor.sweep(simulation.ports)) == 1
    assert verbs(simulation) == ["resume", "pause"]


def test_resuming_a_service_that_is_not_paused_is_refused() -> None:
    simulation = start_simulation()
    with pytest.raises(InvalidRequest, match="not paused"):
        resume(SERVICE, ANN, simulation.ports)
    assert verbs(simulation) == []


# Abort


def test_an_aborted_rollback_stops_concludes_and_gives_the_lease_back() -> None:
    simulation = start_simulation()
    before = dict(simulation.services.deployment_configuration)
    rollback = acting(simulation)
    abort(rollback.id, ANN, simulation.ports)
    assert simulation.workflow.stopped == [rollback.execution]
    done = concluded(simulation, rollback)
    assert (done.outcome, done.reason) == (Outcome.ABORTED, "aborted by ann@desk: the database is being moved")
    assert done.left_to_operator() == ()
    assert simulation.services.deployment_configuration == before
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.state_of("v2") is SUSPECT
    assert simulation.severities() == ["page"]
    assert verbs(simulation) == ["abort"]


def test_an_abort_that_meets_a_save_wins_and_the_step_goes_to_conclude() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)
    save = simulation.ledger.save
    moved: list[Rollback] = []

    def another_saves_first(given: Rollback, **named: Any) -> Rollback:
        if not moved:
            moved.append(save(simulation.read(rollback).evolve(reason="one step further")))
        return save(given, **named)

    simulation.ledger.save = another_saves_first  # type: ignore[method-assign, assignment]
    ended = abort(rollback.id, ANN, simulation.ports)
    assert ended.outcome is Outcome.ABORTED
    assert run_step(rollback.id, Step.SERVICE, simulation.ports).next is Step.CONCLUDE


def test_an_abort_whose_save_always_conflicts_raises_a_conflict() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)

    def always_late(given: Rollback, **named: Any) -> Rollback:
        raise Conflict("late")

    simulation.ledger.save = always_late  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict, match="5 times"):
        abort(rollback.id, ANN, simulation.ports)
    assert simulation.workflow.stopped == []


def test_an_execution_that_can_not_be_stopped_finds_the_outcome_and_concludes() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)

    def denied(execution: str, cause: str) -> None:
        raise ExternalServiceError("StopExecution: AccessDenied")

    simulation.workflow.stop = denied  # type: ignore[method-assign]
    abort(rollback.id, ANN, simulation.ports)
    done = simulation.run_until(rollback)
    run_step(rollback.id, Step.DONE, simulation.ports)
    assert done.outcome is Outcome.ABORTED
    assert simulation.ledger.lease(SERVICE) is None


def test_the_rule_on_aborted_executions_alone_begins_the_conclusion() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    abort(rollback.id, ANN, simulation.ports)
    janitor.conclude_execution(rollback.execution, "its execution ended as ABORTED", simulation.ports, by_hand=True)
    done = simulation.read(rollback)
    assert done.concluded_at is not None
    assert done.reason == "aborted by ann@desk: the database is being moved"
    assert simulation.ledger.lease(SERVICE) is None


def test_the_command_line_lets_the_rule_conclude_first_and_the_report_is_sent_once() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)
    abort(rollback.id, ANN, simulation.ports)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        simulation.pass_time(seconds=seconds)
        if len(slept) == 3:  # the event has arrived
            janitor.conclude_execution(rollback.execution, "ABORTED", simulation.ports, by_hand=True)

    done = wait_until_concluded(rollback.id, simulation.ports, sleep)
    assert slept[:3] == [1, 1, 1]
    assert done.outcome is Outcome.ABORTED
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.severities() == ["page"]


def test_two_processes_that_conclude_at_once_do_not_stop_each_other() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)
    abort(rollback.id, ANN, simulation.ports)
    publish = simulation.notifications.publish

    def meanwhile(*given: Any) -> None:
        simulation.notifications.publish = publish  # type: ignore[method-assign]
        janitor.conclude_execution(rollback.execution, "ABORTED", simulation.ports, by_hand=True)
        publish(*given)

    simulation.notifications.publish = meanwhile  # type: ignore[method-assign, assignment]
    done = concluded(simulation, rollback)
    assert done.outcome is Outcome.ABORTED
    assert simulation.ledger.lease(SERVICE) is None
    assert {sent.attributes["report_id"] for sent in simulation.notifications.sent} == {f"{rollback.id}:aborted"}


def test_an_interrupted_abort_is_finished_by_the_next_one() -> None:
    simulation = start_simulation()
    rollback = acting(simulation)
    simulation.ledger.save(simulation.read(rollback).evolve(outcome=Outcome.ABORTED, reason="aborted by ann@desk: x"))
    again = abort(rollback.id, BOB, simulation.ports)
    assert again.reason == "aborted by ann@desk: x"
    assert simulation.workflow.stopped == [rollback.execution]


def test_a_rollback_that_ended_or_does_not_exist_can_not_be_aborted() -> None:
    simulation = start_simulation()
    done = simulation.run()
    with pytest.raises(InvalidRequest, match="has ended already: succeeded"):
        abort(done.id, ANN, simulation.ports)
    verifying = simulation.ledger.create(a_rollback(outcome=Outcome.SUCCEEDED))
    with pytest.raises(InvalidRequest, match="is ending already: succeeded"):
        abort(verifying.id, ANN, simulation.ports)
    for unknown in ("express-api-20260301T030000Z-ffffffff", "nonsense"):
        with pytest.raises(InvalidRequest, match=f"no rollback {unknown}; `rollback history production`"):
            abort(unknown, ANN, simulation.ports)
    assert verbs(simulation) == []
    assert simulation.read(done) == done


def test_rule_3_a_rollback_aborted_while_fenced_stays_fenced_and_suspended_and_pages_the_state() -> None:
    simulation, fenced = start_simulation_at_zero()
    abort(fenced.id, ANN, simulation.ports)
    done = concluded(simulation, fenced)
    assert simulation.services.desired_count == 0
    scaling = simulation.ports.scaling.describe(simulation.service_settings)
    assert scaling is not None
    assert not scaling.is_active
    assert {o.kind for o in done.left_to_operator()} >= {"fence", "scaling"}
    assert simulation.ledger.lease(SERVICE) is None
    last = simulation.notifications.sent[-1]
    assert last.attributes["severity"] == "page"
    assert "NOT RESTORED: desired count of express-api, recorded value 2. Next: " in last.message
    assert "rollback unfence production --service express-api" in last.message


def calls_of_an_abort() -> int:
    simulation, outside = start_simulation(), FaultInjector()
    rollback = acting(simulation)
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, outside), workflow=CrashingProxy(simulation.workflow, outside)
    )
    abort(rollback.id, ANN, simulation.ports)
    return outside.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_an_abort() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_abort_killed_at_any_call_leaves_a_rollback_that_ends_with_its_lease_returned(
    kill_at: int, after: bool
) -> None:
    simulation, outside = start_simulation(), FaultInjector(kill_at, after=after)
    rollback = acting(simulation)
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, outside), workflow=CrashingProxy(simulation.workflow, outside)
    )
    with pytest.raises(ProcessKilled):
        abort(rollback.id, ANN, simulation.ports)
    outside.restart_process()
    if (
        rollback.execution in simulation.workflow.running
    ):  # the execution continues, and finds the outcome if there is one
        run_step(simulation.run_until(rollback).id, Step.DONE, simulation.ports)
    else:
        for _ in range(10):
            simulation.pass_time(minutes=5)
            janitor.sweep(simulation.ports)
    done = simulation.read(rollback)
    assert done.concluded_at is not None
    assert done.open_obligations() == ()
    assert done.outcome is not Outcome.ABORTED or verbs(simulation) == ["abort"]
    assert simulation.ledger.lease(SERVICE) is None


# Unlock


def test_unlock_gives_back_the_lease_of_a_dead_rollback_and_the_janitor_concludes_it() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes)
    assert f"{rollback.id} held it; the janitor concludes" in unlock(SERVICE, ANN, simulation.ports)
    assert simulation.ledger.lease(SERVICE) is None
    assert [(a.verb, a.subject) for a in simulation.ledger.actions(SERVICE)] == [("unlock", rollback.id)]
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).concluded_at is not None


def test_unlock_gives_back_the_unexpired_lease_of_a_concluded_rollback() -> None:
    simulation = start_simulation()
    rollback, now = simulation.run(), simulation.clock.now()
    simulation.ledger.acquire(SERVICE, rollback.id, now, now + timedelta(minutes=10))
    assert unlock(SERVICE, ANN, simulation.ports).endswith(f"{rollback.id} held it")


@pytest.mark.parametrize(("minutes", "why"), [(1, "its lease holds until 03:10:00 UTC"), (20, "its execution runs")])
def test_unlock_refuses_the_lease_of_a_live_rollback(minutes: int, why: str) -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    if minutes == 20:
        simulation.workflow.running.add(rollback.execution)
    simulation.clock.pass_time(minutes=minutes)
    with pytest.raises(InvalidRequest, match=f"{rollback.id} is alive .{why}.: .*the service is not fenced"):
        unlock(SERVICE, ANN, simulation.ports)
    assert simulation.ledger.lease(SERVICE) is not None
    assert verbs(simulation) == []


def test_a_live_rollback_ends_as_aborted_without_another_call_after_a_forced_unlock() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    unlock(SERVICE, ANN, simulation.ports, force=True)
    done = simulation.run_until(rollback)
    assert done.outcome is Outcome.ABORTED
    assert simulation.changes() == []
    assert simulation.severities() == ["page"]


def test_unlock_gives_back_an_expired_lease_whose_holder_has_no_record() -> None:
    simulation = start_simulation()
    now = simulation.clock.now()
    simulation.ledger.acquire(SERVICE, "lost", now, now + timedelta(minutes=1))
    with pytest.raises(InvalidRequest, match="no record"):
        unlock(SERVICE, ANN, simulation.ports)
    simulation.clock.pass_time(minutes=1)
    unlock(SERVICE, ANN, simulation.ports)
    assert simulation.ledger.lease(SERVICE) is None


def test_unlock_refuses_a_service_without_a_lease() -> None:
    with pytest.raises(InvalidRequest, match="no rollback holds the lease"):
        unlock(SERVICE, ANN, start_simulation().ports, force=True)
