"""Rule 1: an automatic trigger takes over no fenced rollback, no database rollback and no emergency."""

from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from simulations.service import CANDIDATE, FAMILY, PROMOTED, Simulation, start_simulation
from simulations.worlds import DEGRADED, OUTAGE
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
    ("held_by", "said"),
    [
        (FENCED, "fenced"),
        (DATABASE, "changing the database"),
        (IS_EMERGENCY, "emergency rollback already"),
        (ESCALATED, "emergency rollback already"),
    ],
)
def test_rule_1_an_automatic_trigger_never_takes_over_what_is_fenced_on_the_database_or_an_emergency(
    held_by: Rollback, said: str
) -> None:
    why_not = find_takeover_objection(rollback(request=EMERGENCY), held_by)
    assert why_not is not None
    assert said in why_not


@pytest.mark.parametrize("held_by", [FENCED, DATABASE, IS_EMERGENCY, ESCALATED, PLAIN])
def test_rule_1_an_operator_takes_over_with_force_and_not_without(held_by: Rollback) -> None:
    forced = rollback(request=EMERGENCY.model_copy(update={"force": True}), trigger=Trigger.MANUAL)
    assert find_takeover_objection(forced, held_by) is None
    if held_by is not PLAIN:
        assert find_takeover_objection(rollback(request=EMERGENCY, trigger=Trigger.MANUAL), held_by) is not None


def test_rule_1_force_in_an_automatic_trigger_has_no_effect() -> None:
    automatic = rollback(request=EMERGENCY.model_copy(update={"force": True}), trigger=Trigger.ALARM)
    assert find_takeover_objection(automatic, FENCED) is not None


def test_an_emergency_takes_over_a_plain_rollback_and_a_plain_one_takes_over_none() -> None:
    assert find_takeover_objection(rollback(request=EMERGENCY), PLAIN) is None
    assert find_takeover_objection(rollback(), PLAIN) is not None


def test_an_operator_sees_the_state_of_the_data_before_a_takeover() -> None:
    said = describe_takeover_state(FENCED)
    assert "desired count 0" in said
    assert "not put back yet: fence, was {'desired_count': 4}" in said
    assert "it has not touched the database" in said
    assert "may be changing the database" in describe_takeover_state(DATABASE)


def in_the_middle(stage: Simulation) -> Rollback:
    """A plain rollback that has sent its UpdateService."""
    first = stage.run_due_step(stage.run_until(stage.admit(), Step.SERVICE))
    assert first.has_acted
    stage.workflow.running.add(first.execution)
    return first


def test_an_outage_takes_over_the_lease_stops_the_other_execution_and_keeps_its_target() -> None:
    """v1 is young and v0 old: from v1, which runs now, the outage would step to v0, one step too many."""
    stage = Simulation()
    stage.ship("v0", PROMOTED, hours_ago=48)
    stage.ship("v1", PROMOTED, hours_ago=1)
    stage.ship("v2")
    first = in_the_middle(stage)
    outage = stage.run_alarm_rollback(OUTAGE)
    assert outage.outcome is Outcome.SUCCEEDED
    assert outage.supersedes == first.id
    assert outage.plan is not None
    assert outage.plan.target is not None
    assert (outage.plan.running.version, outage.plan.target.version) == ("v2", "v1")
    assert stage.running() == image("v1")
    assert stage.workflow.stopped == [first.execution]
    assert outage.id in stage.workflow.causes[first.execution]


def test_a_rollback_that_was_taken_over_ends_without_a_call_or_page_and_hands_over_its_obligations() -> None:
    stage = start_simulation()
    before = dict(stage.services.deployment_configuration)
    first = in_the_middle(stage)
    outage = stage.admit(stage.fire_alarm(OUTAGE), "execution-2")
    calls = len(stage.services.calls)
    ended = stage.run_until(first)
    assert (ended.outcome, ended.superseded_by) == (Outcome.ABORTED, outage.id)
    assert len(stage.services.calls) == calls
    assert stage.pages() == []
    assert [o.handed_to for o in ended.obligations] == [outage.id]
    done = stage.run_until(outage)
    assert done.outcome is Outcome.SUCCEEDED
    assert stage.services.deployment_configuration == before
    assert stage.state_of("v2") == "quarantined"


def test_rule_9_the_new_holder_asserts_its_target_until_the_loser_s_function_has_run_out() -> None:
    stage = start_simulation()
    stage.ship("v3", PROMOTED, hours_ago=0.1)
    stage.ship("v4")
    first = in_the_middle(stage)
    outage = stage.admit(stage.fire_alarm(OUTAGE), "execution-2")
    assert outage.plan is not None
    assert outage.plan.target is not None
    for _ in range(3):
        stage.run_due_step(outage)
    assert first.service is not None
    # a call of the former holder arrives late
    ours = rollback_family(FAMILY, "production", SERVICE)
    losers = stage.services.register(definition("v1"), ours, release("v1").fingerprint)
    stage.services.update(stage.world.settings.services[0], definition_arn=losers)
    done = stage.run_until(outage)
    assert stage.running() == image("v3")
    assert done.service is not None
    assert done.service.done_at is not None
    assert (done.service.done_at - outage.created_at).total_seconds() >= stage.policy.act_timeout_seconds


