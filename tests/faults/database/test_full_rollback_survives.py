"""Crashes of a full rollback after every external call; it is resumed or left to the janitor.

A crash before a call leaves the same state as a crash after the previous call, so only one of both is tested.
"""

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.full import SCALED, V1, V2, FullIncident
from simulations.database import BAD, BRANCH, GOOD
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import alarm_event
from support.builders import SERVICE

from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Outcome


def count_calls_without_crash() -> int:
    incident = FullIncident()
    incident.deliver("execution-1")
    return incident.outside.calls


CALLS = count_calls_without_crash()


def assert_service_and_data_are_restored(incident: FullIncident) -> None:
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
    assert only.database.data_loss is not None
    assert [table.removed_rows for table in only.database.data_loss.tables] == [len(BAD)]


def test_a_full_rollback_restores_service_and_data() -> None:
    incident = FullIncident()
    incident.deliver("execution-1")
    assert_service_and_data_are_restored(incident)
    assert incident.neon.calls.count("restore") == 1
    assert incident.ledger.lease(SERVICE) is None
    assert incident.ledger.lease(incident.branch_key) is None


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_a_full_rollback_killed_at_any_call_and_retried_restores_service_and_data(kill_at: int) -> None:
    incident = FullIncident(FaultInjector(kill_at, after=True))
    incident.deliver("execution-1")
    assert_service_and_data_are_restored(incident)


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_a_full_rollback_killed_at_any_call_and_never_retried_is_concluded_in_a_safe_condition(kill_at: int) -> None:
    """Safe are: data and release unchanged; zero tasks and a page; service and data restored."""
    incident = FullIncident(FaultInjector(kill_at, after=True))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", retries=False)
    if not incident.documents():
        pytest.skip("no document was written yet: the janitor finds the alarm by its history, see its tests")
    incident.alarms.recover(next(iter(incident.alarms.in_alarm), ""))  # so that the janitor starts nothing new
    incident.sweep_until_quiet()
    incident.pass_time(minutes=10)  # the leases of the dead process have expired by then

    (only,) = incident.documents()
    assert only.concluded_at is not None
    assert only.open_obligations() == ()
    incident.assert_no_data_loss()
    paged = any(notification.attributes["severity"] == "page" for notification in incident.notifications.sent)
    fenced = any(obligation.kind is ObligationKind.FENCE for obligation in only.left_to_operator())
    assert paged == (only.outcome is not Outcome.SUCCEEDED)
    if only.has_changed_data and incident.running_fingerprint() != V1:
        assert incident.neon.rows(BRANCH) == GOOD
        assert only.database is not None
        assert only.database.backup_id is not None
        assert fenced
        assert incident.services.desired_count == 0
        return
    assert not fenced, "a crash before any change of data keeps the service at zero tasks"
    assert incident.services.desired_count == 2
    assert incident.running_fingerprint() == (V1 if only.has_changed_data else V2)
    if only.has_changed_data:
        assert incident.neon.rows(BRANCH) == GOOD


def test_an_operators_stop_behind_the_fence_keeps_the_fence() -> None:
    incident = FullIncident()
    stopped = incident.abort_while_fenced("execution-1")

    assert stopped.outcome is Outcome.ABORTED
    assert incident.services.desired_count == 0
    assert {obligation.kind for obligation in stopped.left_to_operator()} == {
        ObligationKind.FENCE,
        ObligationKind.SCALING,
    }
    incident.assert_no_data_loss()


@pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_a_full_rollback_killed_at_any_call_and_followed_by_an_alarm_runs_no_release_on_other_data(
    kill_at: int, alarm: str
) -> None:
    """The dead rollback's lease has expired, and it isn't concluded: the next rollback must not lift its fence."""
    incident = FullIncident(FaultInjector(kill_at, after=True))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", retries=False)
    incident.pass_time(minutes=11)
    incident.alarms.fire(alarm, incident.clock.now())
    incident.deliver("execution-2", alarm_event("e2", alarm, incident.clock.now()))
    incident.sweep_until_quiet()
    incident.pass_time(minutes=15)

    incident.assert_no_data_loss()
    assert all(
        document.concluded_at is not None and document.open_obligations() == () for document in incident.documents()
    )
