"""Wait for the conclusion of a rollback that has its outcome, and conclude it here if no other process does."""

import time
from collections.abc import Callable
from datetime import timedelta

from rollback.domain.rollback import Rollback, service_of
from rollback.errors import Conflict, ExternalServiceError
from rollback.leases.holder import find_live_lease
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

_GRACE_SECONDS = 5  # until EventBridge has delivered the end of an execution to the concluding function


def wait_until_concluded(rollback_id: str, ports: AllPorts, sleep: Callable[[float], None] = time.sleep) -> Rollback:
    """Wait until a rollback that has its outcome is concluded; conclude it here if no other process does.

    A stopped execution is concluded by the EventBridge rule on executions, a rollback in direct mode by its own
    process. Both get time first, since two processes that conclude at once may both send the report. No other harm is
    possible: each save is compare-and-set. Conclude has a time limit of its own, `conclude_timeout_minutes`; twice
    that time and a lease end the wait here.

    Raises:
        ExternalServiceError: a service doesn't answer, or the time is over; nothing is lost, the janitor concludes the
            rollback.
    """
    policy, service_name = ports.settings.policy, service_of(rollback_id)
    patience_seconds = max(policy.poll_seconds, policy.verify_interval_seconds) + _GRACE_SECONDS
    limit = timedelta(minutes=2 * policy.conclude_timeout_minutes + policy.lease_minutes)
    began_at = ports.clock.now()
    lease = find_live_lease(service_name, ports)
    wait_seconds = patience_seconds if lease is not None and lease.holder == rollback_id else 0
    while (rollback := ports.ledger.read(service_name, rollback_id)).concluded_at is None:
        if ports.clock.now() - began_at > limit:
            raise ExternalServiceError(
                f"{rollback_id} is {rollback.outcome}, but not concluded after {limit.total_seconds() / 60:g} minutes; "
                f"see `rollback show {rollback.environment} {rollback_id}`, then repeat the command"
            )
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
