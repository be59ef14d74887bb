"""Guards: each reason to suppress or refuse a trigger is a named check with evidence in the record."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.fake_ports import DEGRADED, OUTAGE, SETTINGS
from simulations.service import (
    CANDIDATE,
    PROMOTED,
    QUARANTINED,
    Simulation,
    alarm_event,
    deployment_event,
    start_simulation,
)
from support.builders import NOW, SERVICE, definition, release, rollback

from rollback.check import Verdict
from rollback.domain.ledger.index import ChangeEntry, build_change_entry
from rollback.domain.operator import Pause
from rollback.domain.plan import Plan
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.policy import Policy
from rollback.domain.settings.watched import ExtraAlarm, Starts
from rollback.domain.stored import ReadResult
from rollback.guards import rules as guards
from rollback.names import leaf_alarm
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.workflow.janitor import sweep

POLICY = Policy()
V1, V2 = release("v1"), release("v2", state=CANDIDATE)


def automatic_rollback(minutes_ago: float, number: int = 0, **changes: Any) -> Rollback:
    """Build an automatic rollback from v2 to v1 that has acted and was concluded."""
    at = NOW - timedelta(minutes=minutes_ago)
    progress = ServiceProgress(started_at=at, escalation_level_since=at, acted_at=at)
    fields = {
        "id": f"{SERVICE}-{at:%Y%m%dT%H%M%SZ}-0000000{number}",
        "created_at": at,
        "admitted_at": at,
        "plan": Plan(running=V2, target=V1, checks=()),
        "service": progress,
        "outcome": Outcome.SUCCEEDED,
        "concluded_at": at,
    }
    return rollback(**{**fields, **changes})


def changes_of(*earlier: Rollback) -> ReadResult[ChangeEntry]:
    """Return the ledger's entries of rollbacks that were admitted in the longest window, newest first."""
    changes = [change for earlier_rollback in earlier if (change := build_change_entry(earlier_rollback)) is not None]
    since = NOW - guards.longest_window(POLICY)
    return ReadResult(
        tuple(sorted((c for c in changes if c.admitted_at >= since), key=lambda c: c.admitted_at, reverse=True))
    )


def verdicts(
    *earlier: Rollback, runs: str = V2.fingerprint, replaced: str = "", policy: Policy = POLICY, **changes: Any
) -> dict[str, str]:
    new = rollback(**changes)
    entries, primary = changes_of(*earlier), frozenset({runs})
    checks = guards.check_history(new, primary, frozenset({replaced or runs}), entries, policy, NOW)
    return {c.name: c.verdict for c in checks}


def test_no_guard_objects_to_the_first_rollback_of_a_service() -> None:
    assert set(verdicts().values()) == {Verdict.PASS}


@pytest.mark.parametrize(("minutes", "verdict"), [(9, "fail"), (11, "pass")])
def test_the_service_is_given_time_to_recover_after_a_rollback(minutes: float, verdict: str) -> None:
    assert verdicts(automatic_rollback(minutes))["cooldown-is-over"] == verdict


def test_a_trigger_suppressed_by_the_cooldown_is_rechecked_when_the_cooldown_is_over() -> None:
    (check, *_) = guards.check_history(
        rollback(),
        frozenset({V2.fingerprint}),
        frozenset({V2.fingerprint}),
        changes_of(automatic_rollback(4)),
        POLICY,
        NOW,
    )
    assert check.suppresses
    assert check.recheck_due_at == NOW + timedelta(minutes=6)


def test_rule_7_a_second_automatic_step_back_in_the_window_is_refused() -> None:
    assert verdicts(automatic_rollback(30), runs=V1.fingerprint)["one-step-per-window"] == "fail"
    assert (
        verdicts(automatic_rollback(30), runs=V2.fingerprint)["one-step-per-window"] == "pass"
    )  # another release has come since
    assert verdicts(automatic_rollback(121), runs=V1.fingerprint)["one-step-per-window"] == "pass"
    manual_rollback = automatic_rollback(30, trigger=Trigger.MANUAL)
    assert verdicts(manual_rollback, runs=V1.fingerprint)["one-step-per-window"] == "pass"