@pytest.mark.parametrize("red", [DEGRADED, OUTAGE])
def test_no_alarm_takes_over_an_emergency_and_the_alarm_is_rechecked(red: str) -> None:
    stage = start_simulation()
    first = stage.admit(stage.fire_alarm(OUTAGE))
    stage.pass_time(seconds=1)
    second = stage.admit(stage.fire_alarm(red), "execution-2")
    assert (second.outcome, first.outcome) == (Outcome.SUPPRESSED, None)
    assert stage.check(second, "service-is-free").suppresses
    assert second.recheck_at is not None


@pytest.mark.parametrize("request_", [EMERGENCY, Request(service=SERVICE)], ids=["outage", "degraded"])
def test_the_next_trigger_takes_over_a_rollback_that_has_its_outcome(request_: Request) -> None:
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.ABORTED):
        assert find_takeover_objection(rollback(request=request_), holder(outcome=outcome)) is None


def test_no_trigger_takes_over_a_rollback_that_ends_behind_its_fence() -> None:
    ending = holder(outcome=Outcome.ABORTED, obligations=(FENCE,))
    assert "has fenced the service" in (find_takeover_objection(rollback(request=EMERGENCY), ending) or "")


def test_an_outage_of_a_paused_service_does_not_take_over_an_operator_s_rollback() -> None:
    stage = start_simulation()
    pause(SERVICE, Operator("ann", "by hand now"), stage.world)
    first = stage.run_due_step(stage.run_until(stage.admit({}), Step.SERVICE))
    outage = stage.run_alarm_rollback(OUTAGE)
    assert outage.outcome is Outcome.SUPPRESSED
    assert outage.recheck_at is not None
    assert stage.workflow.stopped == []
    assert stage.run_until(first).outcome is Outcome.SUCCEEDED


def test_an_outage_that_takes_over_an_operator_s_rollback_continues_it_despite_earlier_attempts() -> None:
    """The first rollback has just ended without success: the operator's rollback since then is still continued."""
    stage = Simulation(healthy_versions={"v0"})
    stage.ship("v0", PROMOTED, hours_ago=48)
    stage.ship("v1", PROMOTED, hours_ago=47)
    stage.ship("v2")
    assert stage.run().outcome is Outcome.FAILED
    by_hand = stage.run_due_step(stage.run_until(stage.admit({"target_version": "v0"}, "execution-2"), Step.SERVICE))
    assert by_hand.has_acted
    outage = stage.run_alarm_rollback(OUTAGE)
    assert outage.supersedes == by_hand.id
    assert outage.outcome is Outcome.SUCCEEDED
    assert stage.running() == image("v0")


def test_rule_7_a_successor_keeps_the_target_though_the_other_has_found_its_lease_lost() -> None:
    """The successor crashes between admission and plan, and is retried once the other has found its lease lost."""
    stage = Simulation()
    stage.ship("v0", PROMOTED, hours_ago=48)
    stage.ship("v1", PROMOTED, hours_ago=1)
    stage.ship("v2")
    first = in_the_middle(stage)
    event, now = stage.fire_alarm(OUTAGE), stage.clock.now()
    admit(event, execution_arn("execution-2"), now, stage.world)
    assert stage.run_due_step(first).outcome is Outcome.ABORTED
    outage = stage.run(event, "execution-2")
    assert outage.plan is not None
    assert outage.plan.target is not None
    assert outage.plan.target.version == "v1"
    assert stage.running() == image("v1")


def test_a_successor_keeps_an_operator_s_version_and_does_not_register_it_as_the_last_known_good() -> None:
    """The operator's version stays: no other target replaces it, and it does not join the last known good's family."""
    stage = Simulation(healthy_versions=set())
    stage.ship("v0", CANDIDATE, hours_ago=96)
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2")
    prepare_standing_plan(SERVICE, stage.world)
    by_hand = stage.run_until(stage.admit({"target_version": "v0"}, "execution-2"), Step.SERVICE)
    stage.services.behaviours[stage.arns["v2"]] = "crashing"
    stage.services.default_behaviour = "crashing"
    outage = stage.run_alarm_rollback(OUTAGE)
    assert outage.supersedes == by_hand.id
    assert outage.plan is not None
    assert outage.plan.target is not None
    assert outage.plan.target.version == "v0"
    assert outage.plan.skipped_last_known_good == "", "v1 is not reported as skipped"
    assert outage.service is not None
    deployed = family_of(outage.service.target_definition_arn or "")
    assert deployed == rollback_family(FAMILY, "production", SERVICE), "decision 2"
