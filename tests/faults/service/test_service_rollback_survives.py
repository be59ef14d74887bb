"""Crashes of a service rollback before and after every external call, and every way in which it may continue."""

from collections.abc import Callable

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled, crash_points
from faults.scenarios.service import Incident
from support.builders import SERVICE, release

from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome

V1, V3 = release("v1").fingerprint, release("v3").fingerprint


def count_calls_without_crash() -> int:
    incident = Incident()
    incident.deliver("execution-1")
    return incident.outside.calls


CALLS = count_calls_without_crash()


def assert_the_rules_are_kept(incident: Incident) -> None:
    assert incident.documents()
    for rollback in incident.documents():
        assert rollback.concluded_at is not None, f"{rollback.id} was never concluded"
        assert rollback.outcome is not None
        assert rollback.open_obligations() == ()
    lease = incident.ledger.lease(SERVICE)
    assert lease is None or lease.expires_at <= incident.clock.now()
    assert incident.services.deployment_configuration == incident.before
    acted = [r for r in incident.documents() if r.has_acted]
    assert len(acted) <= 1, "two rollbacks of one service acted"
    assert len(set(incident.deployed_definitions())) <= 1
    assert len(incident.deployed_definitions()) <= 2  # the same definition again, if its answer was lost
    assert incident.running_fingerprint() in (V1, V3)
    paged = any(notification.attributes["severity"] == "page" for notification in incident.notifications.sent)
    assert incident.running_fingerprint() == V1 or paged, "the bad release runs, and no operator was paged"


def assert_v1_runs(incident: Incident) -> None:
    assert incident.running_fingerprint() == V1
    states = {r.version: r.state for r in incident.ledger.releases(SERVICE)}
    assert states == {"v1": ReleaseState.PROMOTED, "v2": ReleaseState.QUARANTINED, "v3": ReleaseState.QUARANTINED}


def test_a_service_rollback_runs_v1_by_digest_after_its_revision_was_deregistered() -> None:
    incident = Incident()
    incident.deliver("execution-1")
    (only,) = incident.documents()
    assert only.outcome is Outcome.SUCCEEDED
    assert_v1_runs(incident)
    assert_the_rules_are_kept(incident)
    assert len(incident.deployed_definitions()) == 1
    assert incident.ledger.lease(SERVICE) is None


def each_call(test: Callable[[int, bool], None]) -> Callable[[int, bool], None]:
    return pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))(test)


@each_call
def test_a_service_rollback_killed_at_any_call_and_retried_succeeds(kill_at: int, after: bool) -> None:
    incident = Incident(FaultInjector(kill_at, after=after))
    incident.deliver("execution-1")
    (only,) = incident.documents()
    assert only.outcome is Outcome.SUCCEEDED
    assert_v1_runs(incident)
    assert_the_rules_are_kept(incident)


@each_call
def test_the_janitor_concludes_a_service_rollback_killed_at_any_call(kill_at: int, after: bool) -> None:
    incident = Incident(FaultInjector(kill_at, after=after))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", retries=False)
    if not incident.documents():
        pytest.skip("no document was written yet: the janitor finds the alarm by its history, see its tests")
    incident.sweep_until_quiet()
    assert_the_rules_are_kept(incident)


@each_call
def test_one_rollback_acts_when_it_is_killed_at_any_call_and_the_event_is_delivered_again(
    kill_at: int, after: bool
) -> None:
    incident = Incident(FaultInjector(kill_at, after=after))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", retries=False)
    incident.deliver("execution-2")
    incident.sweep_until_quiet()
    assert_the_rules_are_kept(incident)
