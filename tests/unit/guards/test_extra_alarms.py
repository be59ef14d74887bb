"""Alarms of the team's own: evidence in verification and promotion, and parts of the composite alarms."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.alarms import TARGET_GROUP
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import Simulation, deployment_event, start_simulation
from support.builders import SERVICE

from rollback.check import Check, Verdict
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.domain.settings.watched import ExtraAlarm, Starts
from rollback.guards.evidence import check_outage_against_elb
from rollback.names import leaf_alarm
from rollback.promotion.promote import judge_bake, record_deployment
from rollback.promotion.readiness import prepare_standing_plan
from rollback.verification.checks.alarms import AlarmHandling, check_alarms

ORDERS = "orders-per-minute"
NO_HEALTHY = leaf_alarm("macro-ai-production", SERVICE, "no-healthy-targets")
ERROR_RATE = leaf_alarm("macro-ai-production", SERVICE, "error-rate")


def simulation_with(starts: Starts, **parts: Any) -> Simulation:
    simulation = start_simulation(**parts)
    service = simulation.service_settings.model_copy(
        update={"extra_alarms": (ExtraAlarm(alarm=ORDERS, starts=starts),)}
    )
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    simulation.alarms.others[ORDERS] = "OK"
    return simulation


def check_now(simulation: Simulation) -> Check:
    view = simulation.describe_service()
    return check_alarms(simulation.service_settings, view, simulation.ports, AlarmHandling.COUNT)


def test_an_evidence_alarm_in_alarm_keeps_a_rollback_from_being_verified() -> None:
    simulation = simulation_with(Starts.EVIDENCE, policy=Policy(alarm_settle_minutes=1, verify_timeout_minutes=3))
    simulation.healthy_versions = set()
    simulation.alarms.recover(DEGRADED)
    simulation.alarms.in_alarm.add(ORDERS)
    rollback = simulation.run({"reason": "try", "requested_by": "ada"})
    assert rollback.outcome is Outcome.FAILED
    assert f"alarms-are-ok: in ALARM: {ORDERS}" in rollback.reason


def test_an_evidence_alarm_that_recovers_lets_a_rollback_succeed() -> None:
    simulation = simulation_with(Starts.EVIDENCE)
    simulation.alarms.in_alarm.add(ORDERS)
    assert simulation.run_alarm_rollback(DEGRADED).outcome is Outcome.SUCCEEDED


def test_an_alarm_that_starts_a_rollback_counts_by_the_composite_alarm_alone() -> None:
    simulation = simulation_with(Starts.SERVICE)
    simulation.alarms.in_alarm = {ORDERS}
    assert check_now(simulation).verdict is Verdict.PASS
    simulation.alarms.in_alarm = {ORDERS, DEGRADED}
    assert check_now(simulation).verdict is Verdict.FAIL


def test_a_release_is_not_promoted_after_an_evidence_alarm_during_its_bake() -> None:
    simulation = simulation_with(Starts.EVIDENCE)
    simulation.alarms.recover(DEGRADED)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    simulation.alarms.serve(TARGET_GROUP, 1000, simulation.clock.now())
    simulation.pass_time(minutes=15)
    simulation.alarms.fire(ORDERS, simulation.clock.now() - timedelta(minutes=5))
    simulation.alarms.recover(ORDERS)
    assert judge_bake(cursor, simulation.ports).summary == f"alarms during the bake: {ORDERS}"


def test_a_missing_evidence_alarm_is_named_and_is_no_failure() -> None:
    simulation = simulation_with(Starts.EVIDENCE)
    simulation.alarms.in_alarm = set()
    del simulation.alarms.others[ORDERS]
    check = check_now(simulation)
    assert check.verdict is Verdict.PASS
    assert check.reason.endswith(f"not looked at, since there is no such alarm: {ORDERS}")


@pytest.mark.parametrize("starts", list(Starts))
def test_readiness_warns_of_a_missing_alarm_of_the_team(starts: Starts) -> None:
    simulation = simulation_with(starts)

    def check() -> Check:
        plan = prepare_standing_plan(SERVICE, simulation.ports)
        return next(check for check in plan.readiness if check.name == "extra-alarms-exist")

    assert check().verdict is Verdict.PASS
    del simulation.alarms.others[ORDERS]
    assert check().verdict is Verdict.WARN
    assert f"CloudWatch has no alarm {ORDERS}" in check().reason


def test_few_requests_do_not_suppress_a_rollback_that_the_teams_alarm_asks_for() -> None:
    simulation = simulation_with(Starts.SERVICE)
    simulation.alarms.in_alarm |= {ERROR_RATE, ORDERS}
    rollback = simulation.run_alarm_rollback(DEGRADED)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.check(rollback, "enough-traffic").verdict is Verdict.SKIPPED


def test_few_requests_suppress_a_rollback_if_the_teams_alarm_is_only_evidence() -> None:
    simulation = simulation_with(Starts.EVIDENCE)
    simulation.alarms.in_alarm |= {ERROR_RATE, ORDERS}
    assert simulation.run_alarm_rollback(DEGRADED).outcome is Outcome.SUPPRESSED


@pytest.mark.parametrize(("starts", "verdict"), [(Starts.EMERGENCY, Verdict.PASS), (Starts.EVIDENCE, Verdict.FAIL)])
def test_healthy_targets_do_not_contradict_an_outage_that_the_teams_alarm_confirms(
    starts: Starts, verdict: Verdict
) -> None:
    simulation = simulation_with(starts)
    simulation.alarms.in_alarm = {OUTAGE, NO_HEALTHY, ORDERS}
    check = check_outage_against_elb(SERVICE, simulation.describe_service(), simulation.ports)
    assert check.verdict is verdict
