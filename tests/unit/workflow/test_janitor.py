from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from faults.scenarios.database_endings import raise_error
from simulations.service import PROMOTED, Simulation, alarm_event, start_simulation
from simulations.worlds import DEGRADED, OUTAGE
from support.builders import NOW, SERVICE
from support.builders import rollback as a_rollback

from rollback.domain.rollback import Outcome, TriggerEvent
from rollback.errors import ExternalServiceError, RollbackError
from rollback.names import degraded_alarm, outage_alarm
from rollback.workflow.janitor import conclude_execution, sweep
from rollback.workflow.recheck_event import execution_name, unanswered_alarm_execution_name
from rollback.workflow.route import Step


def suppressed(stage: Simulation, **changes: Any) -> None:
    """Record a trigger that another rollback suppressed, and whose recheck is due."""
    due = stage.clock.now() + timedelta(minutes=5)
    event = TriggerEvent(id=f"of {changes.get('id')}", at=NOW, alarm=DEGRADED)
    closed = {"outcome": Outcome.SUPPRESSED, "concluded_at": NOW, "reported": True}
    stage.ledger.create(a_rollback(event=event, recheck_at=due, **closed, **changes))


def sweep_every_five_minutes(stage: Simulation, times: int) -> list[str]:
    """Sweep, and run the executions that the janitor starts to their end; return their names."""
    names = []
    for _ in range(times):
        stage.pass_time(minutes=5)
        sweep(stage.world)
        while stage.workflow.started:
            name, given = stage.workflow.started.pop(0)
            names.append(name)
            stage.run(given, name)
    return names


def test_a_suppressed_alarm_that_stays_in_alarm_is_rechecked_exactly_once() -> None:
    stage = start_simulation()
    suppressed(stage)
    assert sweep(stage.world) == []
    stage.pass_time(minutes=5)
    assert len(sweep(stage.world)) == 1
    assert sweep(stage.world) == []
    assert len(stage.workflow.started) == 1


def test_a_suppressed_alarm_that_recovered_before_its_recheck_is_not_rechecked_later() -> None:
    stage = start_simulation()
    suppressed(stage)
    stage.alarms.recover(DEGRADED)
    sweep_every_five_minutes(stage, 1)
    stage.alarms.fire(DEGRADED, stage.clock.now())
    assert sweep(stage.world) == []
    assert stage.workflow.started == []


def test_a_missed_event_is_found_though_an_old_suppression_was_rechecked_before() -> None:
    stage = start_simulation()
    suppressed(stage)
    stage.alarms.recover(DEGRADED)
    sweep_every_five_minutes(stage, 1)
    stage.alarms.fire(DEGRADED, stage.clock.now())
    names = sweep_every_five_minutes(stage, 3)
    assert [name.partition("-")[0] for name in names] == ["still"]


def test_a_dead_rollback_that_had_acted_is_concluded_as_failed_and_its_obligations_are_discharged() -> None:
    stage = start_simulation()
    before = dict(stage.services.deployment_configuration)
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    stage.run_due_step(rollback)
    sweep_every_five_minutes(stage, 4)
    done = stage.read(rollback)
    assert done.outcome is Outcome.FAILED
    assert done.concluded_at is not None
    assert stage.services.deployment_configuration == before
    assert stage.severities() == ["page"]


def test_the_janitor_does_not_conclude_a_rollback_whose_execution_runs() -> None:
    stage = start_simulation()
    rollback = stage.admit()
    stage.workflow.running.add(rollback.execution)
    sweep_every_five_minutes(stage, 4)
    assert stage.read(rollback).outcome is None


def test_a_successor_inherits_the_obligations_of_a_dead_rollback() -> None:
    stage = start_simulation()
    before = dict(stage.services.deployment_configuration)
    stage.run_due_step(stage.run_until(stage.admit(), Step.SERVICE))
    stage.clock.pass_time(minutes=stage.policy.lease_minutes)
    heir = stage.admit({}, "execution-2")
    assert [o.before for o in heir.obligations] == [{"deploymentCircuitBreaker": before["deploymentCircuitBreaker"]}]
    stage.run_until(heir)
    assert stage.services.deployment_configuration == before


def test_a_lost_report_is_sent_late_and_once() -> None:
    stage = start_simulation()
    stage.alarms.recover(DEGRADED)
    stage.ledger.create(a_rollback(outcome=Outcome.FAILED, concluded_at=NOW))
    sweep_every_five_minutes(stage, 2)
    assert stage.severities() == ["page"]


def test_rule_7_a_successor_of_a_dead_rollback_keeps_its_target_and_goes_no_step_further() -> None:
    """v1 is young, v0 old: without the intent as evidence the alarm would trigger a step from v1 to v0."""
    stage = Simulation()
    stage.ship("v0", PROMOTED, hours_ago=48)
    stage.ship("v1", PROMOTED, hours_ago=1)
    stage.ship("v2")
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    saves = stage.ledger.save

    def dies_after_the_act(given: Any, **named: Any) -> Any:
        if given.has_acted:
            raise ExternalServiceError("gone")
        return saves(given, **named)

    stage.ledger.save = dies_after_the_act  # type: ignore[method-assign, assignment]
    with pytest.raises(ExternalServiceError):
        stage.run_due_step(rollback)
    stage.ledger.save = saves  # type: ignore[method-assign]
    stage.clock.pass_time(minutes=stage.policy.lease_minutes)
    event = {**alarm_event("e2"), "time": stage.clock.now().isoformat()}
    second = stage.run(event, "execution-2")
    assert second.supersedes == rollback.id
    assert second.outcome is Outcome.SUCCEEDED
    assert second.plan is not None
    assert second.plan.target is not None
    assert (second.plan.running.version, second.plan.target.version) == ("v2", "v1")
    assert stage.changes().count("update") == 2  # the deployment, and the restored configuration


