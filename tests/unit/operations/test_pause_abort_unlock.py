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


def verbs(stage: Simulation) -> list[str]:
    return [action.verb for action in stage.ledger.actions(SERVICE)]


def acting(stage: Simulation) -> Rollback:
    """A rollback that has sent its update."""
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    stage.workflow.running.add(rollback.execution)
    return stage.run_due_step(rollback)


def concluded(stage: Simulation, rollback: Rollback) -> Rollback:
    """Conclude a rollback as the command line does."""
    return wait_until_concluded(rollback.id, stage.world, lambda seconds: stage.pass_time(seconds=seconds))


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_every_operation_requires_a_reason(reason: str) -> None:
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        Operator(name="ann", reason=reason)


# Pause


def test_during_a_pause_an_alarm_starts_no_rollback_and_an_operator_does() -> None:
    stage = start_simulation()
    said = pause(SERVICE, ANN, stage.world)
    assert "are paused" in said
    suppressed = stage.run(alarm_event())
    assert suppressed.outcome is Outcome.SUPPRESSED
    assert "by ann@desk: the database is being moved" in suppressed.reason
    assert stage.run({}, "execution-2").outcome is Outcome.SUCCEEDED


def test_a_pause_does_not_end_a_live_rollback_and_names_the_command_that_does() -> None:
    stage = start_simulation()
    rollback = acting(stage)
    assert f"rollback abort production {rollback.id}" in pause(SERVICE, ANN, stage.world)


def test_pausing_twice_is_refused_and_keeps_the_first_reason() -> None:
    stage = start_simulation()
    pause(SERVICE, ANN, stage.world)
    with pytest.raises(InvalidRequest, match="paused already, since 2026-03-01 03:00 UTC by ann@desk"):
        pause(SERVICE, BOB, stage.world)
    stands = stage.ledger.pause(SERVICE)
    assert stands is not None
    assert stands.by == "ann@desk"
    assert verbs(stage) == ["pause"]


def test_the_second_of_two_simultaneous_pauses_is_refused_with_the_first() -> None:
    stage = start_simulation()
    put = stage.ledger.put_pause

    def bob_is_faster(given: Any) -> None:
        put(given.model_copy(update={"by": "bob@desk"}))
        put(given)

    stage.ledger.put_pause = bob_is_faster  # type: ignore[method-assign, assignment]
    with pytest.raises(InvalidRequest, match="by bob@desk"):
        pause(SERVICE, ANN, stage.world)


def test_an_alarm_in_alarm_is_rechecked_after_resume() -> None:
    stage = start_simulation()
    pause(SERVICE, ANN, stage.world)
    stage.run(alarm_event())
    stage.pass_time(minutes=30)
    assert janitor.sweep(stage.world) == []
    assert "paused since 2026-03-01 03:00 UTC by ann@desk" in resume(SERVICE, BOB, stage.world)
    assert len(janitor.sweep(stage.world)) == 1
    assert verbs(stage) == ["resume", "pause"]


def test_resuming_a_service_that_is_not_paused_is_refused() -> None:
    stage = start_simulation()
    with pytest.raises(InvalidRequest, match="not paused"):
        resume(SERVICE, ANN, stage.world)
    assert verbs(stage) == []


# Abort


def test_an_aborted_rollback_stops_concludes_and_gives_the_lease_back() -> None:
    stage = start_simulation()
    before = dict(stage.services.deployment_configuration)
    rollback = acting(stage)
    abort(rollback.id, ANN, stage.world)
    assert stage.workflow.stopped == [rollback.execution]
    done = concluded(stage, rollback)
    assert (done.outcome, done.reason) == (Outcome.ABORTED, "aborted by ann@desk: the database is being moved")
    assert done.left_to_operator() == ()
    assert stage.services.deployment_configuration == before
    assert stage.ledger.lease(SERVICE) is None
    assert stage.state_of("v2") is SUSPECT
    assert stage.severities() == ["page"]
    assert verbs(stage) == ["abort"]


def test_an_abort_that_meets_a_save_wins_and_the_step_goes_to_conclude() -> None:
    stage = start_simulation()
    rollback = acting(stage)
    save = stage.ledger.save
    moved: list[Rollback] = []

    def another_saves_first(given: Rollback, **named: Any) -> Rollback:
        if not moved:
            moved.append(save(stage.read(rollback).evolve(reason="one step further")))
        return save(given, **named)

    stage.ledger.save = another_saves_first  # type: ignore[method-assign, assignment]
    ended = abort(rollback.id, ANN, stage.world)
    assert ended.outcome is Outcome.ABORTED
    assert run_step(rollback.id, Step.SERVICE, stage.world).next is Step.CONCLUDE


