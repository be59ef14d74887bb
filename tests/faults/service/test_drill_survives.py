"""Crashes of a drill of the service before and after every external call, retried or left to the janitor."""

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled, crash_points
from faults.scenarios.drill import DrillIncident
from simulations.drills import drill_request
from support.builders import SERVICE, release

from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome

SCENARIOS = ("service", "emergency")


def kills() -> list[object]:
    parameters: list[object] = []
    for scenario in SCENARIOS:
        incident = DrillIncident()
        incident.deliver("execution-1", drill_request(scenario))
        parameters += [
            pytest.param(scenario, at, after, id=f"{scenario}-{at}-{after}")
            for at, after in crash_points(incident.outside.calls)
        ]
    return parameters


def assert_nothing_is_left_behind(incident: DrillIncident) -> None:
    for drill in incident.documents():
        assert drill.concluded_at is not None
        assert drill.open_obligations() == ()
        assert drill.left_to_operator() == ()
    lease = incident.ledger.lease(SERVICE)
    assert lease is None or lease.expires_at <= incident.clock.now()
    view, before = incident.services.describe(incident.real.settings.services[0]), incident.view_before
    assert view.primary.definition_arn == before.primary.definition_arn
    assert (view.desired_count, view.running_count) == (before.desired_count, before.desired_count)
    assert incident.services.deployment_configuration == incident.before
    assert incident.restarts() <= 1
    assert incident.running_fingerprint() == release("v2").fingerprint
    assert {r.state for r in incident.ledger.releases(SERVICE)} == {ReleaseState.PROMOTED}


@pytest.mark.parametrize(("scenario", "kill_at", "after"), kills())
def test_a_drill_killed_at_any_call_and_retried_succeeds(scenario: str, kill_at: int, after: bool) -> None:
    incident = DrillIncident(FaultInjector(kill_at, after=after))
    incident.deliver("execution-1", drill_request(scenario))
    (only,) = incident.documents()
    assert only.outcome is Outcome.SUCCEEDED, only.reason
    assert incident.restarts() == 1
    assert_nothing_is_left_behind(incident)


@pytest.mark.parametrize(("scenario", "kill_at", "after"), kills())
def test_the_janitor_concludes_a_drill_killed_at_any_call(scenario: str, kill_at: int, after: bool) -> None:
    incident = DrillIncident(FaultInjector(kill_at, after=after))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", drill_request(scenario), retries=False)
    incident.sweep_until_quiet()
    assert_nothing_is_left_behind(incident)
