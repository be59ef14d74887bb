"""A full rollback is killed after every external call, and resumed, or left for the janitor.

Before a call the world is as after the one before it: to kill it there too would be the same again.
"""

import pytest
from builders import SERVICE
from database_simulation import BAD, BRANCH, GOOD
from simulation import alarm_event
from worlds import DEGRADED, OUTAGE

from faults.crash import FaultInjector, ProcessKilled
from faults.full_scenario import SCALED, V1, V2, FullIncident
from rollback.domain.rollback import ObligationKind, Outcome


def count_calls_without_crash() -> int:
    incident = FullIncident()
    incident.deliver("execution-1")
    return incident.outside.calls


CALLS = count_calls_without_crash()


def assert_both_are_back(incident: FullIncident) -> None:
    (only,) = incident.documents()
    assert only.outcome is Outcome.SUCCEEDED, only.reason
    assert incident.running_fingerprint() == V1
    assert incident.services.desired_count == 2
    assert incident.scaling.target == SCALED
    assert incident.services.deployment_configuration == incident.before
    assert incident.neon.rows(BRANCH) == GOOD
    incident.assert_no_data_loss()
    assert only.open_obligations() == ()
    assert only.left_to_operator() == ()
    assert only.database is not None
    assert only.database.lost is not None
    assert [table.removed_rows for table in only.database.lost.tables] == [len(BAD)]


def test_undisturbed_both_are_back() -> None:
    incident = FullIncident()
    incident.deliver("execution-1")
    assert_both_are_back(incident)
    assert incident.neon.calls.count("restore") == 1
    assert incident.ledger.lease(SERVICE) is None
    assert incident.ledger.lease(incident.branch_key) is None


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_killed_at_any_call_and_retried_both_are_back(kill_at: int) -> None:
    incident = FullIncident(FaultInjector(kill_at, after=True))
    incident.deliver("execution-1")
    assert_both_are_back(incident)


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_killed_at_any_call_and_never_retried_it_is_concluded_in_a_safe_condition(kill_at: int) -> None:
    """Untouched data and the release as it was; or at zero tasks, with a page; or both back."""
    incident = FullIncident(FaultInjector(kill_at, after=True))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", retries=False)
    if not incident.documents():
        pytest.skip("nothing was written yet: the edge is found by the alarm's history, see the janitor's tests")
    incident.alarms.recover(next(iter(incident.alarms.in_alarm), ""))  # so that the janitor starts nothing new
    incident.sweep_until_quiet()
    incident.pass_time(minutes=10)  # what a dead process held has run out by then

    (only,) = incident.documents()
    assert only.concluded_at is not None
    assert only.open_obligations() == ()
    incident.assert_no_data_loss()
    paged = any(sent.attributes["severity"] == "page" for sent in incident.notifications.sent)
    fenced = any(owed.kind is ObligationKind.FENCE for owed in only.left_to_operator())
    assert paged == (only.outcome is not Outcome.SUCCEEDED)
    if only.has_changed_data and incident.running_fingerprint() != V1:
        assert incident.neon.rows(BRANCH) == GOOD
        assert only.database is not None
        assert only.database.backup_id is not None
        assert fenced
        assert incident.services.desired_count == 0
        return
    assert not fenced, "a crash keeps no service at zero whose data was never touched"
    assert incident.services.desired_count == 2
    assert incident.running_fingerprint() == (V1 if only.has_changed_data else V2)
    if only.has_changed_data:
        assert incident.neon.rows(BRANCH) == GOOD


def test_a_person_who_stops_it_behind_the_fence_finds_it_fenced_and_told() -> None:
    incident = FullIncident()
    stopped = incident.abort_while_fenced("execution-1")

    assert stopped.outcome is Outcome.ABORTED
    assert incident.services.desired_count == 0
    assert {owed.kind for owed in stopped.left_to_operator()} == {ObligationKind.FENCE, ObligationKind.SCALING}
    incident.assert_no_data_loss()


@pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_killed_at_any_call_and_followed_by_another_alarm_no_release_meets_data_that_is_not_for_it(
    kill_at: int, alarm: str
) -> None:
    """The dead one's lease has run out, and nobody has concluded it: whoever comes must not lift its fence."""
    incident = FullIncident(FaultInjector(kill_at, after=True))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", retries=False)
    incident.pass_time(minutes=11)
    incident.alarms.fire(alarm, incident.clock.now())
    incident.deliver("execution-2", alarm_event("e2", alarm, incident.clock.now()))
    incident.sweep_until_quiet()
    incident.pass_time(minutes=15)

    incident.assert_no_data_loss()
    assert all(one.concluded_at is not None and one.open_obligations() == () for one in incident.documents())
