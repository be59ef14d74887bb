"""Crashes of a promotion, of ECS's own rollback and of a deployment in flight, at every external call."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled, crash_points
from faults.scenarios.service import EVENT, Incident, kills_of
from simulations.fake_ports import DEGRADED
from simulations.service import deployment_event
from support.builders import NOW, SERVICE, definition, release

from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome
from rollback.promotion.promote import NextState, adopt_running_releases, judge_bake, record_deployment

V1 = release("v1").fingerprint


def deploy_v3_over_v1(outside: FaultInjector, *, crashing: bool) -> Incident:
    """Run v1 again, as its team deployed it; v3 is being deployed, or ECS has begun to roll it back."""
    incident = Incident(outside)
    v3 = next(incident.ledger.releases(SERVICE)).definition_arn
    incident.services.run(
        incident.services.register_release(definition("v1"), "macro-ai-production-task"), created_at=NOW
    )
    incident.services.deploy(v3, NOW - timedelta(minutes=2))  # before the alarm turned to ALARM
    if crashing:
        incident.services.behaviours[v3] = "crashing"
        for _ in range(3):
            incident.services.tick()
    incident.services.calls.clear()
    return incident


def failed_deployment(outside: FaultInjector) -> tuple[Incident, object]:
    return deploy_v3_over_v1(outside, crashing=True), deployment_event()


def in_flight(outside: FaultInjector) -> tuple[Incident, object]:
    return deploy_v3_over_v1(outside, crashing=False), EVENT


SCENARIOS: tuple[Callable[[FaultInjector], tuple[Incident, object]], ...] = (failed_deployment, in_flight)


@pytest.mark.parametrize(("scenario", "kill_at", "after"), kills_of(SCENARIOS))
@pytest.mark.parametrize("retries", [True, False], ids=["retried", "lost"])
def test_a_rollback_killed_at_any_call_is_concluded_and_deploys_nothing_beside_ecs(
    scenario: Callable[[FaultInjector], tuple[Incident, object]], kill_at: int, after: int, retries: bool
) -> None:
    incident, event = scenario(FaultInjector(kill_at, after=bool(after)))
    if retries:
        incident.deliver("execution-1", event)
        assert [r.outcome for r in incident.documents()] == [Outcome.SUCCEEDED]
    else:
        with pytest.raises(ProcessKilled):
            incident.deliver("execution-1", event, retries=False)
        incident.sweep_until_quiet(hours=1)
    assert all(r.concluded_at is not None and not r.open_obligations() for r in incident.documents())
    assert sum(r.has_acted for r in incident.documents()) <= 1
    if retries:
        assert incident.deployed_definitions() == []
        assert incident.running_fingerprint() == V1
    if scenario is failed_deployment:
        assert not any(name == "stop_deployment" for name, _ in incident.services.calls)


def start_promotion(outside: FaultInjector) -> Incident:
    incident = Incident(outside)
    incident.alarms.recover(DEGRADED)
    incident.alarms.serve(incident.services.target_groups[0], 1000, NOW)
    return incident


def bake_and_judge(incident: Incident) -> None:
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), incident.ports)
    while cursor.next is NextState.WAIT:
        incident.pass_time(seconds=cursor.wait_seconds)
        cursor = judge_bake(cursor, incident.ports)


def adopt_after_a_bake(incident: Incident) -> None:
    adopt_running_releases(incident.ports)
    incident.pass_time(minutes=2)
    adopt_running_releases(incident.ports)


def calls_of_a_promotion() -> int:
    incident = start_promotion(FaultInjector())
    bake_and_judge(incident)
    return incident.outside.calls


@pytest.mark.parametrize(("kill_at", "after"), crash_points(calls_of_a_promotion()))
@pytest.mark.parametrize("resume", [bake_and_judge, adopt_after_a_bake], ids=["retried", "adopted"])
def test_a_promotion_killed_at_any_call_is_made_by_the_retry_or_by_the_janitor(
    kill_at: int, after: bool, resume: Callable[[Incident], object]
) -> None:
    incident = start_promotion(FaultInjector(kill_at, after=after))
    with pytest.raises(ProcessKilled):
        bake_and_judge(incident)
    incident.outside.restart_process()
    incident.pass_time(minutes=2)
    incident.alarms.serve(incident.services.target_groups[0], 1000, incident.clock.now())
    resume(incident)
    states = {r.version: r.state for r in incident.ledger.releases(SERVICE)}
    assert states["v3"] is ReleaseState.PROMOTED
    plan = incident.ledger.standing_plan(SERVICE)
    assert plan is not None
    assert [target.release.version for target in plan.targets] == ["v3", "v1"]
    registered = [name for name, _ in incident.services.calls].count("register")
    # Three are shipped. Then v1 and v3, and both again: until v3 is promoted, v1 must be the newest of its family.
    assert registered <= 7