def test_rule_7_the_release_to_replace_decides_and_not_the_one_that_ecs_went_back_to() -> None:
    """After a rollback to v1 the team deployed v2, which failed: ECS rolled back to v1, and v2 is the one to leave."""
    earlier = automatic_rollback(30)
    assert verdicts(earlier, runs=V1.fingerprint, replaced=V2.fingerprint)["one-step-per-window"] == "pass"
    assert verdicts(earlier, runs=V1.fingerprint, replaced=V1.fingerprint)["one-step-per-window"] == "fail"


def test_the_attempt_budget_counts_automatic_rollbacks_that_acted() -> None:
    rollbacks = (automatic_rollback(20, 1), automatic_rollback(40, 2))
    assert verdicts(*rollbacks)["attempt-budget"] == "fail"
    assert verdicts(*rollbacks, policy=Policy(attempts_per_window=3))["attempt-budget"] == "pass"
    assert verdicts(automatic_rollback(20, 1), automatic_rollback(121, 2))["attempt-budget"] == "pass"
    idle_rollback = automatic_rollback(20, 3, service=None, outcome=Outcome.SUPPRESSED)
    assert verdicts(automatic_rollback(30, 1), idle_rollback)["attempt-budget"] == "pass"
    assert (
        verdicts(automatic_rollback(20, 1), automatic_rollback(40, 2, trigger=Trigger.DRILL))["attempt-budget"]
        == "pass"
    )


def test_a_rollback_and_the_emergency_that_took_over_are_one_attempt() -> None:
    successor = automatic_rollback(29, 2)
    plain_rollback = automatic_rollback(30, 1, outcome=Outcome.ABORTED, taken_over_by=successor.id)
    assert verdicts(successor, plain_rollback)["attempt-budget"] == "pass"
    assert verdicts(successor, plain_rollback, automatic_rollback(60, 3))["attempt-budget"] == "fail"


def test_a_resumed_rollback_does_not_count_as_another_attempt() -> None:
    dead_rollback = automatic_rollback(5, outcome=None, concluded_at=None)
    assert set(verdicts(dead_rollback, runs=V1.fingerprint, continues_rollback_id=dead_rollback.id).values()) == {
        "pass"
    }


def test_the_guards_never_suppress_an_operator_s_request() -> None:
    history = (automatic_rollback(1, 1), automatic_rollback(2, 2), automatic_rollback(3, 3))
    assert set(verdicts(*history, runs=V1.fingerprint, trigger=Trigger.MANUAL).values()) == {"skipped"}


# In the simulation


def test_a_pause_suppresses_alarms_and_no_request_of_an_operator() -> None:
    simulation = start_simulation()
    simulation.ledger.put_pause(Pause(service=SERVICE, since=simulation.clock.now(), by="ada", reason="load test"))
    concluded_rollback = simulation.run()
    assert concluded_rollback.outcome is Outcome.SUPPRESSED
    assert "paused since 2026-03-01 03:00 UTC by ada: load test" in concluded_rollback.reason
    assert concluded_rollback.recheck_at is not None
    assert simulation.changes() == []
    manual_rollback = simulation.run({}, "execution-2")
    assert manual_rollback.outcome is Outcome.SUCCEEDED


def test_an_alarm_that_outlasts_a_pause_is_rechecked_when_the_service_is_resumed() -> None:
    simulation = start_simulation()
    simulation.ledger.put_pause(Pause(service=SERVICE, since=simulation.clock.now(), by="ada", reason="load test"))
    simulation.run()
    simulation.pass_time(minutes=30)
    sweep(simulation.ports)
    assert simulation.workflow.started == []
    simulation.ledger.end_pause(SERVICE)
    sweep(simulation.ports)
    ((name, event),) = simulation.workflow.started
    assert simulation.run(event, name).outcome is Outcome.SUCCEEDED


