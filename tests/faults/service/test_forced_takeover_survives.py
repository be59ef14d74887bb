"""Forced take-overs of a rollback that was aborted behind its fence, or that has a restore under way.

The rollback that takes over is killed after every external call, and resumed or left to the janitor.
"""

from collections.abc import Callable

import pytest
from fakes.aws.step_functions import execution_arn
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.full import V1, V2, FullIncident
from faults.scenarios.service import EVENT
from simulations.database import BAD, BRANCH, GOOD
from support.builders import SERVICE

from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.operations.pause_abort_unlock import abort
from rollback.resources.database.errors import OutcomeUnknown
from rollback.workflow.admit import admit
from rollback.workflow.runner import cursor_of, run_step

ADA = Operator(name="ada@desk", reason="stop it")
FORCED = {"service": SERVICE, "force": True, "reason": "Ada knows"}
REFUSED = {"type": "service", "target_version": "v9", **FORCED}
FULL = {"type": "full", "target_version": "v1", **FORCED}


def run_first_rollback(incident: FullIncident, until: Callable[[Rollback], bool]) -> Rollback:
    """Run the first rollback, without a crash, until a condition holds."""
    rollback = admit(EVENT, execution_arn("execution-1"), incident.clock.now(), incident.real)
    while not until(rollback):
        cursor = cursor_of(rollback)
        cursor = run_step(cursor.rollback_id, cursor.next, incident.real)
        incident.pass_time(seconds=cursor.wait_seconds)
        rollback = incident.ledger.read(SERVICE, rollback.id)
    incident.alarms.recover(next(iter(incident.alarms.in_alarm), ""))  # so that the janitor starts nothing new
    return rollback


def abort_behind_the_fence(outside: FaultInjector) -> FullIncident:
    """Abort a rollback behind its fence; it is not concluded yet, and the branch is unchanged."""
    incident = FullIncident(outside)
    first = run_first_rollback(incident, lambda r: r.database is not None and r.database.fence.head is not None)
    abort(first.id, ADA, incident.real)
    return incident


def begin_a_restore(outside: FaultInjector, *, is_restored: bool) -> FullIncident:
    """Send a restore whose answer is lost, and stop the first rollback there."""
    incident = FullIncident(outside)
    if is_restored:
        incident.neon.lose_next("restore")
    else:
        incident.neon.refuse_next("restore", OutcomeUnknown("it never arrived"))
    first = run_first_rollback(incident, lambda _: "restore" in incident.neon.calls)
    assert first.database is not None
    assert first.database.has_unconfirmed_change
    return incident


def deliver_and_sweep(incident: FullIncident, event: dict[str, object], *, retries: bool) -> None:
    try:
        incident.deliver("execution-2", event, retries=retries)
    except ProcessKilled:
        incident.outside.restart_process()
    incident.sweep_until_quiet()
    incident.pass_time(minutes=15)


def calls_of(incident: FullIncident, event: dict[str, object]) -> int:
    deliver_and_sweep(incident, event, retries=True)
    return incident.outside.calls


CALLS = calls_of(abort_behind_the_fence(FaultInjector()), REFUSED)


@pytest.mark.parametrize("retries", [True, False])
@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_rule_3_the_fence_of_an_abort_stays_when_the_forcing_rollback_is_killed_at_any_call(
    kill_at: int, retries: bool
) -> None:
    incident = abort_behind_the_fence(FaultInjector(kill_at, after=True))
    deliver_and_sweep(incident, REFUSED, retries=retries)

    assert incident.services.desired_count == 0
    assert incident.running_fingerprint() == V2
    assert incident.neon.rows(BRANCH) == GOOD + BAD
    incident.assert_no_data_loss()
    left_kinds = {obligation.kind for document in incident.documents() for obligation in document.left_to_operator()}
    assert ObligationKind.FENCE in left_kinds
    assert all(
        document.concluded_at is not None and document.open_obligations() == () for document in incident.documents()
    )


@pytest.mark.parametrize("is_restored", [True, False])
@pytest.mark.parametrize("kill_at", [0, *range(1, 60, 4)])
def test_a_restore_under_way_is_never_followed_by_a_second_restore(kill_at: int, is_restored: bool) -> None:
    """If the first restore was made, the second is refused: its point is on the former history.

    If it wasn't, the first rollback's Conclude finds that out, and the second may restore.
    """
    incident = begin_a_restore(
        FaultInjector(kill_at, after=True) if kill_at else FaultInjector(), is_restored=is_restored
    )
    deliver_and_sweep(incident, FULL, retries=True)

    incident.assert_no_data_loss()
    assert len(incident.backups()) <= 1
    assert all(
        document.concluded_at is not None and document.open_obligations() == () for document in incident.documents()
    )
    if incident.neon.rows(BRANCH) == GOOD:
        assert incident.services.desired_count == 0 or incident.running_fingerprint() == V1
    outcomes = {document.outcome for document in incident.documents()}
    assert outcomes <= {Outcome.ABORTED, Outcome.REFUSED, Outcome.FAILED, Outcome.SUCCEEDED}
