from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.alarms import FakeAlarms
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from simulations.fake_ports import DEGRADED, ECS_SERVICE_ARN, OUTAGE, make_ports
from simulations.service import PROMOTED, Simulation, start_simulation
from support.builders import NOW, SERVICE

from rollback.check import Verdict
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.workflow.admit import admit


def alarm_event(
    event_id: str = "e1", alarm: str = DEGRADED, before: str = "OK", minutes_ago: float = 0
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "time": (NOW - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resources": [f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{alarm}"],
        "detail": {
            "alarmName": alarm,
            "state": {"value": "ALARM", "reason": "Threshold Crossed"},
            "previousState": {"value": before},
        },
    }


def deployment_event(name: str, arn: str = ECS_SERVICE_ARN) -> dict[str, Any]:
    return {
        "id": "d1",
        "detail-type": "ECS Deployment State Change",
        "source": "aws.ecs",
        "time": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resources": [arn],
        "detail": {"eventName": name, "deploymentId": "ecs-svc/1", "reason": "tasks failed to start"},
    }


@dataclass
class Desk:
    """Fake ports that admit execution inputs at `NOW`."""

    ledger: FakeLedger = field(default_factory=FakeLedger)
    alarms: FakeAlarms = field(default_factory=lambda: FakeAlarms(DEGRADED, OUTAGE))
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    policy: Policy = field(default_factory=Policy)

    def admit(self, execution_input: object, execution: str = "execution-1") -> Rollback:
        ports = make_ports(self.policy, ledger=self.ledger, alarms=self.alarms, clock=self.clock)
        return admit(execution_input, execution, NOW, ports)


def test_an_alarm_is_admitted_with_the_lease() -> None:
    ports = Desk()
    admitted = ports.admit(alarm_event())
    lease = ports.ledger.lease(SERVICE)
    assert admitted.admitted_at == NOW
    assert lease is not None
    assert (lease.holder, lease.counter) == (admitted.id, admitted.lease_counter)


def test_two_alarms_within_a_second_cause_one_rollback_and_one_suppressed_record_with_a_recheck() -> None:
    ports = Desk()
    first_rollback = ports.admit(alarm_event("e1", DEGRADED), "execution-1")
    second_rollback = ports.admit(alarm_event("e2", DEGRADED), "execution-2")
    assert first_rollback.outcome is None
    assert second_rollback.outcome is Outcome.SUPPRESSED
    assert first_rollback.id in second_rollback.reason
    assert second_rollback.recheck_at == NOW + timedelta(minutes=ports.policy.recheck_minutes)
    assert len(list(ports.ledger.history(SERVICE))) == 2


def test_an_event_that_is_delivered_twice_is_suppressed_permanently() -> None:
    ports = Desk()
    ports.admit(alarm_event("e1"), "execution-1")
    second_rollback = ports.admit(alarm_event("e1"), "execution-2")
    assert second_rollback.outcome is Outcome.SUPPRESSED
    assert "duplicate" in second_rollback.reason
    assert second_rollback.recheck_at is None


def test_an_alarm_that_recovered_is_suppressed_without_a_lease() -> None:
    ports = Desk(alarms=FakeAlarms())
    assert "not in ALARM any more" in ports.admit(alarm_event()).reason
    assert ports.ledger.lease(SERVICE) is None


def test_rule_10_a_trigger_older_than_five_minutes_is_stale() -> None:
    assert "stale" in Desk().admit(alarm_event(minutes_ago=5.1)).reason
    assert Desk().admit(alarm_event(minutes_ago=4.9)).outcome is None


def test_an_alarm_from_insufficient_data_counts_only_if_the_policy_says_so() -> None:
    event = alarm_event(before="INSUFFICIENT_DATA")
    assert Desk().admit(event).outcome is Outcome.SUPPRESSED
    assert Desk(policy=Policy(on_insufficient_data_alarm="act")).admit(event).outcome is None