def test_an_environment_in_observe_mode_plans_and_reports_and_never_acts() -> None:
    simulation = start_simulation(policy=Policy(mode="observe"))
    concluded_rollback = simulation.run()
    assert (concluded_rollback.outcome, simulation.changes()) == (Outcome.PLANNED, [])
    assert "v2 → v1" in concluded_rollback.reason


def test_a_deployment_that_began_after_the_alarm_may_be_the_fix_and_is_given_time() -> None:
    simulation = start_simulation()
    event = simulation.fire_alarm(DEGRADED)
    simulation.pass_time(seconds=20)
    arn = simulation.services.register_release(definition("v3"), "macro-ai-production-task")
    simulation.services.deploy(arn)
    concluded_rollback = simulation.run(event)
    assert concluded_rollback.outcome is Outcome.SUPPRESSED
    assert simulation.check(concluded_rollback, "no-fix-on-its-way").verdict is Verdict.FAIL
    assert "may be the fix" in concluded_rollback.reason
    assert concluded_rollback.recheck_at is not None
    assert "update" not in simulation.changes()


@pytest.mark.parametrize(("minutes", "verdict"), [(14, "fail"), (16, "pass")])
def test_a_deployment_that_has_not_helped_within_its_timeout_is_no_fix(minutes: float, verdict: str) -> None:
    """Otherwise an outage over a deployment that never settles would be rechecked for ever without a page."""
    began = NOW - timedelta(minutes=minutes)
    check = guards.check_no_fix_in_flight(rollback(), began, began - timedelta(minutes=1), POLICY, NOW)
    assert check.verdict == verdict


def test_alarms_about_rates_are_suppressed_if_there_were_few_requests() -> None:
    simulation = start_simulation()
    simulation.alarms.in_alarm.add(leaf_alarm(SETTINGS.prefix, SERVICE, "error-rate"))
    simulation.alarms.serve(simulation.services.target_groups[0], 3, simulation.clock.now())
    concluded_rollback = simulation.run()
    assert concluded_rollback.outcome is Outcome.SUPPRESSED
    assert "3 requests in 5 minutes, 20 are needed" in concluded_rollback.reason
    check = simulation.check(concluded_rollback, "enough-traffic")
    assert check.evidence == {"in_alarm": [leaf_alarm(SETTINGS.prefix, SERVICE, "error-rate")], "requests": 3.0}


def test_an_alarm_of_the_teams_own_beside_a_rate_needs_no_requests_unless_it_is_evidence_only() -> None:
    service = SETTINGS.service(SERVICE)
    for starts, outcome in ((Starts.SERVICE, Outcome.SUCCEEDED), (Starts.EVIDENCE, Outcome.SUPPRESSED)):
        described = service.model_copy(update={"extra_alarms": (ExtraAlarm(alarm="checkout", starts=starts),)})
        simulation = start_simulation()
        simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (described,)}))
        simulation.alarms.in_alarm |= {"checkout", leaf_alarm(SETTINGS.prefix, SERVICE, "error-rate")}
        simulation.alarms.serve(simulation.services.target_groups[0], 3, simulation.clock.now())
        assert simulation.run().outcome is outcome


@pytest.mark.parametrize(
    "leaf", ["unhealthy-targets", "task-shortfall", "error-logs", "task-exits", "queue-age", "target-resets"]
)
def test_alarms_about_tasks_targets_and_logs_need_no_requests(leaf: str) -> None:
    simulation = start_simulation()
    simulation.alarms.in_alarm |= {leaf_alarm(SETTINGS.prefix, SERVICE, name) for name in ("error-rate", leaf)}
    assert simulation.run().outcome is Outcome.SUCCEEDED


