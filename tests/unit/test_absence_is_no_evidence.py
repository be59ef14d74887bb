"""Absence of evidence is no fault of a release.

A team may scale a service to zero. An alarm may lack data, be muted or watch the wrong target group. An answer expires.
"""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.alarms import TARGET_GROUP
from fakes.aws.elb import FakeTargetGroups
from faults.scenarios.database_endings import raise_error
from simulations.fake_ports import DEGRADED, OUTAGE, SETTINGS
from simulations.service import CANDIDATE, PROMOTED, Simulation, alarm_event, start_simulation
from support.builders import NOW, SERVICE

from rollback.check import Verdict
from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError
from rollback.names import leaf_alarm
from rollback.ports.all_ports import OptionalPorts
from rollback.promotion.promote import adopt_running_releases
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import TargetHealth
from rollback.workflow.janitor import sweep
from rollback.workflow.route import Step

NO_HEALTHY = leaf_alarm(SETTINGS.prefix, SERVICE, "no-healthy-targets")
NEAR_TOTAL = leaf_alarm(SETTINGS.prefix, SERVICE, "near-total-errors")


def sweep_for(simulation: Simulation, minutes: int) -> list[str]:
    """Run the janitor every five minutes and each execution that the janitor starts; return their names."""
    names = []
    for _ in range(minutes // 5):
        simulation.pass_time(minutes=5)
        sweep(simulation.ports)
        while simulation.workflow.started:
            name, execution_input = simulation.workflow.started.pop(0)
            names.append(name)
            simulation.run(execution_input, name)
    return names


def start_at_zero_by_the_team(**parts: Any) -> Simulation:
    """Ship v1, promoted, and v2; the team scales the service to zero, before the outage alarm turns to ALARM."""
    simulation = start_simulation(**parts)
    simulation.alarms.in_alarm.clear()
    simulation.healthy_versions.clear()
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.desired_count = 0
    for _ in range(3):
        simulation.pass_time(seconds=10)
    simulation.services.calls.clear()
    return simulation


class TestServiceAtZeroByTheTeam:
    def test_a_night_at_zero_changes_nothing_marks_no_release_pages_no_operator_and_is_reported_once(self) -> None:
        simulation = start_at_zero_by_the_team()
        rollback = simulation.run(simulation.fire_alarm(OUTAGE))
        sweep_for(simulation, 8 * 60)
        assert rollback.outcome is Outcome.SUPPRESSED
        assert "is 0, and no rollback set it to 0" in rollback.reason
        assert simulation.changes() == []
        assert simulation.state_of("v2") is ReleaseState.CANDIDATE
        assert simulation.severities() == ["info"]
        assert len(list(simulation.ledger.history(SERVICE))) == 1

    def test_an_old_promoted_release_at_zero_pages_no_operator(self) -> None:
        simulation = Simulation()
        simulation.ship("v1", PROMOTED, hours_ago=48)
        simulation.services.desired_count = 0
        rollback = simulation.run(simulation.fire_alarm(OUTAGE))
        assert rollback.outcome is Outcome.SUPPRESSED
        assert rollback.recheck_at is not None
        assert simulation.pages() == []

    def test_a_service_that_does_not_start_in_the_morning_is_rolled_back_after_a_delay(self) -> None:
        simulation = start_at_zero_by_the_team()
        rollback = simulation.run(simulation.fire_alarm(OUTAGE))
        sweep_for(simulation, 60)
        simulation.services.desired_count = 2
        sweep_for(simulation, 5)
        assert "again, after 0 at" in simulation.read(rollback).reason
        assert simulation.changes() == []
        sweep_for(simulation, 10)
        assert "update" in simulation.changes()

    def test_no_rollback_starts_for_a_service_that_starts_in_the_morning(self) -> None:
        simulation = start_at_zero_by_the_team()
        rollback = simulation.run(simulation.fire_alarm(OUTAGE))
        sweep_for(simulation, 60)
        simulation.services.desired_count = 2
        simulation.alarms.recover(OUTAGE)
        assert sweep_for(simulation, 60) == []
        assert simulation.changes() == []
        assert simulation.read(rollback).recheck_at is None

    def test_an_operator_may_start_an_emergency_of_a_service_at_zero(self) -> None:
        simulation = start_at_zero_by_the_team()
        simulation.run({"type": "emergency"})
        assert "update" in simulation.changes()

    def test_a_degraded_alarm_starts_no_task_of_a_service_at_zero(self) -> None:
        simulation = start_at_zero_by_the_team()
        assert simulation.run(simulation.fire_alarm(DEGRADED)).outcome is Outcome.SUPPRESSED
        assert simulation.changes() == []

    def test_a_service_at_zero_promotes_no_release(self) -> None:
        simulation = start_at_zero_by_the_team(policy=Policy(bake_minimum_requests=0))
        for _ in range(8):
            simulation.pass_time(minutes=5)
            adopt_running_releases(simulation.ports)
        assert simulation.state_of("v2") is CANDIDATE

    def test_a_service_scaled_to_zero_before_its_verification_is_reported_and_not_started_again(self) -> None:
        simulation = start_simulation()
        rollback = simulation.run_until(simulation.admit(), Step.VERIFY)
        simulation.services.desired_count = 0
        simulation.services.calls.clear()
        concluded_rollback = simulation.run_to_end(rollback)
        assert concluded_rollback.outcome is Outcome.FAILED
        assert "was set to 0 during the rollback" in concluded_rollback.reason
        assert simulation.services.desired_count == 0
        assert simulation.state_of("v2") is ReleaseState.SUSPECT

    @pytest.mark.parametrize("rounds", range(6))
    @pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
    def test_a_service_scaled_to_zero_during_a_rollback_is_reported_and_not_started_again(
        self, rounds: int, alarm: str
    ) -> None:
        simulation = start_simulation()
        rollback = simulation.run_until(simulation.admit(simulation.fire_alarm(alarm)), Step.SERVICE)
        for _ in range(rounds):
            rollback = simulation.run_due_step(rollback)
        simulation.services.desired_count = 0
        simulation.services.calls.clear()
        concluded_rollback = simulation.run_to_end(rollback)
        assert concluded_rollback.outcome is Outcome.FAILED
        assert "was set to 0 during the rollback" in concluded_rollback.reason
        assert simulation.services.desired_count == 0
        assert not [arguments for _, arguments in simulation.services.calls if arguments.get("desired_count")]
        assert len(simulation.pages()) == 1


class TestAlarmThatWasNeverOk:
    @pytest.mark.parametrize("event_came", [True, False], ids=["its event came", "it was created before the rule"])
    def test_the_janitor_follows_the_setting_for_alarms_without_data(self, event_came: bool) -> None:
        simulation = start_simulation()
        simulation.alarms.in_alarm.clear()
        simulation.healthy_versions.clear()
        simulation.alarms.fire(OUTAGE, NOW, before="INSUFFICIENT_DATA")
        if event_came:
            event = alarm_event("created", OUTAGE)
            event["detail"]["previousState"]["value"] = "INSUFFICIENT_DATA"
            simulation.run(event)
        names = sweep_for(simulation, 120)
        assert len(names) == (0 if event_came else 1)
        assert simulation.changes() == []
        assert simulation.severities() == ["info"]

    @pytest.mark.parametrize("history_is_kept", [True, False])
    @pytest.mark.parametrize("event_came", [True, False])
    def test_an_alarm_that_was_never_ok_rolls_no_later_deployment_back(
        self, event_came: bool, history_is_kept: bool
    ) -> None:
        """A log pattern that always matches would undo each deployment. CloudWatch keeps its history for 30 days."""
        simulation = start_simulation()
        simulation.alarms.in_alarm.clear()
        simulation.healthy_versions.clear()
        simulation.alarms.fire(DEGRADED, NOW, before="INSUFFICIENT_DATA")
        if event_came:
            event = alarm_event("created", DEGRADED)
            event["detail"]["previousState"]["value"] = "INSUFFICIENT_DATA"
            simulation.run(event)
        sweep_for(simulation, 60)
        if not history_is_kept:
            simulation.alarms.state_before = lambda *_: None  # type: ignore[method-assign]
        for version in ("v3", "v4"):
            simulation.begin_deployment(version)
            simulation.services.deploy(simulation.arns[version], simulation.clock.now())
            for _ in range(4):
                simulation.services.tick()
            simulation.services.calls.clear()
            sweep_for(simulation, 120)
            assert simulation.changes() == []
        assert simulation.pages() == []

    def test_an_alarm_that_was_never_ok_starts_a_rollback_where_the_setting_is_act(self) -> None:
        simulation = start_simulation(policy=Policy(on_insufficient_data_alarm="act"))
        simulation.alarms.in_alarm.clear()
        simulation.alarms.fire(OUTAGE, NOW, before="INSUFFICIENT_DATA")
        sweep_for(simulation, 10)
        assert "update" in simulation.changes()

    def test_an_alarm_history_that_can_not_be_read_mutes_no_outage(self) -> None:
        simulation = start_simulation()
        simulation.alarms.in_alarm.clear()
        simulation.alarms.fire(OUTAGE, NOW, before="INSUFFICIENT_DATA")
        simulation.alarms.state_before = raise_error(ExternalServiceError("no answer"))  # type: ignore[method-assign]
        sweep_for(simulation, 10)
        assert "update" in simulation.changes()


class TestAnswerExpires:
    def suppressed(self) -> Simulation:
        """Suppress a rollback because the release is old and promoted, so it is not the cause of the alarm."""
        simulation = Simulation()
        simulation.ship("v0", PROMOTED, hours_ago=96)
        simulation.ship("v1", PROMOTED, hours_ago=48)
        simulation.healthy_versions = {"v0"}
        assert "not the release" in simulation.run_alarm_rollback(DEGRADED).reason
        return simulation

    def deploy(self, simulation: Simulation) -> None:
        simulation.begin_deployment("v2")
        simulation.services.deploy(simulation.arns["v2"], simulation.clock.now())
        for _ in range(4):
            simulation.services.tick()
        simulation.services.calls.clear()

    def test_a_bad_deployment_is_rolled_back_under_an_alarm_that_stays_in_alarm(self) -> None:
        simulation = self.suppressed()
        sweep_for(simulation, 60)
        assert simulation.changes() == []
        self.deploy(simulation)
        names = sweep_for(simulation, 60)
        assert len(names) == 1
        assert "update" in simulation.changes()
        newest = next(simulation.ledger.history(SERVICE))
        assert newest.plan is not None
        assert newest.plan.target is not None
        assert newest.plan.target.version == "v1"

    def test_a_new_deployment_gets_time_to_end_the_outage(self) -> None:
        simulation = self.suppressed()
        sweep_for(simulation, 60)
        self.deploy(simulation)
        assert sweep_for(simulation, 10) == []
        simulation.alarms.recover(DEGRADED)
        assert sweep_for(simulation, 60) == []

    def test_an_alarm_whose_rollback_an_operator_stopped_starts_no_other(self) -> None:
        simulation = start_simulation()
        simulation.healthy_versions.clear()
        rollback = simulation.admit(simulation.fire_alarm(DEGRADED))
        fields = {"outcome": Outcome.ABORTED, "reason": "by hand", "is_operator_abort": True}
        simulation.ledger.save(simulation.read(rollback).evolve(**fields))
        simulation.run_to_end(rollback)
        self.deploy(simulation)
        assert sweep_for(simulation, 60) == []


class TestMutedAlarm:
    def test_a_muted_alarm_is_reported_once_and_is_evaluated_when_the_mute_rule_ends(self) -> None:
        simulation = start_simulation()
        simulation.healthy_versions.clear()
        simulation.alarms.muted[DEGRADED] = ("release-night",)
        rollback = simulation.run(simulation.fire_alarm(DEGRADED))
        sweep_for(simulation, 60)
        assert "muted by release-night" in simulation.read(rollback).reason
        assert (simulation.changes(), simulation.severities()) == ([], ["info"])
        del simulation.alarms.muted[DEGRADED]
        sweep_for(simulation, 10)
        assert "update" in simulation.changes()

    @pytest.mark.parametrize("failure", [ExternalServiceError("no answer"), CallRefused("denied")])
    def test_mute_rules_that_can_not_be_read_block_no_rollback(self, failure: Exception) -> None:
        simulation = start_simulation()
        simulation.alarms.mute_rules = raise_error(failure)  # type: ignore[method-assign]
        rollback = simulation.run(simulation.fire_alarm(OUTAGE))
        assert simulation.check(rollback, "alarm-is-not-muted").verdict is Verdict.WARN
        assert "update" in simulation.changes()

    def test_a_mute_rule_does_not_stop_an_operator(self) -> None:
        simulation = start_simulation()
        simulation.alarms.muted[DEGRADED] = ("release-night",)
        assert simulation.run({}).outcome is Outcome.SUCCEEDED


class TestAlarmOfAnotherTargetGroup:
    def outage(self, *leaves: str, healthy: int = 2) -> Simulation:
        simulation = start_simulation()
        simulation.alarms.in_alarm.clear()
        simulation.alarms.in_alarm.update(leaves)
        states = ["healthy"] * healthy + ["unhealthy"] * (2 - healthy)
        answer = tuple(TargetHealth(target=f"10.0.0.{n}:80", state=state) for n, state in enumerate(states))
        simulation.ports.target_groups.answers[TARGET_GROUP] = answer  # type: ignore[attr-defined]
        return simulation

    def test_an_alarm_without_data_that_elb_contradicts_starts_no_emergency(self) -> None:
        simulation = self.outage(NO_HEALTHY)
        rollback = simulation.run(simulation.fire_alarm(OUTAGE))
        assert rollback.outcome is Outcome.SUPPRESSED
        assert "the alarm watches other target groups" in rollback.reason
        assert rollback.recheck_at is not None
        assert (simulation.changes(), simulation.pages()) == ([], [])

    @pytest.mark.parametrize(
        ("leaves", "healthy"),
        [((NO_HEALTHY,), 0), ((NO_HEALTHY,), 1), ((NO_HEALTHY, NEAR_TOTAL), 2), ((NEAR_TOTAL,), 2), ((), 2)],
        ids=["no target is healthy", "one target is unhealthy", "errors too", "errors alone", "no leaf is known"],
    )
    def test_rule_11_an_outage_that_elb_does_not_contradict_starts_an_emergency(
        self, leaves: Any, healthy: int
    ) -> None:
        simulation = self.outage(*leaves, healthy=healthy)
        simulation.run(simulation.fire_alarm(OUTAGE))
        assert "update" in simulation.changes()

    def test_rule_11_an_elb_that_does_not_answer_mutes_no_outage(self) -> None:
        simulation = self.outage(NO_HEALTHY)
        emergency_ports = FakeTargetGroups(simulation.services)
        emergency_ports.health = raise_error(ExternalServiceError("no answer"))  # type: ignore[method-assign]
        ports = {field.name: getattr(simulation.ports, field.name) for field in fields(OptionalPorts)}
        simulation.replace(emergency_ports=lambda: OptionalPorts(**ports | {"target_groups": emergency_ports}))
        simulation.run(simulation.fire_alarm(OUTAGE))
        assert "update" in simulation.changes()

    @pytest.mark.parametrize("event_came", [True, False], ids=["its event was suppressed", "no event came"])
    def test_an_alarm_of_another_target_group_mutes_no_other_alarm_of_the_service(self, event_came: bool) -> None:
        simulation = self.outage(NO_HEALTHY)
        simulation.healthy_versions.clear()
        simulation.run(simulation.fire_alarm(OUTAGE))
        sweep_for(simulation, 30)
        if event_came:
            simulation.alarms.muted[DEGRADED] = ("release-night",)
            simulation.run(simulation.fire_alarm(DEGRADED))
            sweep_for(simulation, 15)
            del simulation.alarms.muted[DEGRADED]
        else:
            simulation.alarms.fire(DEGRADED, simulation.clock.now())
        sweep_for(simulation, 30)
        assert "update" in simulation.changes()

    def roll_back_by_operator(self, *in_alarm: str) -> Any:
        """Start a rollback as an operator while these alarms stay in ALARM."""
        simulation = self.outage(*in_alarm)
        simulation.healthy_versions.clear()
        return simulation, simulation.run({})

    def test_an_alarm_of_another_target_group_fails_no_verification_permanently(self) -> None:
        simulation, rollback = self.roll_back_by_operator(NO_HEALTHY, OUTAGE)
        assert rollback.outcome is Outcome.SUCCEEDED
        check = next(alarm_check for alarm_check in rollback.verification.checks if alarm_check.name == "alarms-are-ok")
        assert check.verdict is Verdict.SKIPPED
        assert "watches other target groups" in check.reason
        settle = timedelta(minutes=simulation.ports.settings.policy.alarm_settle_minutes)
        assert rollback.verification.passed_at - rollback.verification.started_at > settle

    @pytest.mark.parametrize(
        "in_alarm", [(NO_HEALTHY, OUTAGE, DEGRADED), (NEAR_TOTAL, OUTAGE), (NO_HEALTHY, NEAR_TOTAL, OUTAGE), (OUTAGE,)]
    )
    def test_an_alarm_that_elb_does_not_contradict_fails_the_verification(self, in_alarm: Any) -> None:
        _, rollback = self.roll_back_by_operator(*in_alarm)
        assert rollback.outcome is Outcome.FAILED

    def test_the_next_evaluation_acts_when_the_real_targets_fail_later(self) -> None:
        simulation = self.outage(NO_HEALTHY)
        simulation.healthy_versions.clear()
        simulation.run(simulation.fire_alarm(OUTAGE))
        unhealthy = tuple(TargetHealth(target=f"10.0.0.{n}:80", state="unhealthy") for n in range(2))
        simulation.ports.target_groups.answers[TARGET_GROUP] = unhealthy  # type: ignore[attr-defined]
        sweep_for(simulation, 10)
        assert "update" in simulation.changes()


def test_requests_that_can_not_be_counted_are_not_too_few() -> None:
    """CloudWatch refuses for a deleted target group and for a missing permission."""
    simulation = start_simulation()
    simulation.alarms.in_alarm.clear()
    simulation.alarms.in_alarm.add(leaf_alarm(SETTINGS.prefix, SERVICE, "error-rate"))
    simulation.alarms.requests_since = raise_error(CallRefused("gone"))  # type: ignore[method-assign]
    rollback = simulation.run(simulation.fire_alarm(DEGRADED))
    assert simulation.check(rollback, "enough-traffic").verdict is Verdict.PASS
    assert "update" in simulation.changes()


def test_each_period_of_a_service_at_zero_tasks_is_reported_once() -> None:
    simulation = start_at_zero_by_the_team()
    for night in range(3):
        simulation.run(simulation.fire_alarm(OUTAGE), f"night-{night}")
        sweep_for(simulation, 60)
        simulation.alarms.recover(OUTAGE)
        sweep_for(simulation, 10)
        simulation.clock.pass_time(hours=20)
    assert simulation.severities() == ["info"] * 3
    assert simulation.clock.now() > NOW + timedelta(days=2)