def test_a_failed_deployment_is_admitted_and_a_completed_deployment_is_not() -> None:
    simulation = start_simulation()
    simulation.begin_deployment("v3", "crashing")
    for _ in range(3):
        simulation.services.tick()
    assert simulation.admit(deployment_event("SERVICE_DEPLOYMENT_FAILED")).outcome is None
    assert Desk().admit(deployment_event("SERVICE_DEPLOYMENT_COMPLETED")).outcome is Outcome.SUPPRESSED


def service_action(event_id: str = "a1", seconds_later: float = 0) -> dict[str, Any]:
    """As in the ECS developer guide, "Service action events": no deployment is named."""
    at = NOW + timedelta(seconds=seconds_later)
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "ECS Service Action",
        "source": "aws.ecs",
        "account": "123456789012",
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "eu-west-1",
        "resources": [ECS_SERVICE_ARN],
        "detail": {
            "eventType": "ERROR",
            "eventName": "SERVICE_DEPLOYMENT_FAILED",
            "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/macro-ai-production-cluster",
            "createdAt": at.strftime("%Y-%m-%dT%H:%M:%S.695Z"),
        },
    }


def simulation_with_failed_deployment() -> Simulation:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2", "crashing")
    return simulation


def test_a_failure_that_comes_as_a_service_action_is_admitted() -> None:
    """If the circuit breaker is off, ECS sends no other event."""
    rollback = simulation_with_failed_deployment().admit(service_action())
    assert rollback.outcome is None
    assert rollback.trigger is Trigger.DEPLOYMENT_FAILED
    assert rollback.event is not None
    assert rollback.event.deployment_id is None


@pytest.mark.parametrize("name", ["SERVICE_STEADY_STATE", "SERVICE_TASK_PLACEMENT_FAILURE"])
def test_another_service_action_starts_nothing(name: str) -> None:
    event = service_action()
    event["detail"]["eventName"] = name
    assert simulation_with_failed_deployment().admit(event).outcome is Outcome.SUPPRESSED


@pytest.mark.parametrize("other_first", [False, True])
def test_two_events_about_one_failure_start_one_rollback(other_first: bool) -> None:
    simulation = simulation_with_failed_deployment()
    events = [deployment_event("SERVICE_DEPLOYMENT_FAILED"), service_action(seconds_later=1)]
    first_event, second_event = reversed(events) if other_first else events
    admitted = simulation.admit(first_event, "execution-1")
    simulation.clock.pass_time(minutes=0.1)
    second_rollback = simulation.admit(second_event, "execution-2")
    assert admitted.outcome is None
    assert (second_rollback.outcome, second_rollback.recheck_at) == (Outcome.SUPPRESSED, None)
    assert admitted.id in second_rollback.reason


def test_the_failure_of_another_deployment_is_another_failure() -> None:
    simulation = simulation_with_failed_deployment()
    simulation.admit(deployment_event("SERVICE_DEPLOYMENT_FAILED"), "execution-1")
    other_event = deployment_event("SERVICE_DEPLOYMENT_FAILED")
    other_event["id"], other_event["detail"]["deploymentId"] = "d2", "ecs-svc/2"
    simulation.clock.pass_time(minutes=0.1)
    second_rollback = simulation.admit(other_event, "execution-2")
    assert simulation.check(second_rollback, "failure-is-new").verdict is Verdict.PASS
    late_event = service_action("a2", seconds_later=150)
    simulation.clock.pass_time(minutes=3)
    assert simulation.check(simulation.admit(late_event, "execution-3"), "failure-is-new").verdict is Verdict.PASS