def test_an_alarm_from_insufficient_data_counts_only_if_the_policy_acts_on_such_alarms() -> None:
    event = alarm_event()
    event["detail"]["previousState"]["value"] = "INSUFFICIENT_DATA"
    ignoring_simulation, acting_simulation = (
        start_simulation(),
        start_simulation(policy=Policy(on_insufficient_data_alarm="act")),
    )
    assert ignoring_simulation.run(event).outcome is Outcome.SUPPRESSED
    assert acting_simulation.run(event).outcome is Outcome.SUCCEEDED


def test_ten_alarms_in_a_minute_with_duplicate_and_late_events_start_one_rollback_per_service() -> None:
    simulation = start_simulation()
    worker = SETTINGS.services[0].model_copy(update={"name": "worker"})
    simulation.replace(
        settings=simulation.ports.settings.model_copy(update={"services": (SETTINGS.services[0], worker)})
    )
    rollbacks: list[Rollback] = []
    events = []
    for number in range(10):
        alarm = DEGRADED if number % 2 else DEGRADED.replace(SERVICE, "worker")
        simulation.alarms.fire(alarm, simulation.clock.now())
        events.append(alarm_event(f"e{number}", alarm, simulation.clock.now()))
        rollbacks.append(simulation.admit(events[-1], f"execution-{number}"))
        simulation.clock.pass_time(seconds=6)
    rollbacks.append(simulation.admit(events[3], "the-same-again"))
    late_event = alarm_event("late", DEGRADED, simulation.clock.now() - timedelta(minutes=6))
    rollbacks.append(simulation.admit(late_event, "late"))
    assert [r.service_name for r in rollbacks if r.outcome is None] == ["worker", SERVICE]
    suppressed_rollbacks = [r for r in rollbacks if r.outcome is Outcome.SUPPRESSED]
    assert len(suppressed_rollbacks) == 10
    failing_checks = [next(c.name for c in r.admission if c.verdict is Verdict.FAIL) for r in suppressed_rollbacks]
    assert sorted(set(failing_checks)) == ["event-is-fresh", "event-is-new", "service-is-free"]
    assert all(
        r.recheck_at
        for r, check_name in zip(suppressed_rollbacks, failing_checks, strict=True)
        if check_name == "service-is-free"
    )


def test_a_rollback_loop_ends_after_the_budget_with_a_page_and_not_with_a_third_try() -> None:
    """Each last known good is bad too; the team ships another in between, so that no single step is repeated."""
    simulation = start_simulation(healthy_versions=set())
    outcomes = [simulation.run_alarm_rollback().outcome]
    for number in range(4):
        simulation.pass_time(minutes=11)
        simulation.begin_deployment(f"v{number + 3}")
        simulation.pass_time(seconds=20)
        simulation.pass_time(seconds=20)
        simulation.alarms.in_alarm.clear()
        outcomes.append(simulation.run_alarm_rollback().outcome)
    assert outcomes[:2] == [Outcome.FAILED, Outcome.FAILED]
    assert outcomes[2:] == [Outcome.REFUSED] * 3
    assert "attempt budget is spent: 2 of 2 attempts in 120 minutes" in simulation.pages()[-1]


def test_an_alarm_that_persists_over_the_target_triggers_no_second_step_back() -> None:
    simulation = Simulation(healthy_versions=set())
    simulation.ship("v0", PROMOTED, hours_ago=48)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    simulation.ship("v2")
    simulation.run()
    for _ in range(24):
        simulation.pass_time(minutes=5)
        sweep(simulation.ports)
        while simulation.workflow.started:
            name, event = simulation.workflow.started.pop(0)
            simulation.run(event, name)
    acting_rollbacks = [r for r in simulation.ledger.history(SERVICE) if r.has_acted]
    assert len(acting_rollbacks) == 1
    refusals = [r for r in simulation.ledger.history(SERVICE) if r.outcome is Outcome.REFUSED]
    assert refusals
    assert "an operator has to act" in refusals[-1].reason
    assert len(refusals) <= 2  # no page every five minutes


