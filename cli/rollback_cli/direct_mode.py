"""Direct mode: the steps of a rollback run in this process, for when Step Functions or the functions can't be used."""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from rollback.domain.rollback import DIRECT, Rollback, service_of
from rollback.errors import CallRefused, Conflict, ExternalServiceError, RollbackError
from rollback.leases.holder import find_live_lease
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import Cursor, run_step, start_emergency, start_rollback
from rollback_cli import requester

_MAX_ATTEMPTS, _MAX_DELAY_SECONDS = 7, 20  # for one step, as in the state machine
_GRACE_SECONDS = 5  # until EventBridge has delivered the end of an execution to the concluding function


def run_directly(
    execution_input: Mapping[str, Any],
    ports: AllPorts,
    on_progress: Callable[[Cursor], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Cursor:
    """Run a rollback to its end.

    An interrupted run needs no clean-up: its lease expires, and the janitor concludes the rollback.

    Args:
        execution_input: fields of the request.
        ports: access to AWS, Neon and the ledger.
        on_progress: called with each cursor that differs from the previous cursor.
        sleep: waits for a number of seconds.

    Raises:
        RollbackError: a step failed for good; the ledger shows how far the rollback went.
    """
    started_at = ports.clock.now()
    execution = f"{DIRECT}{requester.requester_name()}:{uuid.uuid4()}"
    if entrance(execution_input) is Step.EMERGENCY:
        cursor = _run_with_retry(lambda: start_emergency(execution_input, execution, started_at, ports), sleep)
    else:
        cursor = _run_with_retry(lambda: start_rollback(execution_input, execution, started_at, ports), sleep)
    on_progress(cursor)
    while cursor.next is not Step.DONE:
        previous_cursor, cursor = cursor, _advance(cursor, ports, sleep)
        if cursor != previous_cursor:
            on_progress(cursor)
        if cursor.wait_seconds and cursor.next is not Step.DONE:
            sleep(cursor.wait_seconds)
    return cursor


def _advance(cursor: Cursor, ports: AllPorts, sleep: Callable[[float], None]) -> Cursor:
    """Run one step with the state machine's Retry and Catch: no other process may be there to conclude."""
    try:
        return _run_with_retry(lambda: run_step(cursor.rollback_id, cursor.next, ports), sleep)
    except RollbackError as error:
        if cursor.next is Step.CONCLUDE:
            raise
        failure = f"{type(error).__name__}: {error}"
        return _run_with_retry(lambda: run_step(cursor.rollback_id, Step.CONCLUDE, ports, failure), sleep)


def _run_with_retry(step: Callable[[], Cursor], sleep: Callable[[float], None]) -> Cursor:
    for attempt in range(_MAX_ATTEMPTS - 1):
        try:
            return step()
        except CallRefused:
            raise  # AWS would refuse the same call again
        except (ExternalServiceError, Conflict):
            sleep(min(2**attempt, _MAX_DELAY_SECONDS))
    return step()


def wait_until_concluded(rollback_id: str, ports: AllPorts, sleep: Callable[[float], None] = time.sleep) -> Rollback:
    """Wait until a rollback that has its outcome is concluded; conclude it here if no other process does.

    A stopped execution is concluded by the EventBridge rule on executions, a rollback in direct mode by its own
    process. Both get time first, since two processes that conclude at once may both send the report. No other harm is
    possible: each save is compare-and-set.

    Raises:
        ExternalServiceError: a service doesn't answer; nothing is lost, the janitor concludes the rollback.
    """
    policy, service_name = ports.settings.policy, service_of(rollback_id)
    patience_seconds = max(policy.poll_seconds, policy.verify_interval_seconds) + _GRACE_SECONDS
    lease = find_live_lease(service_name, ports)
    wait_seconds = patience_seconds if lease is not None and lease.holder == rollback_id else 0
    while (rollback := ports.ledger.read(service_name, rollback_id)).concluded_at is None:
        if wait_seconds and _changes_within(wait_seconds, rollback, ports, sleep):
            continue
        try:
            wait_seconds = 0  # no other process runs its steps: conclude it here
            sleep(run_step(rollback_id, Step.CONCLUDE, ports).wait_seconds)
        except Conflict:
            wait_seconds = patience_seconds
    run_step(rollback_id, Step.DONE, ports)  # returns the lease if the concluding process died first
    return rollback


def _changes_within(seconds: int, rollback: Rollback, ports: AllPorts, sleep: Callable[[float], None]) -> bool:
    for _ in range(seconds):
        sleep(1)
        if ports.ledger.read(rollback.service_name, rollback.id).version != rollback.version:
            return True
    return False
