"""A person takes over by force what another person aborted behind its fence, or what has a restore under way.

Who takes over is killed after every external call, and resumed, or left for the janitor.
"""

from collections.abc import Callable

import pytest
from builders import SERVICE
from fakes import execution_arn
from stage_with_database import BAD, BRANCH, GOOD

from faults.crash import FaultInjector, ProcessKilled
from faults.full_scenario import V1, V2, FullIncident
from faults.scenario import EVENT
from rollback.domain.operator import Operator
from rollback.domain.rollback import ObligationKind, Outcome, Rollback
from rollback.operations.pause_abort_unlock import abort
from rollback.resources.database.errors import OutcomeUnknown
from rollback.workflow.admit import admit
from rollback.workflow.runner import cursor_of, run_step

ADA = Operator(name="ada@desk", reason="stop it")
FORCED = {"service": SERVICE, "force": True, "reason": "Ada knows"}
REFUSED = {"type": "service", "target_version": "v9", **FORCED}
FULL = {"type": "full", "target_version": "v1", **FORCED}


def walked(incident: FullIncident, until: Callable[[Rollback], bool]) -> Rollback:
    """The first rollback, which nothing kills, as far as that."""
    rollback = admit(EVENT, execution_arn("execution-1"), incident.clock.now(), incident.real)
    while not until(rollback):
        cursor = cursor_of(rollback)
        cursor = run_step(cursor.rollback_id, cursor.next, incident.real)
        incident.pass_time(seconds=cursor.wait_seconds)
        rollback = incident.ledger.read(SERVICE, rollback.id)
    incident.alarms.recover(next(iter(incident.alarms.in_alarm), ""))  # so that the janitor starts nothing new
    return rollback


def aborted_behind_its_fence(outside: FaultInjector) -> FullIncident:
    """Nobody has concluded it yet; the branch is as it was."""
    incident = FullIncident(outside)
    first = walked(incident, lambda r: r.database is not None and r.database.fence.head is not None)
    abort(first.id, ADA, incident.real)
    return incident


def with_a_restore_under_way(outside: FaultInjector, *, is_made: bool) -> FullIncident:
    """Sent, its answer lost; whoever walked it died at that moment."""
    incident = FullIncident(outside)
    if is_made:
        incident.neon.lose_next("restore")
    else:
        incident.neon.refuse_next("restore", OutcomeUnknown("it never arrived"))
    first = walked(incident, lambda _: "restore" in incident.neon.calls)
    assert first.database is not None
    assert first.database.has_unanswered_change
    return incident


def delivered(incident: FullIncident, given: dict[str, object], *, retries: bool) -> None:
    try:
        incident.deliver("execution-2", given, retries=retries)
    except ProcessKilled:
        incident.outside.restart_process()
    incident.sweep_until_quiet()
    incident.pass_time(minutes=15)


def calls_of(incident: FullIncident, given: dict[str, object]) -> int:
    delivered(incident, given, retries=True)
    return incident.outside.calls


CALLS = calls_of(aborted_behind_its_fence(FaultInjector()), REFUSED)


@pytest.mark.parametrize("retries", [True, False])
@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_rule_3_the_fence_of_an_abort_stays_wherever_who_took_it_over_is_killed(kill_at: int, retries: bool) -> None:
    incident = aborted_behind_its_fence(FaultInjector(kill_at, after=True))
    delivered(incident, REFUSED, retries=retries)

    assert incident.services.desired_count == 0
    assert incident.running_fingerprint() == V2
    assert incident.neon.rows(BRANCH) == GOOD + BAD
    incident.assert_no_data_loss()
    left = {owed.kind for one in incident.documents() for owed in one.left_to_operator()}
    assert ObligationKind.FENCE in left
    assert all(one.concluded_at is not None and one.open_obligations() == () for one in incident.documents())


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("kill_at", [0, *range(1, 60, 4)])
def test_a_restore_that_was_under_way_is_never_followed_by_a_second_one_over_it(kill_at: int, is_made: bool) -> None:
    """Made: refused, since the point is on the former history. Not made: known, once the other's Conclude has asked."""
    incident = with_a_restore_under_way(
        FaultInjector(kill_at, after=True) if kill_at else FaultInjector(), is_made=is_made
    )
    delivered(incident, FULL, retries=True)

    incident.assert_no_data_loss()
    assert len(incident.backups()) <= 1
    assert all(one.concluded_at is not None and one.open_obligations() == () for one in incident.documents())
    if incident.neon.rows(BRANCH) == GOOD:
        assert incident.services.desired_count == 0 or incident.running_fingerprint() == V1
    outcomes = {one.outcome for one in incident.documents()}
    assert outcomes <= {Outcome.ABORTED, Outcome.REFUSED, Outcome.FAILED, Outcome.SUCCEEDED}
