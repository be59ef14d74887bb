from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from faults.scenarios.database_endings import raise_error
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import PROMOTED, Simulation, alarm_event, start_simulation
from support.builders import NOW, SERVICE
from support.builders import rollback as a_rollback

from rollback.domain.rollback import DIRECT, Outcome, TriggerEvent
from rollback.errors import ExternalServiceError, RollbackError
from rollback.names import degraded_alarm, outage_alarm
from rollback.workflow.janitor import conclude_execution, sweep
from rollback.workflow.recheck_event import execution_name, unanswered_alarm_execution_name
from rollback.workflow.route import Step


def record_suppressed_trigger(simulation: Simulation, **changes: Any) -> None:
    """Record a trigger that another rollback suppressed, and whose recheck is due."""
    due = simulation.clock.now() + timedelta(minutes=5)
    event = TriggerEvent(id=f"of {changes.get('id')}", at=NOW, alarm=DEGRADED)
    closed = {"outcome": Outcome.SUPPRESSED, "concluded_at": NOW, "is_reported": True}
    simulation.ledger.create(a_rollback(event=event, recheck_at=due, **closed, **changes))


def sweep_every_five_minutes(simulation: Simulation, times: int) -> list[str]:
    """Sweep, and run the executions that the janitor starts to their end; return their names."""
    names = []
    for _ in range(times):
        simulation.pass_time(minutes=5)
        sweep(simulation.ports)
        while simulation.workflow.started:
            name, execution_input = simulation.workflow.started.pop(0)
            names.append(name)
            simulation.run(execution_input, name)
    return names


def test_a_suppressed_alarm_that_stays_in_alarm_is_rechecked_exactly_once() -> None:
    simulation = start_simulation()
    record_suppressed_trigger(simulation)
    assert sweep(simulation.ports) == []
    simulation.pass_time(minutes=5)
    assert len(sweep(simulation.ports)) == 1
    assert sweep(simulation.ports) == []
    assert len(simulation.workflow.started) == 1


def test_a_suppressed_alarm_that_recovered_before_its_recheck_is_not_rechecked_later() -> None:
    simulation = start_simulation()
    record_suppressed_trigger(simulation)
    simulation.alarms.recover(DEGRADED)
    sweep_every_five_minutes(simulation, 1)
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    assert sweep(simulation.ports) == []
    assert simulation.workflow.started == []


def test_a_missed_event_is_found_although_an_old_suppression_was_rechecked() -> None:
    simulation = start_simulation()
    record_suppressed_trigger(simulation)
    simulation.alarms.recover(DEGRADED)
    sweep_every_five_minutes(simulation, 1)
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    names = sweep_every_five_minutes(simulation, 3)
    assert [name.partition("-")[0] for name in names] == ["still"]


def test_a_crashed_rollback_that_had_acted_is_concluded_as_failed_and_its_obligations_are_discharged() -> None:
    simulation = start_simulation()
    original_configuration = dict(simulation.services.deployment_configuration)
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    simulation.run_due_step(rollback)
    sweep_every_five_minutes(simulation, 4)
    rollback = simulation.read(rollback)
    assert rollback.outcome is Outcome.FAILED
    assert rollback.concluded_at is not None
    assert simulation.services.deployment_configuration == original_configuration
    assert simulation.severities() == ["page"]


def test_the_janitor_does_not_conclude_a_rollback_whose_execution_runs() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    simulation.workflow.running.add(rollback.execution)
    sweep_every_five_minutes(simulation, 4)
    assert simulation.read(rollback).outcome is None


def test_a_successor_inherits_the_obligations_of_a_crashed_rollback() -> None:
    simulation = start_simulation()
    original_configuration = dict(simulation.services.deployment_configuration)
    simulation.run_due_step(simulation.run_until(simulation.admit(), Step.SERVICE))
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes)
    successor = simulation.admit({}, "execution-2")
    assert [o.before for o in successor.obligations] == [
        {"deploymentCircuitBreaker": original_configuration["deploymentCircuitBreaker"]}
    ]
    simulation.run_until(successor)
    assert simulation.services.deployment_configuration == original_configuration


