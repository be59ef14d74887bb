"""Operations on rollbacks: pause, resume, abort, unlock."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.refusal import RefusesAll
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
from rollback_cli.direct.conclude import wait_until_concluded

ANN = Operator(name="ann@desk", reason="the database is being moved")
BOB = Operator(name="bob@desk", reason="me too")


def verbs(simulation: Simulation) -> list[str]:
    return [action.verb for action in simulation.ledger.actions(SERVICE)]


def run_until_acted(simulation: Simulation) -> Rollback:
    """Run a rollback until it has called UpdateService."""
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    simulation.workflow.running.add(rollback.execution)
    return simulation.run_due_step(rollback)


def conclude(simulation: Simulation, rollback: Rollback) -> Rollback:
    """Conclude a rollback as the command line does."""
    return wait_until_concluded(rollback.id, simulation.ports, lambda seconds: simulation.pass_time(seconds=seconds))


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_every_operation_requires_a_reason(reason: str) -> None:
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        Operator(name="ann", reason=reason)


# Pause


def test_a_pause_suppresses_an_alarm_and_no_request_of_an_operator() -> None:
    simulation = start_simulation()
    output = pause(SERVICE, ANN, simulation.ports)
    assert "are paused" in output
    suppressed_rollback = simulation.run(alarm_event())
    assert suppressed_rollback.outcome is Outcome.SUPPRESSED
    assert "by ann@desk: the database is being moved" in suppressed_rollback.reason
    assert simulation.run({}, "execution-2").outcome is Outcome.SUCCEEDED


def test_a_pause_does_not_end_a_live_rollback_and_names_the_command_that_does() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    assert f"rollback abort production {rollback.id}" in pause(SERVICE, ANN, simulation.ports)


def test_a_second_pause_is_refused_and_the_first_reason_stays() -> None:
    simulation = start_simulation()
    pause(SERVICE, ANN, simulation.ports)
    with pytest.raises(InvalidRequest, match="paused already, since 2026-03-01 03:00 UTC by ann@desk"):
        pause(SERVICE, BOB, simulation.ports)
    stored_pause = simulation.ledger.pause(SERVICE)
    assert stored_pause is not None
    assert stored_pause.by == "ann@desk"
    assert verbs(simulation) == ["pause"]


def test_the_second_of_two_simultaneous_pauses_is_refused_with_the_first() -> None:
    simulation = start_simulation()
    put = simulation.ledger.put_pause

    def put_after_bob(pause_of_ann: Any) -> None:
        put(pause_of_ann.model_copy(update={"by": "bob@desk"}))
        put(pause_of_ann)

    simulation.ledger.put_pause = put_after_bob  # type: ignore[method-assign, assignment]
    with pytest.raises(InvalidRequest, match="by bob@desk"):
        pause(SERVICE, ANN, simulation.ports)


def test_an_active_alarm_is_rechecked_after_resume() -> None:
    simulation = start_simulation()
    pause(SERVICE, ANN, simulation.ports)
    simulation.run(alarm_event())
    simulation.pass_time(minutes=30)
    assert all("events shows" in done for done in janitor.sweep(simulation.ports))  # and no recheck
    assert "paused since 2026-03-01 03:00 UTC by ann@desk" in resume(SERVICE, BOB, simulation.ports)
    assert len(janitor.sweep(simulation.ports)) == 1
    assert verbs(simulation) == ["resume", "pause"]


def test_resuming_a_service_that_is_not_paused_is_refused() -> None:
    simulation = start_simulation()
    with pytest.raises(InvalidRequest, match="not paused"):
        resume(SERVICE, ANN, simulation.ports)
    assert verbs(simulation) == []


# Abort


def test_an_aborted_rollback_stops_concludes_and_returns_its_lease() -> None:
    simulation = start_simulation()
    original_configuration = dict(simulation.services.deployment_configuration)
    rollback = run_until_acted(simulation)
    abort(rollback.id, ANN, simulation.ports)
    assert simulation.workflow.stopped == [rollback.execution]
    concluded_rollback = conclude(simulation, rollback)
    assert (concluded_rollback.outcome, concluded_rollback.reason) == (
        Outcome.ABORTED,
        "aborted by ann@desk: the database is being moved",
    )
    assert concluded_rollback.left_to_operator() == ()
    assert simulation.services.deployment_configuration == original_configuration
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.state_of("v2") is SUSPECT
    assert simulation.severities() == ["page"]
    assert verbs(simulation) == ["abort"]


def test_an_abort_takes_precedence_over_a_simultaneous_save_and_the_step_leads_to_conclude() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    save = simulation.ledger.save
    saves: list[Rollback] = []

    def save_after_step(document: Rollback, **options: Any) -> Rollback:
        if not saves:
            saves.append(save(simulation.read(rollback).evolve(reason="one step further")))
        return save(document, **options)

    simulation.ledger.save = save_after_step  # type: ignore[method-assign, assignment]
    aborted_rollback = abort(rollback.id, ANN, simulation.ports)
    assert aborted_rollback.outcome is Outcome.ABORTED
    assert run_step(rollback.id, Step.SERVICE, simulation.ports).next is Step.CONCLUDE


def test_an_abort_whose_save_always_conflicts_raises_a_conflict() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)

    def raise_conflict(document: Rollback, **options: Any) -> Rollback:
        raise Conflict("late")

    simulation.ledger.save = raise_conflict  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict, match="5 times"):
        abort(rollback.id, ANN, simulation.ports)
    assert simulation.workflow.stopped == []


def test_an_execution_that_can_not_be_stopped_finds_the_outcome_and_concludes() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)

    def deny_access(execution: str, cause: str) -> None:
        raise ExternalServiceError("StopExecution: AccessDenied")

    simulation.workflow.stop = deny_access  # type: ignore[method-assign, assignment]
    abort(rollback.id, ANN, simulation.ports)
    concluded_rollback = simulation.run_until(rollback)
    run_step(rollback.id, Step.DONE, simulation.ports)
    assert concluded_rollback.outcome is Outcome.ABORTED
    assert simulation.ledger.lease(SERVICE) is None


def test_the_rule_on_aborted_executions_alone_begins_the_conclusion() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    abort(rollback.id, ANN, simulation.ports)
    janitor.conclude_execution(rollback.execution, "its execution ended as ABORTED", simulation.ports, by_operator=True)
    concluded_rollback = simulation.read(rollback)
    assert concluded_rollback.concluded_at is not None
    assert concluded_rollback.reason == "aborted by ann@desk: the database is being moved"
    assert simulation.ledger.lease(SERVICE) is None


def test_the_command_line_lets_the_rule_conclude_first_and_the_report_is_sent_once() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    abort(rollback.id, ANN, simulation.ports)
    delays: list[float] = []

    def sleep(seconds: float) -> None:
        delays.append(seconds)
        simulation.pass_time(seconds=seconds)
        if len(delays) == 3:  # the event has arrived
            janitor.conclude_execution(rollback.execution, "ABORTED", simulation.ports, by_operator=True)

    concluded_rollback = wait_until_concluded(rollback.id, simulation.ports, sleep)
    assert delays[:3] == [1, 1, 1]
    assert concluded_rollback.outcome is Outcome.ABORTED
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.severities() == ["page"]


def test_two_processes_can_conclude_a_rollback_at_once() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    abort(rollback.id, ANN, simulation.ports)
    publish = simulation.notifications.publish

    def conclude_and_publish(*arguments: Any) -> None:
        simulation.notifications.publish = publish  # type: ignore[method-assign]
        janitor.conclude_execution(rollback.execution, "ABORTED", simulation.ports, by_operator=True)
        publish(*arguments)

    simulation.notifications.publish = conclude_and_publish  # type: ignore[method-assign, assignment]
    concluded_rollback = conclude(simulation, rollback)
    assert concluded_rollback.outcome is Outcome.ABORTED
    assert simulation.ledger.lease(SERVICE) is None
    assert {notification.attributes["report_id"] for notification in simulation.notifications.sent} == {
        f"{rollback.id}:aborted"
    }


def test_an_interrupted_abort_is_completed_by_the_next_abort() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    simulation.ledger.save(simulation.read(rollback).evolve(outcome=Outcome.ABORTED, reason="aborted by ann@desk: x"))
    aborted_rollback = abort(rollback.id, BOB, simulation.ports)
    assert aborted_rollback.reason == "aborted by ann@desk: x"
    assert simulation.workflow.stopped == [rollback.execution]


def test_a_rollback_that_ended_or_does_not_exist_can_not_be_aborted() -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    with pytest.raises(InvalidRequest, match="has ended already: succeeded"):
        abort(rollback.id, ANN, simulation.ports)
    verifying = simulation.ledger.create(a_rollback(outcome=Outcome.SUCCEEDED))
    with pytest.raises(InvalidRequest, match="is ending already: succeeded"):
        abort(verifying.id, ANN, simulation.ports)
    for unknown_id in ("express-api-20260301T030000Z-ffffffff", "nonsense"):
        with pytest.raises(InvalidRequest, match=f"no rollback {unknown_id}; `rollback history production`"):
            abort(unknown_id, ANN, simulation.ports)
    assert verbs(simulation) == []
    assert simulation.read(rollback) == rollback


def test_rule_3_a_rollback_aborted_while_fenced_stays_fenced_and_suspended_and_pages_the_state() -> None:
    simulation, rollback = start_simulation_at_zero()
    abort(rollback.id, ANN, simulation.ports)
    concluded_rollback = conclude(simulation, rollback)
    assert simulation.services.desired_count == 0
    scaling = simulation.ports.scaling.describe(simulation.service_settings)
    assert scaling is not None
    assert not scaling.is_active
    assert {o.kind for o in concluded_rollback.left_to_operator()} >= {"fence", "scaling"}
    assert simulation.ledger.lease(SERVICE) is None
    notification = simulation.notifications.sent[-1]
    assert notification.attributes["severity"] == "page"
    assert "NOT RESTORED: desired count of express-api, recorded value 2. Next: " in notification.message
    assert "rollback unfence production --service express-api" in notification.message


def calls_of_an_abort() -> int:
    simulation, injector = start_simulation(), FaultInjector()
    rollback = run_until_acted(simulation)
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, injector), workflow=CrashingProxy(simulation.workflow, injector)
    )
    abort(rollback.id, ANN, simulation.ports)
    return injector.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_an_abort() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_abort_killed_at_any_call_leaves_a_rollback_that_ends_with_its_lease_returned(
    kill_at: int, after: bool
) -> None:
    simulation, injector = start_simulation(), FaultInjector(kill_at, after=after)
    rollback = run_until_acted(simulation)
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, injector), workflow=CrashingProxy(simulation.workflow, injector)
    )
    with pytest.raises(ProcessKilled):
        abort(rollback.id, ANN, simulation.ports)
    injector.restart_process()
    if (
        rollback.execution in simulation.workflow.running
    ):  # the execution continues, and finds the outcome if there is one
        run_step(simulation.run_until(rollback).id, Step.DONE, simulation.ports)
    else:
        for _ in range(10):
            simulation.pass_time(minutes=5)
            janitor.sweep(simulation.ports)
    concluded_rollback = simulation.read(rollback)
    assert concluded_rollback.concluded_at is not None
    assert concluded_rollback.open_obligations() == ()
    assert concluded_rollback.outcome is not Outcome.ABORTED or verbs(simulation) == ["abort"]
    assert simulation.ledger.lease(SERVICE) is None


# Unlock


def test_unlock_returns_the_lease_of_a_dead_rollback_and_the_janitor_concludes_that_rollback() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes)
    assert f"{rollback.id} held it; the janitor concludes" in unlock(SERVICE, ANN, simulation.ports)
    assert simulation.ledger.lease(SERVICE) is None
    assert [(a.verb, a.subject) for a in simulation.ledger.actions(SERVICE)] == [("unlock", rollback.id)]
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).concluded_at is not None


def test_unlock_returns_the_unexpired_lease_of_a_concluded_rollback() -> None:
    simulation = start_simulation()
    rollback, now = simulation.run(), simulation.clock.now()
    simulation.ledger.acquire(SERVICE, rollback.id, now, now + timedelta(minutes=10))
    assert unlock(SERVICE, ANN, simulation.ports).endswith(f"{rollback.id} held it")


@pytest.mark.parametrize(("minutes", "reason"), [(1, "its lease holds until 03:10:00 UTC"), (20, "its execution runs")])
def test_unlock_refuses_the_lease_of_a_live_rollback(minutes: int, reason: str) -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    if minutes == 20:
        simulation.workflow.running.add(rollback.execution)
    simulation.clock.pass_time(minutes=minutes)
    with pytest.raises(InvalidRequest, match=f"{rollback.id} is alive .{reason}.: .*the service is not fenced"):
        unlock(SERVICE, ANN, simulation.ports)
    assert simulation.ledger.lease(SERVICE) is not None
    assert verbs(simulation) == []


def test_a_live_rollback_ends_as_aborted_without_another_call_after_a_forced_unlock() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    unlock(SERVICE, ANN, simulation.ports, force=True)
    concluded_rollback = simulation.run_until(rollback)
    assert concluded_rollback.outcome is Outcome.ABORTED
    assert simulation.changes() == []
    assert simulation.severities() == ["page"]


def test_unlock_returns_an_expired_lease_whose_holder_has_no_record() -> None:
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


def test_an_unlock_without_an_answer_of_step_functions_is_refused_since_the_execution_may_run() -> None:
    simulation = start_simulation()
    rollback = run_until_acted(simulation)
    simulation.clock.pass_time(minutes=20)
    simulation.replace(workflow=RefusesAll("states"))
    with pytest.raises(InvalidRequest, match="Step Functions could not be asked whether its execution runs"):
        unlock(SERVICE, ANN, simulation.ports)
    assert verbs(simulation) == []
    assert f"{rollback.id} held it" in unlock(SERVICE, ANN, simulation.ports, force=True)
