"""Operations on rollbacks: pause and resume, abort, unlock.

Each operation checks its conditions, records the operator, and then makes its change: so every change has a recorded
author. An interrupted operation may be repeated.
"""

from contextlib import suppress

from rollback.approval.step import with_stored_decision
from rollback.domain.operator import Operator, OperatorAction, Pause
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import Conflict, InvalidRequest, RollbackError
from rollback.leases.holder import describe_holder, find_live_lease, holder_of, successor_of, why_lease_is_alive
from rollback.leases.ports import LeasePorts
from rollback.operations.ports import AbortPorts, OperatorActionPorts
from rollback.ports.holders import HasLedger

TRIES = 5  # attempts at a compare-and-set while a step saves the same document


def record_operator_action(
    verb: str, service_name: str, operator: Operator, ports: OperatorActionPorts, subject: str = ""
) -> None:
    """Record an operator's action in the ledger."""
    ports.ledger.record_action(
        OperatorAction(
            service=service_name,
            at=ports.clock.now(),
            verb=verb,
            subject=subject,
            by=operator.name,
            reason=operator.reason.strip(),
        )
    )


def pause(service_name: str, operator: Operator, ports: LeasePorts) -> str:
    """Pause automatic rollbacks of a service until `resume`; a rollback that has begun continues.

    Raises:
        InvalidRequest: the automatic rollbacks of the service are paused already.
    """
    _refuse_second_pause(ports.ledger.pause(service_name))
    new_pause = Pause(service=service_name, since=ports.clock.now(), by=operator.name, reason=operator.reason.strip())
    record_operator_action("pause", service_name, operator, ports)
    ports.ledger.put_pause(new_pause)
    current = ports.ledger.pause(service_name)
    if current != new_pause:  # two operators at once: the first pause holds
        _refuse_second_pause(current)
    result = f"automatic rollbacks of {service_name} are paused; operators can still start them"
    lease = find_live_lease(service_name, ports)
    if lease is None:
        return result
    command = f"rollback abort {ports.settings.environment} {lease.holder} --reason '…'"
    return f"{result}; {lease.holder} goes on; `{command}` ends that rollback"


def resume(service_name: str, operator: Operator, ports: OperatorActionPorts) -> str:
    """End the pause of automatic rollbacks of a service.

    Raises:
        InvalidRequest: the automatic rollbacks of the service are not paused.
    """
    current = ports.ledger.pause(service_name)
    if current is None:
        raise InvalidRequest(f"automatic rollbacks of {service_name} are not paused; nothing was changed")
    record_operator_action("resume", service_name, operator, ports)
    ports.ledger.end_pause(service_name)
    return (
        f"automatic rollbacks of {service_name} are on again (paused since {current.since:%Y-%m-%d %H:%M} UTC by "
        f"{current.by}); the janitor evaluates an alarm that is still in ALARM within minutes"
    )


def abort(rollback_id: str, operator: Operator, ports: AbortPorts) -> Rollback:
    """Abort an open rollback: save its outcome by compare-and-set, then stop its execution. Conclude does the rest.

    The next step finds the outcome and goes to Conclude. The save of a step that runs now is refused, and Conclude
    waits for the call that it had announced. Stopping the execution only shortens this.

    Raises:
        InvalidRequest: there is no such rollback, or it has ended.
        Conflict: other processes kept saving the rollback; repeat the call.
    """
    _find_abortable(rollback_id, ports)
    record_operator_action("abort", service_of(rollback_id), operator, ports, rollback_id)
    for _ in range(TRIES):
        rollback = _find_abortable(rollback_id, ports)
        if rollback.outcome is not None:  # an earlier abort was interrupted here
            break
        aborted_rollback = with_stored_decision(rollback, ports).evolve(
            outcome=Outcome.ABORTED,
            reason=f"aborted by {operator}",
            taken_over_by=successor_of(rollback, ports),
            is_operator_abort=True,
            wait_seconds=0,
        )
        try:
            rollback = ports.ledger.save(aborted_rollback)
        except Conflict:
            continue
        break
    else:
        raise Conflict(f"{rollback_id} changed {TRIES} times during the abort; repeat the command")
    with suppress(RollbackError):  # the execution finds the outcome by itself, only later
        ports.workflow.stop(rollback.execution, rollback.reason)
    return rollback


def unlock(service_name: str, operator: Operator, ports: AbortPorts, *, force: bool = False) -> str:
    """Give back the lease of a rollback that no process runs any more.

    Args:
        service_name: name of the service.
        operator: the operator, and the reason.
        ports: access to AWS, Neon and the ledger.
        force: give back the lease of a live rollback too. That rollback finds its lease lost, ends as aborted, and
            stays fenced if it is (rule 3: aborted while fenced, stay fenced).

    Raises:
        InvalidRequest: there is no lease, or its holder is alive.
    """
    environment, lease = ports.settings.environment, ports.ledger.lease(service_name)
    if lease is None:
        raise InvalidRequest(f"no rollback holds the lease on {service_name}; nothing was changed")
    alive_reason = why_lease_is_alive(lease, ports)
    if alive_reason is not None and not force:
        raise InvalidRequest(
            f"{lease.holder} is alive ({alive_reason}): {describe_holder(lease, ports)}; end that rollback with "
            f"`rollback abort {environment} {lease.holder} --reason '…'`, or take its lease with --force; nothing was "
            "changed"
        )
    holder = holder_of(lease, ports)
    record_operator_action("unlock", service_name, operator, ports, lease.holder)
    if alive_reason is not None and holder is not None:
        _mark_ended_by_operator(holder.id, ports)
    ports.ledger.release_lease(service_name, lease.holder)
    result = f"the lease on {service_name} is free; {lease.holder} held it"
    if holder is not None and holder.concluded_at is None:
        result += f"; the janitor concludes {holder.id}, or the next rollback continues it"
    return result


def _mark_ended_by_operator(rollback_id: str, ports: HasLedger) -> None:
    """Mark a rollback as aborted by an operator before its lease is gone: the lost lease is then no crash.

    Raises:
        Conflict: other processes kept saving the rollback; repeat the call.
    """
    for _ in range(TRIES):
        rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
        if rollback.concluded_at is not None or rollback.is_operator_abort:
            return
        with suppress(Conflict):
            ports.ledger.save(rollback.evolve(is_operator_abort=True))
            return
    raise Conflict(f"{rollback_id} changed {TRIES} times while its lease was being taken; repeat the command")


def _refuse_second_pause(current: Pause | None) -> None:
    if current is not None:
        raise InvalidRequest(
            f"automatic rollbacks of {current.service} are paused already, since {current.since:%Y-%m-%d %H:%M} UTC by "
            f"{current.by}: {current.reason}; nothing was changed"
        )


def _find_abortable(rollback_id: str, ports: LeasePorts) -> Rollback:
    environment = ports.settings.environment
    try:
        rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists them; nothing was changed"
        ) from error
    if rollback.concluded_at is not None or rollback.outcome not in (None, Outcome.ABORTED):
        state = "has ended" if rollback.concluded_at is not None else "is ending"
        raise InvalidRequest(
            f"{rollback_id} {state} already: {rollback.outcome}, {rollback.reason}; there is nothing to abort"
        )
    return rollback
