"""Crashes of an emergency, a take-over and every escalation level before and after every external call."""

from collections.abc import Callable

import pytest
from fakes.aws.ecs_services import FakeServices
from fakes.aws.step_functions import execution_arn
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.service import EVENT, Incident, kills_of
from simulations.fake_ports import DEGRADED, OUTAGE
from support.builders import SERVICE, image, release

from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.workflow.admit import admit
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

OUTAGE_EVENT = {**EVENT, "id": "e2", "detail": {**EVENT["detail"], "alarmName": OUTAGE}}  # type: ignore[dict-item]
TAKEN_OVER_EXECUTION = execution_arn("execution-0")
SUSPENDED = {**dict.fromkeys(SCALING_FLAGS, False), "ScheduledScalingSuspended": True}
SCALED = ScalableTarget(min_capacity=2, max_capacity=10, suspended=SUSPENDED)
LONG_POLLS = Policy(
    bake_minutes=1,
    poll_seconds=60,
    service_timeout_minutes=3,
    emergency_timeout_minutes=3,
    stuck_minutes=2,
    verify_interval_seconds=60,
)


def outage(outside: FaultInjector) -> tuple[Incident, object]:
    """Emergency from the standing plan."""
    incident = Incident(outside)
    prepare_standing_plan(SERVICE, incident.real)
    incident.alarms.fire(OUTAGE, incident.clock.now())
    incident.services.calls.clear()
    return incident, OUTAGE_EVENT


def take_over(outside: FaultInjector) -> tuple[Incident, object]:
    """Emergency that takes over a service rollback, which has sent its update and whose execution runs."""
    incident = Incident(outside)
    first = admit(EVENT, TAKEN_OVER_EXECUTION, incident.clock.now(), incident.real)
    for step in (Step.PLAN, Step.SERVICE):
        run_step(first.id, step, incident.real)
    incident.workflow.running.add(TAKEN_OVER_EXECUTION)
    incident.alarms.fire(OUTAGE, incident.clock.now())
    return incident, OUTAGE_EVENT


def restart_from_zero(outside: FaultInjector) -> tuple[Incident, object]:
    """Rollback whose tasks become healthy only after all tasks were stopped once."""
    incident = Incident(outside, policy=LONG_POLLS)
    incident.scaling.target = SCALED
    incident.services.default_behaviour = "stale"
    return incident, EVENT


class ServicesWithoutV1(FakeServices):
    """ECS where no task of v1 starts from any definition: its image was deleted after the last readiness check."""

    def tick(self) -> None:
        for arn, task_definition in self._definitions.items():
            if task_definition["containerDefinitions"][0]["image"] == image("v1"):
                self.behaviours[arn] = "crashing"
        super().tick()


def next_target(outside: FaultInjector) -> tuple[Incident, object]:
    """Outage in which v1 can't start: the rollback takes v0, promoted before v1, and stops no task."""
    incident = Incident(outside, policy=LONG_POLLS, older=("v0",), good="v0")
    prepare_standing_plan(SERVICE, incident.real)
    incident.services.__class__ = ServicesWithoutV1
    incident.services.default_behaviour = "healthy"
    bad = next(r for r in incident.ledger.releases(SERVICE) if r.version == "v3")
    incident.services.behaviours[bad.definition_arn] = "unhealthy"
    incident.alarms.fire(OUTAGE, incident.clock.now())
    incident.services.calls.clear()
    return incident, OUTAGE_EVENT


SCENARIOS: tuple[Callable[[FaultInjector], tuple[Incident, object]], ...] = (
    outage,
    take_over,
    restart_from_zero,
    next_target,
)


def assert_concluded_by_the_rules(incident: Incident, scenario: object) -> None:
    for rollback in incident.documents():
        assert rollback.concluded_at is not None, f"{rollback.id} was never concluded"
        assert rollback.outcome is not None
        assert rollback.open_obligations() == ()
    lease = incident.ledger.lease(SERVICE)
    assert lease is None or lease.expires_at <= incident.clock.now()
    assert incident.services.desired_count >= 2, "the service was left at zero tasks"
    handed = {o.kind for r in incident.documents() for o in r.obligations if o.handed_to == "operator"}
    paged = any(notification.attributes["severity"] == "page" for notification in incident.notifications.sent)
    not_put_back = {"scaling"} if scenario is restart_from_zero and incident.scaling.target != SCALED else set()
    if incident.services.deployment_configuration != incident.before:
        not_put_back.add("deployment_configuration")
    assert not_put_back <= handed
    assert paged or not not_put_back
    quarantined = [r.definition_arn for r in incident.ledger.releases(SERVICE) if r.state is ReleaseState.QUARANTINED]
    assert not set(incident.deployed_definitions()) & set(quarantined)
    assert incident.running_fingerprint() == good(incident) or paged, "the bad release runs, and no operator was paged"
    if scenario is next_target:
        assert all(arguments.get("desired_count", 1) > 0 for _, arguments in incident.services.calls), (
            "all tasks were stopped"
        )


def good(incident: Incident) -> str:
    return release(incident.good).fingerprint


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_rollback_without_a_crash_succeeds(scenario: Callable[[FaultInjector], tuple[Incident, object]]) -> None:
    incident, event = scenario(FaultInjector())
    incident.deliver("execution-1", event)
    incident.sweep_until_quiet(hours=1)
    acted = [r for r in incident.documents() if r.outcome is Outcome.SUCCEEDED]
    assert len(acted) == 1
    assert_concluded_by_the_rules(incident, scenario)
    assert incident.running_fingerprint() == good(incident)


@pytest.mark.parametrize(("scenario", "kill_at", "after"), kills_of(SCENARIOS))
@pytest.mark.parametrize("retries", [True, False], ids=["retried", "lost"])
def test_a_rollback_killed_at_any_call_is_concluded_by_the_rules(
    scenario: Callable[[FaultInjector], tuple[Incident, object]], kill_at: int, after: int, retries: bool
) -> None:
    incident, event = scenario(FaultInjector(kill_at, after=bool(after)))
    if retries:
        incident.deliver("execution-1", event)
    else:
        with pytest.raises(ProcessKilled):
            incident.deliver("execution-1", event, retries=False)
    if scenario is take_over:
        incident.workflow.running.discard(TAKEN_OVER_EXECUTION)  # its execution was stopped, or ended by the lost lease
    incident.sweep_until_quiet(hours=2)
    assert_concluded_by_the_rules(incident, scenario)
    if retries:
        assert incident.running_fingerprint() == good(incident)
        assert DEGRADED not in incident.alarms.in_alarm