def test_an_abort_whose_save_always_conflicts_raises_a_conflict() -> None:
    stage = start_simulation()
    rollback = acting(stage)

    def always_late(given: Rollback, **named: Any) -> Rollback:
        raise Conflict("late")

    stage.ledger.save = always_late  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict, match="5 times"):
        abort(rollback.id, ANN, stage.world)
    assert stage.workflow.stopped == []


def test_an_execution_that_can_not_be_stopped_finds_the_outcome_and_concludes() -> None:
    stage = start_simulation()
    rollback = acting(stage)

    def denied(execution: str, cause: str) -> None:
        raise ExternalServiceError("StopExecution: AccessDenied")

    stage.workflow.stop = denied  # type: ignore[method-assign]
    abort(rollback.id, ANN, stage.world)
    done = stage.run_until(rollback)
    run_step(rollback.id, Step.DONE, stage.world)
    assert done.outcome is Outcome.ABORTED
    assert stage.ledger.lease(SERVICE) is None


def test_the_rule_on_aborted_executions_alone_begins_the_conclusion() -> None:
    stage = start_simulation()
    rollback = stage.admit()
    abort(rollback.id, ANN, stage.world)
    janitor.conclude_execution(rollback.execution, "its execution ended as ABORTED", stage.world, by_hand=True)
    done = stage.read(rollback)
    assert done.concluded_at is not None
    assert done.reason == "aborted by ann@desk: the database is being moved"
    assert stage.ledger.lease(SERVICE) is None


def test_the_command_line_lets_the_rule_conclude_first_and_the_report_is_sent_once() -> None:
    stage = start_simulation()
    rollback = acting(stage)
    abort(rollback.id, ANN, stage.world)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stage.pass_time(seconds=seconds)
        if len(slept) == 3:  # the event has arrived
            janitor.conclude_execution(rollback.execution, "ABORTED", stage.world, by_hand=True)

    done = wait_until_concluded(rollback.id, stage.world, sleep)
    assert slept[:3] == [1, 1, 1]
    assert done.outcome is Outcome.ABORTED
    assert stage.ledger.lease(SERVICE) is None
    assert stage.severities() == ["page"]


def test_two_processes_that_conclude_at_once_do_not_stop_each_other() -> None:
    stage = start_simulation()
    rollback = acting(stage)
    abort(rollback.id, ANN, stage.world)
    publish = stage.notifications.publish

    def meanwhile(*given: Any) -> None:
        stage.notifications.publish = publish  # type: ignore[method-assign]
        janitor.conclude_execution(rollback.execution, "ABORTED", stage.world, by_hand=True)
        publish(*given)

    stage.notifications.publish = meanwhile  # type: ignore[method-assign, assignment]
    done = concluded(stage, rollback)
    assert done.outcome is Outcome.ABORTED
    assert stage.ledger.lease(SERVICE) is None
    assert {sent.attributes["report_id"] for sent in stage.notifications.sent} == {f"{rollback.id}:aborted"}


def test_an_interrupted_abort_is_finished_by_the_next_one() -> None:
    stage = start_simulation()
    rollback = acting(stage)
    stage.ledger.save(stage.read(rollback).evolve(outcome=Outcome.ABORTED, reason="aborted by ann@desk: x"))
    again = abort(rollback.id, BOB, stage.world)
    assert again.reason == "aborted by ann@desk: x"
    assert stage.workflow.stopped == [rollback.execution]


def test_a_rollback_that_ended_or_does_not_exist_can_not_be_aborted() -> None:
    stage = start_simulation()
    done = stage.run()
    with pytest.raises(InvalidRequest, match="has ended already: succeeded"):
        abort(done.id, ANN, stage.world)
    verifying = stage.ledger.create(a_rollback(outcome=Outcome.SUCCEEDED))
    with pytest.raises(InvalidRequest, match="is ending already: succeeded"):
        abort(verifying.id, ANN, stage.world)
    for unknown in ("express-api-20260301T030000Z-ffffffff", "nonsense"):
        with pytest.raises(InvalidRequest, match=f"no rollback {unknown}; `rollback history production`"):
            abort(unknown, ANN, stage.world)
    assert verbs(stage) == []
    assert stage.read(done) == done


