"""Run the route: load the document, run the step that is due, save it, and return a cursor to the next step.

The Lambda handlers run one step an invocation; *direct* mode runs all steps in one process.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import assert_never

from pydantic import BaseModel, ConfigDict

from rollback.approval.step import approve
from rollback.conclusion.step import conclude
from rollback.database.data_loss.step import compare_lost_rows, stop_comparison
from rollback.database.reconnection.step import announces_reconnection, reconnect
from rollback.database.step import database
from rollback.delivery.channels import CHANNELS
from rollback.delivery.deliver import want_deliveries
from rollback.delivery.events import emit_phases
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import CallRefused, Conflict, LeaseLost, UnsupportedService
from rollback.identity.task_definition import with_definition_memo
from rollback.intents.announce import has_new_intent
from rollback.leases.hold import release_leases, renew_leases_of_stopped_services, renew_service_lease
from rollback.leases.holder import successor_of
from rollback.planning.approval import supersede_waiting
from rollback.planning.emergency import plan_emergency
from rollback.planning.step import plan
from rollback.ports.all_ports import AllPorts
from rollback.service.reconciler import service
from rollback.verification.step import announces_smoke, verify
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, next_step

_WITHOUT_LEASE = frozenset({Step.APPROVE, Step.CONCLUDE, Step.DATA_LOSS})
_BEGINNING = frozenset({Step.APPROVE, Step.DATABASE, Step.SERVICE})  # the first round after Plan is one of these
_AFTER_OUTCOME = frozenset({Step.CONCLUDE, Step.DATA_LOSS})
_MAX_EMERGENCY_ROUNDS = 10
_MAX_ROUNDS = 50  # a step that neither waits nor ends is a defect: raise instead of spinning


class Cursor(BaseModel):
    """The state that travels through Step Functions: small, free of secrets, readable in the console."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollback_id: str
    next: Step
    wait_seconds: int = 0
    summary: str = ""


def cursor_of(rollback: Rollback) -> Cursor:
    """Make the cursor of a document: its next step and a summary."""
    outcome = f": {rollback.outcome}" if rollback.outcome else ""
    summary = f"{rollback.request.type} rollback of {rollback.service_name}{outcome} {rollback.reason}".strip()
    return Cursor(
        rollback_id=rollback.id, next=next_step(rollback), wait_seconds=rollback.wait_seconds, summary=summary[:500]
    )


def start_rollback(execution_input: object, execution: str, started_at: datetime, ports: AllPorts) -> Cursor:
    """Admit a rollback, emit that it started, and return the cursor to its next step. Arguments as `start_emergency`.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    rollback = admit(execution_input, execution, started_at, ports)
    emit_phases(None, rollback, ports)
    return cursor_of(rollback)


def start_emergency(execution_input: object, execution: str, started_at: datetime, ports: AllPorts) -> Cursor:
    """Admit, plan, and make the first change to ECS in one invocation, with short timeouts.

    A second call continues from the saved document.

    Args:
        execution_input: an operator's input or an EventBridge event, unchanged.
        execution: ARN of the execution.
        started_at: when the execution started.
        ports: access to AWS, Neon and the ledger.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    fast_ports = with_definition_memo(ports.with_short_timeouts())
    rollback = admit(execution_input, execution, started_at, fast_ports)
    for _ in range(_MAX_EMERGENCY_ROUNDS):
        step = next_step(rollback)
        if step not in (Step.EMERGENCY, Step.SERVICE) or rollback.wait_seconds:
            break
        rollback = _run_round(rollback, step, fast_ports)
    emit_phases(None, rollback, fast_ports)
    return cursor_of(rollback)


