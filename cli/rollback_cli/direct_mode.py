"""Direct mode: the same route in this process, for when Step Functions (or the functions) can't be used."""

import getpass
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from rollback.domain.rollback import DIRECT, Rollback, service_of
from rollback.errors import CallRefused, Conflict, ExternalServiceError, RollbackError
from rollback.leases.holder import find_live_lease
from rollback.ports.world import World
from rollback.text import REQUESTER_LIMIT, one_line
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import Cursor, cursor_of, run_step, start_emergency

_MAX_ATTEMPTS, _MAX_DELAY_SECONDS = 7, 20  # of one step, as the state machine's
_GRACE_SECONDS = 5  # until an execution's end has come to the function that concludes it


def whoami() -> str:
    """Who asks, for the record."""
    return one_line(f"{getpass.getuser()}@{socket.gethostname()}", REQUESTER_LIMIT)


def run_directly(
    given: Mapping[str, Any],
    world: World,
    on_progress: Callable[[Cursor], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Cursor:
    """Walk a rollback to its end. Interrupted, it can be left: its lease runs out, and the janitor concludes it.

    Raises:
        RollbackError: what a step could not do; the ledger has how far it went.
    """
    started_at = world.clock.now()
    execution = f"{DIRECT}{whoami()}:{uuid.uuid4()}"
    if entrance(given) is Step.EMERGENCY:
        cursor = _run_with_retry(lambda: start_emergency(given, execution, started_at, world), sleep)
    else:
        cursor = _run_with_retry(lambda: cursor_of(admit(given, execution, started_at, world)), sleep)
    on_progress(cursor)
    while cursor.next is not Step.DONE:
        before, cursor = cursor, _advance(cursor, world, sleep)
        if cursor != before:
            on_progress(cursor)
        if cursor.wait_seconds and cursor.next is not Step.DONE:
            sleep(cursor.wait_seconds)
    return cursor


def _advance(cursor: Cursor, world: World, sleep: Callable[[float], None]) -> Cursor:
    """One step, tried again and then caught as the state machine does: there may be nobody else to conclude it."""
    try:
        return _run_with_retry(lambda: run_step(cursor.rollback_id, cursor.next, world), sleep)
    except RollbackError as error:
        if cursor.next is Step.CONCLUDE:
            raise
        why = f"{type(error).__name__}: {error}"
        return _run_with_retry(lambda: run_step(cursor.rollback_id, Step.CONCLUDE, world, why), sleep)


def _run_with_retry(step: Callable[[], Cursor], sleep: Callable[[float], None]) -> Cursor:
    for attempt in range(_MAX_ATTEMPTS - 1):
        try:
            return step()
        except CallRefused:
            raise  # sent again it is refused again
        except (ExternalServiceError, Conflict):
            sleep(min(2**attempt, _MAX_DELAY_SECONDS))
    return step()


def wait_until_concluded(rollback_id: str, world: World, sleep: Callable[[float], None] = time.sleep) -> Rollback:
    """Follow a rollback that has its outcome to its end, and walk it there where nobody else does.

    A stopped execution is concluded by the rule on it, one in direct mode by its own process, if it lives: they are
    given time, since two who conclude at once may both send the report. The rest is safe: each save is compare-and-set.

    Raises:
        ExternalServiceError: nothing is lost; the janitor goes on with it.
    """
    policy, service_name = world.settings.policy, service_of(rollback_id)
    patience = max(policy.poll_seconds, policy.verify_interval_seconds) + _GRACE_SECONDS
    lease = find_live_lease(service_name, world)
    wait = patience if lease is not None and lease.holder == rollback_id else 0
    while (rollback := world.ledger.read(service_name, rollback_id)).concluded_at is None:
        if wait and _changes_within(wait, rollback, world, sleep):
            continue
        try:
            wait = 0  # nobody else walks it, so we do
            sleep(run_step(rollback_id, Step.CONCLUDE, world).wait_seconds)
        except Conflict:
            wait = patience
    run_step(rollback_id, Step.DONE, world)  # gives the lease back, should who concluded it have died before
    return rollback


def _changes_within(seconds: int, rollback: Rollback, world: World, sleep: Callable[[float], None]) -> bool:
    for _ in range(seconds):
        sleep(1)
        if world.ledger.read(rollback.service_name, rollback.id).version != rollback.version:
            return True
    return False