def test_rule_3_a_rollback_aborted_while_fenced_stays_fenced_and_suspended_and_pages_the_state() -> None:
    stage, fenced = start_simulation_at_zero()
    abort(fenced.id, ANN, stage.world)
    done = concluded(stage, fenced)
    assert stage.services.desired_count == 0
    scaling = stage.world.scaling.describe(stage.world.settings.services[0])
    assert scaling is not None
    assert not scaling.is_active
    assert {o.kind for o in done.left_to_operator()} >= {"fence", "scaling"}
    assert stage.ledger.lease(SERVICE) is None
    last = stage.notifications.sent[-1]
    assert last.attributes["severity"] == "page"
    assert 'NOT PUT BACK: fence, value before: {"desired_count": 2}; left to operator' in last.message
    assert "rollback unfence production --service express-api" in last.message


def calls_of_an_abort() -> int:
    stage, outside = start_simulation(), FaultInjector()
    rollback = acting(stage)
    stage.replace(ledger=CrashingProxy(stage.ledger, outside), workflow=CrashingProxy(stage.workflow, outside))
    abort(rollback.id, ANN, stage.world)
    return outside.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_an_abort() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_abort_killed_at_any_call_leaves_a_rollback_that_ends_with_its_lease_returned(
    kill_at: int, after: bool
) -> None:
    stage, outside = start_simulation(), FaultInjector(kill_at, after=after)
    rollback = acting(stage)
    stage.replace(ledger=CrashingProxy(stage.ledger, outside), workflow=CrashingProxy(stage.workflow, outside))
    with pytest.raises(ProcessKilled):
        abort(rollback.id, ANN, stage.world)
    outside.restart_process()
    if rollback.execution in stage.workflow.running:  # the execution continues, and finds the outcome if there is one
        run_step(stage.run_until(rollback).id, Step.DONE, stage.world)
    else:
        for _ in range(10):
            stage.pass_time(minutes=5)
            janitor.sweep(stage.world)
    done = stage.read(rollback)
    assert done.concluded_at is not None
    assert done.open_obligations() == ()
    assert done.outcome is not Outcome.ABORTED or verbs(stage) == ["abort"]
    assert stage.ledger.lease(SERVICE) is None


# Unlock


def test_unlock_gives_back_the_lease_of_a_dead_rollback_and_the_janitor_concludes_it() -> None:
    stage = start_simulation()
    rollback = stage.admit()
    stage.clock.pass_time(minutes=stage.policy.lease_minutes)
    assert f"{rollback.id} held it; the janitor concludes it" in unlock(SERVICE, ANN, stage.world)
    assert stage.ledger.lease(SERVICE) is None
    assert [(a.verb, a.subject) for a in stage.ledger.actions(SERVICE)] == [("unlock", rollback.id)]
    janitor.sweep(stage.world)
    assert stage.read(rollback).concluded_at is not None


def test_unlock_gives_back_the_unexpired_lease_of_a_concluded_rollback() -> None:
    stage = start_simulation()
    rollback, now = stage.run(), stage.clock.now()
    stage.ledger.acquire(SERVICE, rollback.id, now, now + timedelta(minutes=10))
    assert unlock(SERVICE, ANN, stage.world).endswith(f"{rollback.id} held it")


@pytest.mark.parametrize(("minutes", "why"), [(1, "its lease holds until 03:10:00 UTC"), (20, "its execution runs")])
def test_unlock_refuses_the_lease_of_a_live_rollback(minutes: int, why: str) -> None:
    stage = start_simulation()
    rollback = stage.admit()
    if minutes == 20:
        stage.workflow.running.add(rollback.execution)
    stage.clock.pass_time(minutes=minutes)
    with pytest.raises(InvalidRequest, match=f"{rollback.id} is alive .{why}.: .*the service is not fenced"):
        unlock(SERVICE, ANN, stage.world)
    assert stage.ledger.lease(SERVICE) is not None
    assert verbs(stage) == []


def test_a_live_rollback_ends_as_aborted_without_another_call_after_a_forced_unlock() -> None:
    stage = start_simulation()
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    unlock(SERVICE, ANN, stage.world, force=True)
    done = stage.run_until(rollback)
    assert done.outcome is Outcome.ABORTED
    assert stage.changes() == []
    assert stage.severities() == ["page"]


def test_unlock_gives_back_an_expired_lease_whose_holder_has_no_record() -> None:
    stage = start_simulation()
    now = stage.clock.now()
    stage.ledger.acquire(SERVICE, "lost", now, now + timedelta(minutes=1))
    with pytest.raises(InvalidRequest, match="no record"):
        unlock(SERVICE, ANN, stage.world)
    stage.clock.pass_time(minutes=1)
    unlock(SERVICE, ANN, stage.world)
    assert stage.ledger.lease(SERVICE) is None


def test_unlock_refuses_a_service_without_a_lease() -> None:
    with pytest.raises(InvalidRequest, match="no rollback holds the lease"):
        unlock(SERVICE, ANN, start_simulation().world, force=True)
