"""Rule 1: an automatic trigger takes over no fenced rollback, no database rollback and no emergency."""

from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import CANDIDATE, FAMILY, PROMOTED, Simulation, start_simulation
from support.builders import NOW, SERVICE, definition, image, release, rollback

from rollback.domain.escalation import EscalationLevel
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import ServiceProgress
from rollback.leases.takeover import describe_takeover_state, find_takeover_objection
from rollback.names import family_of, rollback_family
from rollback.operations.pause_abort_unlock import pause
from rollback.promotion.readiness import prepare_standing_plan
from rollback.workflow.admit import admit
from rollback.workflow.route import Step

EMERGENCY = Request(service=SERVICE, type=RollbackType.EMERGENCY)
FENCE = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 4})


def holder(**changes: Any) -> Rollback:
    return rollback(**{"id": "express-api-20260301T025900Z-11111111", "admitted_at": NOW, **changes})


FENCED = holder(obligations=(FENCE,))
DATABASE = holder(request=Request(service=SERVICE, type=RollbackType.FULL))
IS_EMERGENCY = holder(request=EMERGENCY)
ESCALATED = holder(
    service=ServiceProgress(started_at=NOW, escalation_level_since=NOW, escalation_level=EscalationLevel.EMERGENCY)
)
PLAIN = holder()


@pytest.mark.parametrize(
    ("lease_holder", "expected_text"),
    [
        (FENCED, "fenced"),
        (DATABASE, "changing the database"),
        (IS_EMERGENCY, "emergency rollback already"),
        (ESCALATED, "emergency rollback already"),
    ],
)
def test_rule_1_an_automatic_trigger_never_takes_over_a_fenced_database_or_emergency_rollback(
    lease_holder: Rollback, expected_text: str
) -> None:
    objection = find_takeover_objection(rollback(request=EMERGENCY), lease_holder)
    assert objection is not None
    assert expected_text in objection


@pytest.mark.parametrize("lease_holder", [FENCED, DATABASE, IS_EMERGENCY, ESCALATED, PLAIN])
def test_rule_1_an_operator_takes_over_only_with_force(lease_holder: Rollback) -> None:
    forced = rollback(request=EMERGENCY.model_copy(update={"force": True}), trigger=Trigger.MANUAL)
    assert find_takeover_objection(forced, lease_holder) is None
    if lease_holder is not PLAIN:
        assert find_takeover_objection(rollback(request=EMERGENCY, trigger=Trigger.MANUAL), lease_holder) is not None


def test_rule_1_force_in_an_automatic_trigger_has_no_effect() -> None:
    automatic = rollback(request=EMERGENCY.model_copy(update={"force": True}), trigger=Trigger.ALARM)
    assert find_takeover_objection(automatic, FENCED) is not None


def test_an_emergency_takes_over_a_plain_rollback_and_a_plain_rollback_takes_over_none() -> None:
    assert find_takeover_objection(rollback(request=EMERGENCY), PLAIN) is None
    assert find_takeover_objection(rollback(), PLAIN) is not None


def test_an_operator_sees_the_state_of_the_data_before_a_takeover() -> None:
    description = describe_takeover_state(FENCED)
    assert "desired count 0" in description
    assert "not put back yet: fence, was {'desired_count': 4}" in description
    assert "it has not touched the database" in description
    assert "may be changing the database" in describe_takeover_state(DATABASE)


def run_until_update(simulation: Simulation) -> Rollback:
    """Run a plain rollback until it has called UpdateService."""
    first = simulation.run_due_step(simulation.run_until(simulation.admit(), Step.SERVICE))
    assert first.has_acted
    simulation.workflow.running.add(first.execution)
    return first


