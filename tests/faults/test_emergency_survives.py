"""Emergency, take-over and the whole ladder, killed before and after every external call."""

from collections.abc import Callable

import pytest
from builders import SERVICE, image, release
from fakes import FakeServices, execution_arn
from worlds import DEGRADED, OUTAGE

from faults.crash import FaultInjector, ProcessKilled, crash_points
from faults.scenario import EVENT, Incident
from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.workflow.admit import admit
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

OUTAGE_EVENT = {**EVENT, "id": "e2", "detail": {**EVENT["detail"], "alarmName": OUTAGE}}  # type: ignore[dict-item]
TAKEN_OVER = execution_arn("execution-0")
SUSPENDED = {**dict.fromkeys(SCALING_FLAGS, False), "ScheduledScalingSuspended": True}
SCALED = ScalableTarget(min_capacity=2, max_capacity=10, suspended=SUSPENDED)
PATIENT = Policy(
    bake_minutes=1,
    poll_seconds=60,
    service_timeout_minutes=3,
    emergency_timeout_minutes=3,
    stuck_minutes=2,
    verify_interval_seconds=60,
)


def outage(outside: FaultInjector) -> tuple[Incident, object]:
    """From the standing plan."""
    incident = Incident(outside)
    prepare_standing_plan(SERVICE, incident.real)
    incident.alarms.fire(OUTAGE, incident.clock.now())
    incident.services.calls.clear()
    return incident, OUTAGE_EVENT


def taken_over(outside: FaultInjector) -> tuple[Incident, object]:
    """A plain rollback has sent its update, and its execution runs; then the outage."""
    incident = Incident(outside)
    first = admit(EVENT, TAKEN_OVER, incident.clock.now(), incident.real)
    for step in (Step.PLAN, Step.SERVICE):
        run_step(first.id, step, incident.real)
    incident.workflow.running.add(TAKEN_OVER)
    incident.alarms.fire(OUTAGE, incident.clock.now())
    return incident, OUTAGE_EVENT


def from_zero(outside: FaultInjector) -> tuple[Incident, object]:
    """Nothing becomes healthy before all tasks were stopped once."""
    incident = Incident(outside, policy=PATIENT)
    incident.scaling.target = SCALED
    incident.services.default_behaviour = "stale"
    return incident, EVENT


class Crashing(FakeServices):
    """Tasks of v1 don't start, whichever definition they are of: its image is gone, and readiness did not know yet."""

    def tick(self) -> None:
        for arn, made in self._definitions.items():
            if made["containerDefinitions"][0]["image"] == image("v1"):
                self.behaviours[arn] = "crashing"
        super().tick()


def next_target(outside: FaultInjector) -> tuple[Incident, object]:
    """v1 can't be started, and nothing serves: v0, promoted before it, is taken, and no task is stopped for that."""
    incident = Incident(outside, policy=PATIENT, older=("v0",), good="v0")
    prepare_standing_plan(SERVICE, incident.real)
    incident.services.__class__ = Crashing
    incident.services.default_behaviour = "healthy"
    bad = next(r for r in incident.ledger.releases(SERVICE) if r.version == "v3")
    incident.services.behaviours[bad.definition_arn] = "unhealthy"
    incident.alarms.fire(OUTAGE, incident.clock.now())
    incident.services.calls.clear()
    return incident, OUTAGE_EVENT


SCENARIOS: tuple[Callable[[FaultInjector], tuple[Incident, object]], ...] = (outage, taken_over, from_zero, next_target)


def kills() -> list[object]:
    """Before the first call and after each: what is outside is the same after one call and before the next."""
    found: list[object] = []
    for scenario in SCENARIOS:
        incident, event = scenario(FaultInjector())
        incident.deliver("execution-1", event)
        for at, after in crash_points(incident.outside.calls):
            found.append(pytest.param(scenario, at, after, id=f"{scenario.__name__}-{at}-{after}"))
    return found


def assert_concluded_by_the_rules(incident: Incident, scenario: object) -> None:
    for rollback in incident.documents():
        assert rollback.concluded_at is not None, f"{rollback.id} never concluded"
        assert rollback.outcome is not None
        assert rollback.open_obligations() == ()
    lease = incident.ledger.lease(SERVICE)
    assert lease is None or lease.expires_at <= incident.clock.now()
    assert incident.services.desired_count >= 2, "left at zero"
    handed = {o.kind for r in incident.documents() for o in r.obligations if o.handed_to == "operator"}
    paged = any(sent.attributes["severity"] == "page" for sent in incident.notifications.sent)
    not_put_back = {"scaling"} if scenario is from_zero and incident.scaling.target != SCALED else set()
    if incident.services.deployment_configuration != incident.before:
        not_put_back.add("deployment_configuration")
    assert not_put_back <= handed
    assert paged or not not_put_back
    quarantined = [r.definition_arn for r in incident.ledger.releases(SERVICE) if r.state is ReleaseState.QUARANTINED]
    assert not set(incident.deployed_definitions()) & set(quarantined)
    assert incident.running_fingerprint() == good(incident) or paged, "neither put right nor told anybody"
    if scenario is next_target:
        assert all(given.get("desired_count", 1) > 0 for _, given in incident.services.calls), "stopped all tasks"


def good(incident: Incident) -> str:
    return release(incident.good).fingerprint


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_undisturbed_it_succeeds(scenario: Callable[[FaultInjector], tuple[Incident, object]]) -> None:
    incident, event = scenario(FaultInjector())
    incident.deliver("execution-1", event)
    incident.sweep_until_quiet(hours=1)
    acted = [r for r in incident.documents() if r.outcome is Outcome.SUCCEEDED]
    assert len(acted) == 1
    assert_concluded_by_the_rules(incident, scenario)
    assert incident.running_fingerprint() == good(incident)


@pytest.mark.parametrize(("scenario", "kill_at", "after"), kills())
@pytest.mark.parametrize("retries", [True, False], ids=["retried", "lost"])
def test_killed_at_any_call_it_is_concluded_by_the_rules(
    scenario: Callable[[FaultInjector], tuple[Incident, object]], kill_at: int, after: int, retries: bool
) -> None:
    incident, event = scenario(FaultInjector(kill_at, after=bool(after)))
    if retries:
        incident.deliver("execution-1", event)
    else:
        with pytest.raises(ProcessKilled):
            incident.deliver("execution-1", event, retries=False)
    if scenario is taken_over:
        incident.workflow.running.discard(TAKEN_OVER)  # stopped, or run into the lost lease by now
    incident.sweep_until_quiet(hours=2)
    assert_concluded_by_the_rules(incident, scenario)
    if retries:
        assert incident.running_fingerprint() == good(incident)
        assert DEGRADED not in incident.alarms.in_alarm