# CloudFormation and ECS at work (rule 6)


def set_stack_status(simulation: Simulation, status: str) -> None:
    service = SETTINGS.services[0].model_copy(update={"stack": "MacroAiProductionStack"})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    simulation.stacks.stack = StackView(name="MacroAiProductionStack", status=status)


def test_rule_6_plan_waits_while_cloudformation_rolls_back_and_keeps_the_release_that_it_restored() -> None:
    simulation = start_simulation()
    set_stack_status(simulation, "UPDATE_ROLLBACK_IN_PROGRESS")
    rollback_ = simulation.admit()
    for _ in range(3):
        rollback_ = simulation.run_due_step(rollback_)
    assert rollback_.plan is None
    assert "CloudFormation is rolling back stack MacroAiProductionStack" in rollback_.reason
    simulation.services.update(simulation.service_settings, definition_arn=simulation.arns["v1"])
    simulation.pass_time(seconds=10)
    simulation.pass_time(seconds=10)
    set_stack_status(simulation, "UPDATE_ROLLBACK_COMPLETE")
    simulation.services.calls.clear()
    concluded_rollback = simulation.run_until(rollback_)
    assert simulation.changes() == []
    assert concluded_rollback.outcome is Outcome.SUPPRESSED
    assert "v1 is promoted and has been deployed for" in concluded_rollback.reason


def test_rule_6_during_a_stack_update_only_the_deployment_is_stopped() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2")
    set_stack_status(simulation, "UPDATE_IN_PROGRESS")
    rollback_ = simulation.admit()
    for _ in range(12):
        rollback_ = simulation.run_due_step(rollback_)
    assert simulation.changes() == ["stop_deployment"]
    assert rollback_.outcome is None
    set_stack_status(simulation, "UPDATE_ROLLBACK_COMPLETE")
    assert simulation.run_until(rollback_).outcome is Outcome.SUCCEEDED
    assert simulation.changes() == ["stop_deployment"]


def test_rule_6_a_completed_bad_release_is_replaced_only_after_the_stack_update_has_ended() -> None:
    simulation = start_simulation()
    set_stack_status(simulation, "UPDATE_IN_PROGRESS")
    rollback_ = simulation.run_until(simulation.admit())
    assert rollback_.service is not None
    # the rollback waited for its whole timeout, while the service was down, and then overrode CloudFormation
    assert rollback_.service.moves[:2] == ("wait_for_stack", "update_service")
    assert [t.escalation_level for t in rollback_.service.attempts] == ["service"]
    assert rollback_.outcome is Outcome.SUCCEEDED


def test_rule_6_an_emergency_proceeds_over_cloudformation() -> None:
    simulation = start_simulation()
    set_stack_status(simulation, "UPDATE_IN_PROGRESS")
    simulation.admit(simulation.fire_alarm(OUTAGE))
    assert simulation.changes() == ["update"]


@pytest.mark.parametrize(("state", "moves"), [(PROMOTED, []), (QUARANTINED, ["update"])])
def test_rule_6_a_rollback_by_ecs_to_the_target_is_adopted_and_a_rollback_to_a_quarantined_release_is_awaited(
    state: Any, moves: list[str]
) -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=72)
    simulation.ship("v1", state, hours_ago=48)
    simulation.begin_deployment("v2", "crashing")
    for _ in range(3):
        simulation.services.tick()
    concluded_rollback = simulation.run(deployment_event())
    assert concluded_rollback.outcome is Outcome.SUCCEEDED
    assert simulation.changes()[: len(moves)] == moves
    assert concluded_rollback.plan is not None
    assert concluded_rollback.plan.target is not None
    assert concluded_rollback.plan.target.version == ("v1" if state is PROMOTED else "v0")
