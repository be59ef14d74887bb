"""Absence of evidence is no fault of a release.

A team may scale a service to zero. An alarm may lack data, be muted or watch the wrong target group. An answer expires.
"""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.alarms import TARGET_GROUP
from fakes.aws.elb import FakeTargets
from faults.scenarios.database_endings import raise_error
from simulations.service import CANDIDATE, PROMOTED, Simulation, alarm_event, start_simulation
from simulations.worlds import DEGRADED, OUTAGE, SETTINGS
from support.builders import NOW, SERVICE

from rollback.check import Verdict
from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError
from rollback.names import leaf_alarm
from rollback.ports.world import OptionalPorts
from rollback.promotion.promote import adopt_running_releases
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import TargetHealth
from rollback.workflow.janitor import sweep
from rollback.workflow.route import Step

NO_HEALTHY = leaf_alarm(SETTINGS.prefix, SERVICE, "no-healthy-targets")
NEAR_TOTAL = leaf_alarm(SETTINGS.prefix, SERVICE, "near-total-errors")


def sweep_for(stage: Simulation, minutes: int) -> list[str]:
    """Run the janitor every five minutes, and to their ends the executions that it starts; return their names."""
    names = []
    for _ in range(minutes // 5):
        stage.pass_time(minutes=5)
        sweep(stage.world)
        while stage.workflow.started:
            name, given = stage.workflow.started.pop(0)
            names.append(name)
            stage.run(given, name)
    return names


def start_at_zero_by_the_team(**parts: Any) -> Simulation:
    """Ship v1, promoted, and v2; the team scales the service to zero, before the outage alarm turns to ALARM."""
    stage = start_simulation(**parts)
    stage.alarms.in_alarm.clear()
    stage.healthy_versions.clear()
    prepare_standing_plan(SERVICE, stage.world)
    stage.services.desired_count = 0
    for _ in range(3):
        stage.pass_time(seconds=10)
    stage.services.calls.clear()
    return stage


class TestServiceAtZeroByTheTeam:
    def test_a_night_at_zero_changes_nothing_marks_no_release_pages_no_operator_and_is_reported_once(self) -> None:
        stage = start_at_zero_by_the_team()
        rollback = stage.run(stage.fire_alarm(OUTAGE))
        sweep_for(stage, 8 * 60)
        assert rollback.outcome is Outcome.SUPPRESSED
        assert "is 0, and no rollback set it to 0" in rollback.reason
        assert stage.changes() == []
        assert stage.state_of("v2") is ReleaseState.CANDIDATE
        assert stage.severities() == ["info"]
        assert len(list(stage.ledger.history(SERVICE))) == 1

    def test_an_old_promoted_release_at_zero_pages_no_operator(self) -> None:
        stage = Simulation()
        stage.ship("v1", PROMOTED, hours_ago=48)
        stage.services.desired_count = 0
        rollback = stage.run(stage.fire_alarm(OUTAGE))
        assert rollback.outcome is Outcome.SUPPRESSED
        assert rollback.recheck_at is not None
        assert stage.pages() == []

    def test_a_service_that_does_not_start_in_the_morning_gets_time_and_is_then_rolled_back(self) -> None:
        stage = start_at_zero_by_the_team()
        rollback = stage.run(stage.fire_alarm(OUTAGE))
        sweep_for(stage, 60)
        stage.services.desired_count = 2
        sweep_for(stage, 5)
        assert "again, after 0 at" in stage.read(rollback).reason
        assert stage.changes() == []
        sweep_for(stage, 10)
        assert "update" in stage.changes()

    def test_a_service_that_starts_in_the_morning_is_left_alone(self) -> None:
        stage = start_at_zero_by_the_team()
        rollback = stage.run(stage.fire_alarm(OUTAGE))
        sweep_for(stage, 60)
        stage.services.desired_count = 2
        stage.alarms.recover(OUTAGE)
        assert sweep_for(stage, 60) == []
        assert stage.changes() == []
        assert stage.read(rollback).recheck_at is None

    def test_an_operator_may_start_an_emergency_of_a_service_at_zero(self) -> None:
        stage = start_at_zero_by_the_team()
        stage.run({"type": "emergency"})
        assert "update" in stage.changes()

    def test_a_degraded_alarm_starts_no_task_of_a_service_at_zero(self) -> None:
        stage = start_at_zero_by_the_team()
        assert stage.run(stage.fire_alarm(DEGRADED)).outcome is Outcome.SUPPRESSED
        assert stage.changes() == []

    def test_a_service_at_zero_promotes_no_release(self) -> None:
        stage = start_at_zero_by_the_team(policy=Policy(bake_minimum_requests=0))
        for _ in range(8):
            stage.pass_time(minutes=5)
            adopt_running_releases(stage.world)
        assert stage.state_of("v2") is CANDIDATE

    def test_a_service_scaled_to_zero_before_its_verification_is_reported_and_not_started_again(self) -> None:
        stage = start_simulation()
        rollback = stage.run_until(stage.admit(), Step.VERIFY)
        stage.services.desired_count = 0
        stage.services.calls.clear()
        ended = stage.run_to_end(rollback)
        assert ended.outcome is Outcome.FAILED
        assert "scaled to zero" in ended.reason
        assert stage.services.desired_count == 0
        assert stage.state_of("v2") is ReleaseState.SUSPECT

    @pytest.mark.parametrize("rounds", range(6))
    @pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
    def test_a_service_scaled_to_zero_during_a_rollback_is_reported_and_not_started_again(
        self, rounds: int, alarm: str
    ) -> None:
        stage = start_simulation()
        rollback = stage.run_until(stage.admit(stage.fire_alarm(alarm)), Step.SERVICE)
        for _ in range(rounds):
            rollback = stage.run_due_step(rollback)
        stage.services.desired_count = 0
        stage.services.calls.clear()
        ended = stage.run_to_end(rollback)
        assert ended.outcome is Outcome.FAILED
        assert "scaled to zero" in ended.reason
        assert stage.services.desired_count == 0
        assert not [given for _, given in stage.services.calls if given.get("desired_count")]
        assert len(stage.pages()) == 1


class TestAlarmThatWasNeverOk:
    @pytest.mark.parametrize("event_came", [True, False], ids=["its event came", "it was created before the rule"])
    def test_the_janitor_follows_the_setting_for_alarms_without_data(self, event_came: bool) -> None:
        stage = start_simulation()
        stage.alarms.in_alarm.clear()
        stage.healthy_versions.clear()
        stage.alarms.fire(OUTAGE, NOW, before="INSUFFICIENT_DATA")
        if event_came:
            event = alarm_event("created", OUTAGE)
            event["detail"]["previousState"]["value"] = "INSUFFICIENT_DATA"
            stage.run(event)
        names = sweep_for(stage, 120)
        assert len(names) == (0 if event_came else 1)
        assert stage.changes() == []
        assert stage.severities() == ["info"]

    @pytest.mark.parametrize("history_is_kept", [True, False])
    @pytest.mark.parametrize("event_came", [True, False])
    def test_an_alarm_that_was_never_ok_rolls_no_later_deployment_back(
        self, event_came: bool, history_is_kept: bool
    ) -> None:
        """A log pattern that always matches would undo each deployment. CloudWatch keeps its history for 30 days."""
        stage = start_simulation()
        stage.alarms.in_alarm.clear()
        stage.healthy_versions.clear()
        stage.alarms.fire(DEGRADED, NOW, before="INSUFFICIENT_DATA")
        if event_came:
            event = alarm_event("created", DEGRADED)
            event["detail"]["previousState"]["value"] = "INSUFFICIENT_DATA"
            stage.run(event)
        sweep_for(stage, 60)
        if not history_is_kept:
            stage.alarms.state_before = lambda *_: None  # type: ignore[method-assign]
        for version in ("v3", "v4"):
            stage.begin_deployment(version)
            stage.services.deploy(stage.arns[version], stage.clock.now())
            for _ in range(4):
                stage.services.tick()
            stage.services.calls.clear()
            sweep_for(stage, 120)
            assert stage.changes() == []
        assert stage.pages() == []

    def test_an_alarm_that_was_never_ok_starts_a_rollback_where_the_setting_is_act(self) -> None:
        stage = start_simulation(policy=Policy(on_insufficient_data_alarm="act"))
        stage.alarms.in_alarm.clear()
        stage.alarms.fire(OUTAGE, NOW, before="INSUFFICIENT_DATA")
        sweep_for(stage, 10)
        assert "update" in stage.changes()

    def test_an_alarm_history_that_can_not_be_read_mutes_no_outage(self) -> None:
        stage = start_simulation()
        stage.alarms.in_alarm.clear()
        stage.alarms.fire(OUTAGE, NOW, before="INSUFFICIENT_DATA")
        stage.alarms.state_before = raise_error(ExternalServiceError("no answer"))  # type: ignore[method-assign]
        sweep_for(stage, 10)
        assert "update" in stage.changes()


class TestAnswerExpires:
    def suppressed(self) -> Simulation:
        """Suppress a rollback because the release is old and promoted, so it is not the cause of the alarm."""
        stage = Simulation()
        stage.ship("v0", PROMOTED, hours_ago=96)
        stage.ship("v1", PROMOTED, hours_ago=48)
        stage.healthy_versions = {"v0"}
        assert "not the release" in stage.run_alarm_rollback(DEGRADED).reason
        return stage

    def deploy(self, stage: Simulation) -> None:
        stage.begin_deployment("v2")
        stage.services.deploy(stage.arns["v2"], stage.clock.now())
        for _ in range(4):
            stage.services.tick()
        stage.services.calls.clear()

    def test_a_bad_deployment_is_rolled_back_under_an_alarm_that_stays_in_alarm(self) -> None:
        stage = self.suppressed()
        sweep_for(stage, 60)
        assert stage.changes() == []
        self.deploy(stage)
        names = sweep_for(stage, 60)
        assert len(names) == 1
        assert "update" in stage.changes()
        newest = next(stage.ledger.history(SERVICE))
        assert newest.plan is not None
        assert newest.plan.target is not None
        assert newest.plan.target.version == "v1"

    def test_a_deployment_gets_time_to_be_the_fix(self) -> None:
        stage = self.suppressed()
        sweep_for(stage, 60)
        self.deploy(stage)
        assert sweep_for(stage, 10) == []
        stage.alarms.recover(DEGRADED)
        assert sweep_for(stage, 60) == []

    def test_an_alarm_whose_rollback_an_operator_stopped_starts_no_other(self) -> None:
        stage = start_simulation()
        stage.healthy_versions.clear()
        rollback = stage.admit(stage.fire_alarm(DEGRADED))
        ended = {"outcome": Outcome.ABORTED, "reason": "by hand", "is_operator_abort": True}
        stage.ledger.save(stage.read(rollback).evolve(**ended))
        stage.run_to_end(rollback)
        self.deploy(stage)
        assert sweep_for(stage, 60) == []


class TestMutedAlarm:
    def test_a_muted_alarm_is_reported_once_and_is_evaluated_when_the_mute_rule_ends(self) -> None:
        stage = start_simulation()
        stage.healthy_versions.clear()
        stage.alarms.muted[DEGRADED] = ("release-night",)
        rollback = stage.run(stage.fire_alarm(DEGRADED))
        sweep_for(stage, 60)
        assert "muted by release-night" in stage.read(rollback).reason
        assert (stage.changes(), stage.severities()) == ([], ["info"])
        del stage.alarms.muted[DEGRADED]
        sweep_for(stage, 10)
        assert "update" in stage.changes()

    @pytest.mark.parametrize("failure", [ExternalServiceError("no answer"), CallRefused("denied")])
    def test_mute_rules_that_can_not_be_read_block_no_rollback(self, failure: Exception) -> None:
        stage = start_simulation()
        stage.alarms.mute_rules = raise_error(failure)  # type: ignore[method-assign]
        rollback = stage.run(stage.fire_alarm(OUTAGE))
        assert stage.check(rollback, "alarm-is-not-muted").verdict is Verdict.WARN
        assert "update" in stage.changes()

    def test_a_mute_rule_does_not_stop_an_operator(self) -> None:
        stage = start_simulation()
        stage.alarms.muted[DEGRADED] = ("release-night",)
        assert stage.run({}).outcome is Outcome.SUCCEEDED


class TestAlarmOfAnotherTargetGroup:
    def outage(self, *leaves: str, healthy: int = 2) -> Simulation:
        stage = start_simulation()
        stage.alarms.in_alarm.clear()
        stage.alarms.in_alarm.update(leaves)
        states = ["healthy"] * healthy + ["unhealthy"] * (2 - healthy)
        answer = tuple(TargetHealth(target=f"10.0.0.{n}:80", state=state) for n, state in enumerate(states))
        stage.world.targets.answers[TARGET_GROUP] = answer  # type: ignore[attr-defined]
        return stage

    def test_an_alarm_without_data_that_elb_contradicts_starts_no_emergency(self) -> None:
        stage = self.outage(NO_HEALTHY)
        rollback = stage.run(stage.fire_alarm(OUTAGE))
        assert rollback.outcome is Outcome.SUPPRESSED
        assert "the alarm watches other target groups" in rollback.reason
        assert rollback.recheck_at is not None
        assert (stage.changes(), stage.pages()) == ([], [])

    @pytest.mark.parametrize(
        ("leaves", "healthy"),
        [((NO_HEALTHY,), 0), ((NO_HEALTHY,), 1), ((NO_HEALTHY, NEAR_TOTAL), 2), ((NEAR_TOTAL,), 2), ((), 2)],
        ids=["no target is healthy", "one target is unhealthy", "errors too", "errors alone", "no leaf is known"],
    )
    def test_rule_11_an_outage_that_elb_does_not_contradict_starts_an_emergency(
        self, leaves: Any, healthy: int
    ) -> None:
        stage = self.outage(*leaves, healthy=healthy)
        stage.run(stage.fire_alarm(OUTAGE))
        assert "update" in stage.changes()

    def test_rule_11_an_elb_that_does_not_answer_mutes_no_outage(self) -> None:
        stage = self.outage(NO_HEALTHY)
        emergency_ports = FakeTargets(stage.services)
        emergency_ports.health = raise_error(ExternalServiceError("no answer"))  # type: ignore[method-assign]
        ports = {field.name: getattr(stage.world, field.name) for field in fields(OptionalPorts)}
        stage.replace(emergency_ports=lambda: OptionalPorts(**ports | {"targets": emergency_ports}))
        stage.run(stage.fire_alarm(OUTAGE))
        assert "update" in stage.changes()

    @pytest.mark.parametrize("event_came", [True, False], ids=["its event was suppressed", "no event came"])
    def test_an_alarm_of_another_target_group_mutes_no_other_alarm_of_the_service(self, event_came: bool) -> None:
        stage = self.outage(NO_HEALTHY)
        stage.healthy_versions.clear()
        stage.run(stage.fire_alarm(OUTAGE))
        sweep_for(stage, 30)
        if event_came:
            stage.alarms.muted[DEGRADED] = ("release-night",)
            stage.run(stage.fire_alarm(DEGRADED))
            sweep_for(stage, 15)
            del stage.alarms.muted[DEGRADED]
        else:
            stage.alarms.fire(DEGRADED, stage.clock.now())
        sweep_for(stage, 30)
        assert "update" in stage.changes()

    def roll_back_by_hand(self, *in_alarm: str) -> Any:
        """Roll back by hand while these alarms are in ALARM and stay there."""
        stage = self.outage(*in_alarm)
        stage.healthy_versions.clear()
        return stage, stage.run({})

    def test_an_alarm_of_another_target_group_fails_no_verification_for_ever(self) -> None:
        stage, rollback = self.roll_back_by_hand(NO_HEALTHY, OUTAGE)
        assert rollback.outcome is Outcome.SUCCEEDED
        check = next(c for c in rollback.verification.checks if c.name == "alarms")
        assert check.verdict is Verdict.SKIPPED
        assert "watches other target groups" in check.reason
        settle = timedelta(minutes=stage.world.settings.policy.alarm_settle_minutes)
        assert rollback.verification.passed_at - rollback.verification.started_at > settle

    @pytest.mark.parametrize(
        "in_alarm", [(NO_HEALTHY, OUTAGE, DEGRADED), (NEAR_TOTAL, OUTAGE), (NO_HEALTHY, NEAR_TOTAL, OUTAGE), (OUTAGE,)]
    )
    def test_an_alarm_that_elb_does_not_contradict_fails_the_verification(self, in_alarm: Any) -> None:
        _, rollback = self.roll_back_by_hand(*in_alarm)
        assert rollback.outcome is Outcome.FAILED

    def test_the_next_evaluation_acts_when_the_real_targets_fail_later(self) -> None:
        stage = self.outage(NO_HEALTHY)
        stage.healthy_versions.clear()
        stage.run(stage.fire_alarm(OUTAGE))
        unhealthy = tuple(TargetHealth(target=f"10.0.0.{n}:80", state="unhealthy") for n in range(2))
        stage.world.targets.answers[TARGET_GROUP] = unhealthy  # type: ignore[attr-defined]
        sweep_for(stage, 10)
        assert "update" in stage.changes()


def test_requests_that_can_not_be_counted_are_not_too_few() -> None:
    """CloudWatch refuses for a deleted target group and for a missing permission."""
    stage = start_simulation()
    stage.alarms.in_alarm.clear()
    stage.alarms.in_alarm.add(leaf_alarm(SETTINGS.prefix, SERVICE, "error-rate"))
    stage.alarms.requests_since = raise_error(CallRefused("gone"))  # type: ignore[method-assign]
    rollback = stage.run(stage.fire_alarm(DEGRADED))
    assert stage.check(rollback, "enough-traffic").verdict is Verdict.PASS
    assert "update" in stage.changes()


def test_each_night_at_zero_is_reported_once() -> None:
    stage = start_at_zero_by_the_team()
    for night in range(3):
        stage.run(stage.fire_alarm(OUTAGE), f"night-{night}")
        sweep_for(stage, 60)
        stage.alarms.recover(OUTAGE)
        sweep_for(stage, 10)
        stage.clock.pass_time(hours=20)
    assert stage.severities() == ["info"] * 3
    assert stage.clock.now() > NOW + timedelta(days=2)
