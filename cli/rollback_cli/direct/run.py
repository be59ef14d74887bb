"""Run the steps of a rollback in this process, for when Step Functions, EventBridge or the functions are broken."""

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from rollback.domain.rollback import DIRECT
from rollback.errors import CallRefused, Conflict, ExternalServiceError, RollbackError
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import Cursor, run_step, start_emergency, start_rollback
from rollback_cli import requester

Sleep = Callable[[float], None]
WaitAtGate = Callable[[str, float, Sleep], None]  # id of the rollback, and seconds until the step looks again

_MAX_ATTEMPTS, _MAX_DELAY_SECONDS = 7, 20  # for one step, as in the state machine
_MAX_DURATION = timedelta(hours=6)  # the default limit of an execution; each step has a shorter limit of its own


def _ignore(_text: str) -> None:
    """Report no retry."""


def run_directly(
    execution_input: Mapping[str, Any],
    ports: AllPorts,
    on_progress: Callable[[Cursor], None],
    sleep: Sleep = time.sleep,
    add_proof: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = lambda execution_input, _: execution_input,
    on_retry: Callable[[str], None] = _ignore,
    wait_at_gate: WaitAtGate | None = None,
) -> Cursor:
    """Run a rollback to its end.

    An interrupted run needs no clean-up: its lease expires, and the janitor concludes the rollback.

    Args:
        execution_input: fields of the request.
        ports: access to AWS, Neon and the ledger.
        on_progress: called with each cursor that differs from the previous cursor.
        sleep: waits for a number of seconds.
        add_proof: adds a proof of the operator's identity to the input, for the id of the execution.
        on_retry: called with a sentence about each failed attempt that is repeated.
        wait_at_gate: waits for a decision at most the given seconds, and may ask for one; None: only waits.

    Raises:
        RollbackError: a step failed for good; the ledger shows how far the rollback went.
    """
    started_at = ports.clock.now()
    execution = f"{DIRECT}{requester.requester_name()}:{uuid.uuid4()}"
    if entrance(execution_input) is Step.EMERGENCY:
        start = start_emergency
    else:
        execution_input, start = add_proof(execution_input, execution), start_rollback
    cursor = _run_with_retry(lambda: start(execution_input, execution, started_at, ports), sleep, on_retry)
    on_progress(cursor)
    while cursor.next is not Step.DONE:
        is_too_late = ports.clock.now() - started_at > _MAX_DURATION
        previous_cursor, cursor = cursor, _advance(cursor, ports, sleep, on_retry, is_too_late=is_too_late)
        if cursor != previous_cursor:
            on_progress(cursor)
        if not cursor.wait_seconds or cursor.next is Step.DONE:
            continue
        if cursor.next is Step.APPROVE and wait_at_gate is not None:
            wait_at_gate(cursor.rollback_id, cursor.wait_seconds, sleep)
        else:
            sleep(cursor.wait_seconds)
    return cursor


def _advance(
    cursor: Cursor, ports: AllPorts, sleep: Sleep, on_retry: Callable[[str], None], *, is_too_late: bool
) -> Cursor:
    """Run one step with the state machine's Retry and Catch: no other process may be there to conclude.

    A rollback that is too late goes to Conclude, as an execution does that times out.
    """

    def conclude(failure: str) -> Cursor:
        return _run_with_retry(lambda: run_step(cursor.rollback_id, Step.CONCLUDE, ports, failure), sleep, on_retry)

    if is_too_late and cursor.next not in (Step.CONCLUDE, Step.DATA_LOSS):
        return conclude(f"step {cursor.next} had not ended after {_MAX_DURATION.total_seconds() / 3600:g} hours")
    try:
        return _run_with_retry(lambda: run_step(cursor.rollback_id, cursor.next, ports), sleep, on_retry)
    except RollbackError as error:
        if cursor.next is Step.CONCLUDE:
            raise
        return conclude(f"{type(error).__name__}: {error}")


def _run_with_retry(step: Callable[[], Cursor], sleep: Sleep, on_retry: Callable[[str], None]) -> Cursor:
    for attempt in range(_MAX_ATTEMPTS - 1):
        try:
            return step()
        except CallRefused:
            raise  # AWS would refuse the same call again
        except (ExternalServiceError, Conflict) as failure:
            seconds = min(2**attempt, _MAX_DELAY_SECONDS)
            on_retry(f"attempt {attempt + 1} of {_MAX_ATTEMPTS} failed, the next one follows in {seconds} s: {failure}")
            sleep(seconds)
    return step()