def run_step(rollback_id: str, due: Step, ports: AllPorts, failure: str | None = None) -> Cursor:
    """Run one step until it waits or another step is due. A retry continues from the saved document.

    Args:
        rollback_id: the rollback.
        due: the step that the caller's cursor names.
        ports: access to AWS, Neon and the ledger.
        failure: error of the step that Step Functions caught on the way to Conclude; None: no step failed.

    Raises:
        KeyError: the ledger has no such rollback.
        UnreadableItem: the document can't be read.
        ExternalServiceError: nothing is lost; call again (not after `CallRefused`).
        Conflict: another process saved the document; call again.
    """
    rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
    ports = with_definition_memo(ports.for_settings(rollback.settings))
    if rollback.is_emergency and due in (Step.EMERGENCY, Step.SERVICE):
        ports = ports.with_short_timeouts()
    announced: Rollback | None = rollback
    if failure is not None and rollback.outcome is None:
        rollback = ports.ledger.save(rollback.evolve(outcome=Outcome.FAILED, reason=failure[:2000], wait_seconds=0))
    if failure is not None and next_step(rollback) is Step.DATA_LOSS:
        rollback = ports.ledger.save(stop_comparison(rollback, failure, ports.clock.now()))
    for _ in range(_MAX_ROUNDS):
        step = next_step(rollback)
        if rollback.concluded_at is not None:  # the data-loss analysis needs no lease
            release_leases(rollback, ports)
        if step is not due or step is Step.DONE:
            return cursor_of(rollback)
        rollback = _run_round(rollback, step, ports)
        announced = emit_phases(announced, rollback, ports)
        if rollback.wait_seconds:
            return cursor_of(rollback)
    raise Conflict(f"{rollback_id}: step {due} ran {_MAX_ROUNDS} rounds without waiting; call it again")


def _run_round(rollback: Rollback, step: Step, ports: AllPorts) -> Rollback:
    """Run and save one round of a step. A lost lease ends the rollback: its new holder acts and reports."""
    try:
        # Conclude may be reached without the lease, and takes the lease where it needs one.
        if step not in _WITHOUT_LEASE and not rollback.never_acts:
            counter = renew_service_lease(rollback, ports)
            if counter != rollback.lease_counter:
                return ports.ledger.save(rollback.evolve(lease_counter=counter))
            if step is not Step.DATABASE:  # the database step holds these leases itself
                renew_leases_of_stopped_services(rollback, ports)
        if step in _BEGINNING:
            supersede_waiting(rollback, ports)
        after = _action_of(step)(rollback, ports)
        asks = step is Step.PLAN and after.is_at_gate  # its event may be lost; the janitor then asks the people
        if asks or (step is Step.CONCLUDE and after.concluded_at is not None):
            want_deliveries(after, CHANNELS, ports)
        return ports.ledger.save(after, under_lease_until=_lease_needed_until(rollback, after, step, ports))
    except (CallRefused, UnsupportedService) as refusal:
        if step in _AFTER_OUTCOME:  # the outcome is known: the janitor finishes the conclusion
            raise
        return ports.ledger.save(rollback.fail_on_refused_call(refusal))
    except LeaseLost as lease_lost:
        return ports.ledger.save(
            rollback.evolve(
                outcome=Outcome.ABORTED,
                reason=str(lease_lost),
                taken_over_by=successor_of(rollback, ports),
                is_operator_abort=bool(rollback.is_operator_abort),  # `unlock --force` records it
                wait_seconds=0,
            )
        )


def _lease_needed_until(before: Rollback, after: Rollback, step: Step, ports: AllPorts) -> datetime | None:
    """When the function that makes an announced change has ended (rule 9: the lease outlasts the function).

    Returns:
        None: the round announced no change, and opened no gate.
    """
    policy, now = ports.settings.policy, ports.clock.now()
    if step is Step.PLAN:  # the gate opens under the lease: two rollbacks of a service never wait together
        return now if after.is_at_gate else None
    if step is Step.DATABASE:
        until = now + timedelta(seconds=policy.database_timeout_seconds)
        return until if has_new_intent(before, after) else None
    if step is Step.RECONNECT:
        until = now + timedelta(seconds=policy.database_timeout_seconds)
        return until if announces_reconnection(before, after) else None
    if step is Step.VERIFY:
        return announces_smoke(before, after)
    intent = after.service.intent if after.service is not None else None
    previous_intent = before.service.intent if before.service is not None else None
    is_new_intent = intent is not None and intent != previous_intent
    return now + timedelta(seconds=policy.act_timeout_seconds) if is_new_intent else None


def _action_of(step: Step) -> Callable[[Rollback, AllPorts], Rollback]:
    match step:
        case Step.EMERGENCY:
            return plan_emergency
        case Step.PLAN:
            return plan
        case Step.APPROVE:
            return approve
        case Step.DATABASE:
            return database
        case Step.SERVICE:
            return service
        case Step.RECONNECT:
            return reconnect
        case Step.VERIFY:
            return verify
        case Step.CONCLUDE:
            return conclude
        case Step.DATA_LOSS:
            return compare_lost_rows
        case Step.ADMIT | Step.DONE:
            raise Conflict(f"{step} can't be run: Admit creates the document, and done is the end")
        case _:
            assert_never(step)