def test_an_outage_takes_over_the_lease_stops_the_former_execution_and_keeps_its_target() -> None:
    """v1 is young and v0 old: from v1, which runs now, the outage would step to v0, one step too many."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=48)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    simulation.ship("v2")
    first = run_until_update(simulation)
    outage = simulation.run_alarm_rollback(OUTAGE)
    assert outage.outcome is Outcome.SUCCEEDED
    assert outage.continues_rollback_id == first.id
    assert outage.plan is not None
    assert outage.plan.target is not None
    assert (outage.plan.running.version, outage.plan.target.version) == ("v2", "v1")
    assert simulation.running() == image("v1")
    assert simulation.workflow.stopped == [first.execution]
    assert outage.id in simulation.workflow.causes[first.execution]


def test_a_rollback_that_was_taken_over_ends_without_a_call_or_page_and_hands_over_its_obligations() -> None:
    simulation = start_simulation()
    original_configuration = dict(simulation.services.deployment_configuration)
    first = run_until_update(simulation)
    outage = simulation.admit(simulation.fire_alarm(OUTAGE), "execution-2")
    calls = len(simulation.services.calls)
    concluded_first = simulation.run_until(first)
    assert (concluded_first.outcome, concluded_first.taken_over_by) == (Outcome.ABORTED, outage.id)
    assert len(simulation.services.calls) == calls
    assert simulation.pages() == []
    assert [o.handed_to for o in concluded_first.obligations] == [outage.id]
    concluded_outage = simulation.run_until(outage)
    assert concluded_outage.outcome is Outcome.SUCCEEDED
    assert simulation.services.deployment_configuration == original_configuration
    assert simulation.state_of("v2") == "quarantined"


def test_rule_9_the_new_holder_asserts_its_target_until_the_former_holder_s_function_has_timed_out() -> None:
    simulation = start_simulation()
    simulation.ship("v3", PROMOTED, hours_ago=0.1)
    simulation.ship("v4")
    first = run_until_update(simulation)
    outage = simulation.admit(simulation.fire_alarm(OUTAGE), "execution-2")
    assert outage.plan is not None
    assert outage.plan.target is not None
    for _ in range(3):
        simulation.run_due_step(outage)
    assert first.service is not None
    # a call of the former holder arrives late
    family = rollback_family(FAMILY, "production", SERVICE)
    late_definition_arn = simulation.services.register(definition("v1"), family, release("v1").fingerprint)
    simulation.services.update(simulation.service_settings, definition_arn=late_definition_arn)
    concluded_rollback = simulation.run_until(outage)
    assert simulation.running() == image("v3")
    assert concluded_rollback.service is not None
    assert concluded_rollback.service.done_at is not None
    assert (
        concluded_rollback.service.done_at - outage.created_at
    ).total_seconds() >= simulation.policy.act_timeout_seconds


@pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
def test_no_alarm_takes_over_an_emergency_and_the_alarm_is_rechecked(alarm: str) -> None:
    simulation = start_simulation()
    first = simulation.admit(simulation.fire_alarm(OUTAGE))
    simulation.pass_time(seconds=1)
    second = simulation.admit(simulation.fire_alarm(alarm), "execution-2")
    assert (second.outcome, first.outcome) == (Outcome.SUPPRESSED, None)
    assert simulation.check(second, "service-is-free").suppresses
    assert second.recheck_at is not None


@pytest.mark.parametrize("request_", [EMERGENCY, Request(service=SERVICE)], ids=["outage", "degraded"])
def test_the_next_trigger_takes_over_a_rollback_that_has_its_outcome(request_: Request) -> None:
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.ABORTED):
        assert find_takeover_objection(rollback(request=request_), holder(outcome=outcome)) is None


def test_no_trigger_takes_over_a_rollback_that_ends_behind_its_fence() -> None:
    ending = holder(outcome=Outcome.ABORTED, obligations=(FENCE,))
    assert "has fenced the service" in (find_takeover_objection(rollback(request=EMERGENCY), ending) or "")


def test_an_outage_of_a_paused_service_does_not_take_over_an_operator_s_rollback() -> None:
    simulation = start_simulation()
    pause(SERVICE, Operator("ann", "an operator acts"), simulation.ports)
    first = simulation.run_due_step(simulation.run_until(simulation.admit({}), Step.SERVICE))
    outage = simulation.run_alarm_rollback(OUTAGE)
    assert outage.outcome is Outcome.SUPPRESSED
    assert outage.recheck_at is not None
    assert simulation.workflow.stopped == []
    assert simulation.run_until(first).outcome is Outcome.SUCCEEDED


def test_an_outage_continues_an_operator_s_rollback_despite_earlier_attempts() -> None:
    """The automatic rollback before the operator's has just failed, and would count against the attempt budget."""
    simulation = Simulation(healthy_versions={"v0"})
    simulation.ship("v0", PROMOTED, hours_ago=48)
    simulation.ship("v1", PROMOTED, hours_ago=47)
    simulation.ship("v2")
    assert simulation.run().outcome is Outcome.FAILED
    manual_rollback = simulation.run_due_step(
        simulation.run_until(simulation.admit({"target_version": "v0"}, "execution-2"), Step.SERVICE)
    )
    assert manual_rollback.has_acted
    outage = simulation.run_alarm_rollback(OUTAGE)
    assert outage.continues_rollback_id == manual_rollback.id
    assert outage.outcome is Outcome.SUCCEEDED
    assert simulation.running() == image("v0")


def test_rule_7_a_successor_keeps_the_target_even_after_the_former_holder_has_ended() -> None:
    """The successor crashes between admission and plan, and is retried after the former holder has ended."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=48)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    simulation.ship("v2")
    first = run_until_update(simulation)
    event, now = simulation.fire_alarm(OUTAGE), simulation.clock.now()
    admit(event, execution_arn("execution-2"), now, simulation.ports)
    assert simulation.run_due_step(first).outcome is Outcome.ABORTED
    outage = simulation.run(event, "execution-2")
    assert outage.plan is not None
    assert outage.plan.target is not None
    assert outage.plan.target.version == "v1"
    assert simulation.running() == image("v1")


def test_a_successor_keeps_an_operator_s_version_and_registers_that_version_in_the_rollback_family() -> None:
    """The operator's version stays: no other target replaces it, and it does not join the last known good's family."""
    simulation = Simulation(healthy_versions=set())
    simulation.ship("v0", CANDIDATE, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    manual_rollback = simulation.run_until(simulation.admit({"target_version": "v0"}, "execution-2"), Step.SERVICE)
    simulation.services.behaviours[simulation.arns["v2"]] = "crashing"
    simulation.services.default_behaviour = "crashing"
    outage = simulation.run_alarm_rollback(OUTAGE)
    assert outage.continues_rollback_id == manual_rollback.id
    assert outage.plan is not None
    assert outage.plan.target is not None
    assert outage.plan.target.version == "v0"
    assert outage.plan.skipped_last_known_good == "", "v1 is not reported as skipped"
    assert outage.service is not None
    deployed_family = family_of(outage.service.target_definition_arn or "")
    assert deployed_family == rollback_family(FAMILY, "production", SERVICE), "decision 2"
