"""Crashes of a drill of the database after every external call: its preview is deleted in any case."""

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.drill import DatabaseDrillIncident
from simulations.drills import drill_request
from support.builders import SERVICE

from rollback.domain.rollback import Outcome

DRILL = drill_request("database")


def count_calls_without_crash() -> int:
    incident = DatabaseDrillIncident()
    incident.deliver("execution-1", DRILL)
    return incident.outside.calls


CALLS = count_calls_without_crash()


def assert_the_branch_is_as_before(incident: DatabaseDrillIncident) -> None:
    incident.neon.settle()
    assert [branch.name for branch in incident.neon.branches()] == ["main"]
    assert set(incident.neon.calls) <= {"create_branch", "delete_branch"}
    assert incident.neon.rows("br-1") == incident.rows_before
    assert incident.services.calls == []
    for drill in incident.documents():
        assert drill.concluded_at is not None
        assert drill.open_obligations() == ()
        assert drill.left_to_operator() == ()
    for key in (SERVICE, incident.branch_key):
        lease = incident.ledger.lease(key)
        assert lease is None or lease.expires_at <= incident.clock.now()


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_a_drill_of_the_database_killed_at_any_call_and_retried_succeeds(kill_at: int) -> None:
    incident = DatabaseDrillIncident(FaultInjector(kill_at, after=True))
    incident.deliver("execution-1", DRILL)
    (only,) = incident.documents()
    assert only.outcome is Outcome.SUCCEEDED, only.reason
    assert_the_branch_is_as_before(incident)


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_the_janitor_deletes_the_preview_of_a_drill_killed_at_any_call(kill_at: int) -> None:
    incident = DatabaseDrillIncident(FaultInjector(kill_at, after=True))
    with pytest.raises(ProcessKilled):
        incident.deliver("execution-1", DRILL, retries=False)
    incident.sweep_until_quiet()
    incident.pass_time(minutes=15)  # a lease that was not released ends
    assert_the_branch_is_as_before(incident)