def test_a_lost_report_is_sent_late_and_once() -> None:
    simulation = start_simulation()
    simulation.alarms.recover(DEGRADED)
    simulation.ledger.create(a_rollback(outcome=Outcome.FAILED, concluded_at=NOW))
    sweep_every_five_minutes(simulation, 2)
    assert simulation.severities() == ["page"]


def test_rule_7_the_successor_of_a_crashed_rollback_keeps_its_target_and_does_not_escalate() -> None:
    """v1 is young, v0 old: without the intent as evidence the alarm would trigger a step from v1 to v0."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=48)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    simulation.ship("v2")
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    save_document = simulation.ledger.save

    def crash_after_the_act(document: Any, **kwargs: Any) -> Any:
        if document.has_acted:
            raise ExternalServiceError("gone")
        return save_document(document, **kwargs)

    simulation.ledger.save = crash_after_the_act  # type: ignore[method-assign, assignment]
    with pytest.raises(ExternalServiceError):
        simulation.run_due_step(rollback)
    simulation.ledger.save = save_document  # type: ignore[method-assign]
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes)
    event = {**alarm_event("e2"), "time": simulation.clock.now().isoformat()}
    second_rollback = simulation.run(event, "execution-2")
    assert second_rollback.continues_rollback_id == rollback.id
    assert second_rollback.outcome is Outcome.SUCCEEDED
    assert second_rollback.plan is not None
    assert second_rollback.plan.target is not None
    assert (second_rollback.plan.running.version, second_rollback.plan.target.version) == ("v2", "v1")
    assert simulation.changes().count("update") == 2  # the deployment, and the restored configuration


def test_a_service_whose_sweep_fails_does_not_block_the_others() -> None:
    simulation = start_simulation()
    service_settings = simulation.service_settings
    settings = simulation.ports.settings.model_copy(
        update={"services": (service_settings.model_copy(update={"name": "a"}), service_settings)}
    )
    simulation.ports = replace(simulation.ports, settings=settings)
    states = simulation.alarms.states

    def fail_for_one_service(names: tuple[str, ...]) -> dict[str, str]:
        if "-a-" in names[0]:
            raise ExternalServiceError("no answer")
        return states(names)

    simulation.alarms.states = fail_for_one_service  # type: ignore[method-assign]
    record_suppressed_trigger(simulation)
    simulation.pass_time(minutes=5)
    with pytest.raises(ExternalServiceError):
        sweep(simulation.ports)
    (name,) = (name for name, _ in simulation.workflow.started)
    assert name == execution_name(a_rollback())


def test_the_janitor_releases_the_lease_of_a_concluded_rollback() -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    now = simulation.clock.now()
    assert simulation.ledger.acquire(SERVICE, rollback.id, now, now + timedelta(minutes=5)) is not None
    sweep(simulation.ports)
    assert simulation.ledger.lease(SERVICE) is None


def test_ten_suppressed_alarms_that_stay_in_alarm_are_rechecked_once_together() -> None:
    simulation = start_simulation()
    for seconds in range(10):
        record_suppressed_trigger(simulation, id=f"{SERVICE}-20260301T0300{seconds:02}Z-00000000")
    names = sweep_every_five_minutes(simulation, 6)
    assert len([name for name in names if name.startswith("recheck")]) == 1
    assert len(list(simulation.ledger.history(SERVICE))) == 10  # the evaluation is in the newest record


def test_an_emergency_that_always_crashes_is_tried_and_paged_within_the_budget() -> None:
    """ECS does not answer, and the outage alarm stays in ALARM: the janitor must not page every five minutes."""
    simulation = start_simulation()
    simulation.alarms.in_alarm.clear()
    describe = simulation.services.describe

    def crash(execution_input: object, name: str) -> None:
        simulation.services.describe = raise_error(ExternalServiceError("DescribeServices got no answer"))  # type: ignore[method-assign]
        with suppress(RollbackError):
            simulation.admit(execution_input, name)
        simulation.services.describe = describe  # type: ignore[method-assign]
        conclude_execution(
            execution_arn(name), "its execution ended as FAILED", simulation.ports, error="ExternalServiceError"
        )

    crash(simulation.fire_alarm(OUTAGE), "execution-1")
    for _ in range(24):
        simulation.pass_time(minutes=5)
        sweep(simulation.ports)
        while simulation.workflow.started:
            name, execution_input = simulation.workflow.started.pop(0)
            crash(execution_input, name)
    assert len(simulation.pages()) == simulation.policy.attempts_per_window


def test_a_deleted_service_is_paged_once_and_no_emergency_is_tried_again() -> None:
    simulation = start_simulation()
    simulation.alarms.in_alarm.clear()
    simulation.services.status = "INACTIVE"
    rollback = simulation.run(simulation.fire_alarm(OUTAGE), "execution-1")
    sweep_every_five_minutes(simulation, 24)
    assert rollback.outcome is Outcome.FAILED
    assert simulation.workflow.started == []
    assert len(simulation.pages()) == 1
    assert simulation.ledger.lease(SERVICE) is None


def test_an_execution_that_ended_by_a_permanent_refusal_is_failed_paged_once_and_not_tried_again() -> None:
    """The record is open, and its rollback did not act: a function could not save the refusal."""
    simulation = start_simulation()
    rollback = simulation.admit(simulation.fire_alarm(DEGRADED), "execution-1")
    conclude_execution(rollback.execution, "AWS refused dynamodb:PutItem", simulation.ports, error="CallRefused")
    sweep_every_five_minutes(simulation, 24)
    rollback = simulation.read(rollback)
    assert (rollback.outcome, rollback.recheck_at) == (Outcome.FAILED, None)
    assert simulation.workflow.started == []
    assert len(simulation.pages()) == 1


def test_only_an_operators_typo_is_not_paged_whatever_the_text_of_another_error_says() -> None:
    simulation = start_simulation()
    assert conclude_execution("a", "its execution ended as FAILED", simulation.ports, error="InvalidRequest") == []
    result = conclude_execution("b", "AWS refused it: InvalidRequestException", simulation.ports, error="CallRefused")
    assert result == ["b left no record: paged"]
    assert len(simulation.pages()) == 1


def test_an_execution_that_an_operator_stopped_before_its_record_pages_nobody() -> None:
    simulation = start_simulation()
    reason = "its execution ended as ABORTED: no cause given"
    assert conclude_execution("a", reason, simulation.ports, by_operator=True) == []
    assert simulation.pages() == []


def test_two_simultaneous_alarms_of_a_service_with_a_long_name_are_both_rechecked() -> None:
    """The service's name alone fills an execution's name: both executions had one name, and the second never began."""
    simulation, service = start_simulation(), "s" * 60
    alarms = (outage_alarm("macro-ai-production", service), degraded_alarm("macro-ai-production", service))
    for alarm in alarms:
        simulation.workflow.start(unanswered_alarm_execution_name(alarm, NOW), {})
    assert len(simulation.workflow.started) == 2
    assert unanswered_alarm_execution_name("short", NOW) == "still-in-alarm-20260301T030000-short"


def test_the_janitor_concludes_a_dead_direct_rollback_in_every_sweep_although_it_renews_the_lease_itself() -> None:
    """A conclusion that waits for ECS renews the lease: that must not make the dead process look alive."""
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    rollback = simulation.ledger.save(rollback.evolve(execution=f"{DIRECT}ada:1"))
    rollback = simulation.run_due_step(rollback)  # the direct process dies here
    simulation.services.tick = lambda: None  # type: ignore[method-assign]  # ECS takes long
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes + 1)
    versions = [simulation.read(rollback).version]
    for _ in range(3):
        sweep(simulation.ports)
        versions.append(simulation.read(rollback).version)
        simulation.clock.pass_time(minutes=5)
    assert simulation.read(rollback).abandoned_at is not None
    assert versions == sorted(set(versions))


def test_the_janitor_leaves_a_direct_rollback_alone_while_its_process_renews_the_lease() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    rollback = simulation.ledger.save(rollback.evolve(execution=f"{DIRECT}ada:1"))
    for _ in range(4):
        simulation.clock.pass_time(minutes=5)
        simulation.run_due_step(simulation.read(rollback))
        sweep(simulation.ports)
    assert simulation.read(rollback).abandoned_at is None