@pytest.mark.parametrize("is_first_named", [False, True])
@pytest.mark.parametrize("is_second_named", [False, True])
def test_a_deployment_that_began_and_failed_after_the_first_failure_is_another_failure(
    is_first_named: bool, is_second_named: bool
) -> None:
    """Both failures come within two minutes, and one of the events names no deployment."""
    simulation = simulation_with_failed_deployment()
    simulation.admit(_failure("1", 0, is_named=is_first_named), "execution-1")
    simulation.clock.pass_time(minutes=0.5)
    simulation.services.deploy(simulation.begin_deployment("v3", "crashing"), simulation.clock.now())
    simulation.clock.pass_time(minutes=1)
    late_rollback = simulation.admit(service_action("late", seconds_later=2), "execution-2")
    assert simulation.check(late_rollback, "failure-is-new").verdict is Verdict.FAIL
    second_rollback = simulation.admit(_failure("2", 80, is_named=is_second_named), "execution-3")
    assert simulation.check(second_rollback, "failure-is-new").verdict is Verdict.PASS


def test_a_rollback_s_own_deployment_is_no_new_failure() -> None:
    simulation = simulation_with_failed_deployment()
    first_rollback = simulation.admit(_failure("1", 0, is_named=True), "execution-1")
    simulation.clock.pass_time(seconds=2)
    while not simulation.changes():
        first_rollback = simulation.run_due_step(first_rollback)
    seconds_later = (simulation.clock.now() - NOW).total_seconds() + 1
    second_rollback = simulation.admit(service_action("late", seconds_later=seconds_later), "execution-2")
    assert simulation.check(second_rollback, "failure-is-new").verdict is Verdict.FAIL


def _failure(number: str, seconds_later: float, *, is_named: bool) -> dict[str, Any]:
    if not is_named:
        return service_action(f"a{number}", seconds_later)
    event = deployment_event("SERVICE_DEPLOYMENT_FAILED") | {"id": f"d{number}"}
    event["time"] = (NOW + timedelta(seconds=seconds_later)).isoformat()
    event["detail"]["deploymentId"] = f"ecs-svc/{number}"
    return event


def test_a_failed_deployment_that_ecs_does_not_confirm_is_suppressed() -> None:
    simulation = start_simulation()
    rollback = simulation.run(deployment_event("SERVICE_DEPLOYMENT_FAILED"))
    assert rollback.outcome is Outcome.SUPPRESSED
    assert "ECS knows of no failed deployment" in rollback.reason
    assert simulation.changes() == []


def test_an_event_of_a_failed_deployment_is_admitted_while_ecs_still_shows_the_deployment_in_flight() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2", "crashing")
    rollback = simulation.admit(deployment_event("SERVICE_DEPLOYMENT_FAILED"))
    assert rollback.outcome is None
    assert simulation.check(rollback, "deployment-failed").verdict is Verdict.WARN


@pytest.mark.parametrize(
    "execution_input",
    [
        {"type": "servcie"},
        alarm_event(alarm="somebody-else-s"),
        deployment_event("SERVICE_DEPLOYMENT_FAILED", ECS_SERVICE_ARN.replace("production-service", "worker")),
        {"detail-type": "CloudWatch Alarm State Change", "detail": {}},
        {"detail-type": "CloudWatch Alarm State Change", "detail": "text", "id": "e", "time": "2026-03-01T03:00:00Z"},
        {"detail-type": "Scheduled Event", "detail": {}, "id": "e", "time": "2026-03-01T03:00:00Z"},
    ],
)
def test_an_input_that_can_not_be_parsed_leaves_no_record(execution_input: object) -> None:
    ports = Desk()
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        ports.admit(execution_input)
    assert list(ports.ledger.history(SERVICE)) == []
    assert ports.ledger.lease(SERVICE) is None


def test_the_expired_lease_of_a_crashed_rollback_is_acquired() -> None:
    ports = Desk()
    first_rollback = ports.admit({}, "execution-1")
    ports.clock.pass_time(minutes=ports.policy.lease_minutes)
    second_rollback = ports.admit({}, "execution-2")
    assert second_rollback.outcome is None
    assert second_rollback.lease_counter is not None
    assert first_rollback.lease_counter is not None
    assert second_rollback.lease_counter > first_rollback.lease_counter