def test_a_service_whose_sweep_fails_does_not_block_the_others() -> None:
    stage = start_simulation()
    first = stage.world.settings.services[0]
    settings = stage.world.settings.model_copy(update={"services": (first.model_copy(update={"name": "a"}), first)})
    stage.world = replace(stage.world, settings=settings)
    states = stage.alarms.states

    def breaks(names: tuple[str, ...]) -> dict[str, str]:
        if "-a-" in names[0]:
            raise ExternalServiceError("no answer")
        return states(names)

    stage.alarms.states = breaks  # type: ignore[method-assign]
    suppressed(stage)
    stage.pass_time(minutes=5)
    with pytest.raises(ExternalServiceError):
        sweep(stage.world)
    (name,) = (name for name, _ in stage.workflow.started)
    assert name == execution_name(a_rollback())


def test_the_janitor_gives_back_the_lease_of_a_concluded_rollback() -> None:
    stage = start_simulation()
    done = stage.run()
    now = stage.clock.now()
    assert stage.ledger.acquire(SERVICE, done.id, now, now + timedelta(minutes=5)) is not None
    sweep(stage.world)
    assert stage.ledger.lease(SERVICE) is None


def test_ten_suppressed_alarms_that_stay_in_alarm_are_rechecked_once_together() -> None:
    stage = start_simulation()
    for second in range(10):
        suppressed(stage, id=f"{SERVICE}-20260301T0300{second:02}Z-00000000")
    names = sweep_every_five_minutes(stage, 6)
    assert len([name for name in names if name.startswith("recheck")]) == 1
    assert len(list(stage.ledger.history(SERVICE))) == 10  # the evaluation is in the newest record


def test_an_emergency_that_crashes_each_time_is_tried_and_paged_as_often_as_the_budget_allows() -> None:
    """ECS does not answer, and the outage alarm stays in ALARM: the janitor must not page every five minutes."""
    stage = start_simulation()
    stage.alarms.in_alarm.clear()
    describe = stage.services.describe

    def dies(given: object, name: str) -> None:
        stage.services.describe = raise_error(ExternalServiceError("DescribeServices got no answer"))  # type: ignore[method-assign]
        with suppress(RollbackError):
            stage.admit(given, name)
        stage.services.describe = describe  # type: ignore[method-assign]
        conclude_execution(
            execution_arn(name), "its execution ended as FAILED", stage.world, error="ExternalServiceError"
        )

    dies(stage.fire_alarm(OUTAGE), "execution-1")
    for _ in range(24):
        stage.pass_time(minutes=5)
        sweep(stage.world)
        while stage.workflow.started:
            name, given = stage.workflow.started.pop(0)
            dies(given, name)
    assert len(stage.pages()) == stage.policy.attempts_per_window


def test_a_service_that_is_gone_is_paged_once_and_no_emergency_is_tried_again() -> None:
    stage = start_simulation()
    stage.alarms.in_alarm.clear()
    stage.services.status = "INACTIVE"
    ended = stage.run(stage.fire_alarm(OUTAGE), "execution-1")
    sweep_every_five_minutes(stage, 24)
    assert ended.outcome is Outcome.FAILED
    assert stage.workflow.started == []
    assert len(stage.pages()) == 1
    assert stage.ledger.lease(SERVICE) is None


def test_an_execution_that_ended_by_a_permanent_refusal_is_failed_paged_once_and_not_tried_again() -> None:
    """The record is open, and its rollback did not act: a function could not save the refusal."""
    stage = start_simulation()
    rollback = stage.admit(stage.fire_alarm(DEGRADED), "execution-1")
    conclude_execution(rollback.execution, "AWS refused dynamodb:PutItem", stage.world, error="CallRefused")
    sweep_every_five_minutes(stage, 24)
    ended = stage.read(rollback)
    assert (ended.outcome, ended.recheck_at) == (Outcome.FAILED, None)
    assert stage.workflow.started == []
    assert len(stage.pages()) == 1


def test_only_an_operator_s_typo_is_not_paged_whatever_the_text_of_another_error_says() -> None:
    stage = start_simulation()
    assert conclude_execution("a", "its execution ended as FAILED", stage.world, error="InvalidRequest") == []
    told = conclude_execution("b", "AWS refused it: InvalidRequestException", stage.world, error="CallRefused")
    assert told == ["b left no record: paged"]
    assert len(stage.pages()) == 1


def test_two_simultaneous_alarms_of_a_service_with_a_long_name_are_both_rechecked() -> None:
    """The service's name alone fills an execution's name: both executions had one name, and the second never began."""
    stage, service = start_simulation(), "s" * 60
    alarms = (outage_alarm("macro-ai-production", service), degraded_alarm("macro-ai-production", service))
    for alarm in alarms:
        stage.workflow.start(unanswered_alarm_execution_name(alarm, NOW), {})
    assert len(stage.workflow.started) == 2
    assert unanswered_alarm_execution_name("short", NOW) == "still-red-20260301T030000-short"
