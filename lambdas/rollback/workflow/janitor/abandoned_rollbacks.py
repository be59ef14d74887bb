"""Conclude rollbacks whose execution ended, or whose direct process died, without a conclusion."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from rollback.approval.step import with_stored_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.refusal import Refusal
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import CallRefused, Conflict, InvalidRequest, UnreadableItem
from rollback.leases.hold import holds_lease
from rollback.leases.holder import find_rollback, successor_of
from rollback.ports.all_ports import AllPorts
from rollback.text import paragraph
from rollback.workflow.report_steps import REPORT_RUNNER
from rollback.workflow.route import Step


def conclude_execution(
    execution: str, reason: str, ports: AllPorts, *, error: str = "", by_operator: bool = False
) -> list[str]:
    """Conclude the rollback of an execution that ended as FAILED, TIMED_OUT or ABORTED, if the rollback is still open.

    An execution without a record ended in Admit. The operator who mistyped an input, or who stopped the execution,
    sees the end in the console. Any other end is paged.

    Args:
        execution: the execution's ARN.
        reason: how the execution ended, for the record.
        ports: access to AWS, Neon and the ledger.
        error: name of the error that ended the execution.
        by_operator: whether an operator aborted the execution.

    Returns:
        Each action, in one line.
    """
    record = _record_of(execution, ports)
    if isinstance(record, Rollback):
        if record.execution != execution or record.concluded_at is not None:
            return []
        refusal = Refusal() if error == CallRefused.__name__ else None
        recheck = not by_operator and refusal is None
        record = record.evolve(refusal=record.refusal or refusal)
        return [conclude_abandoned(record, reason, ports, recheck=recheck, by_operator=by_operator)]
    if error == InvalidRequest.__name__ or (by_operator and record is None):
        return []
    environment = ports.settings.environment
    page = {"severity": "page", "environment": environment, "report_id": execution}
    fact = "an execution failed in Admit" if record is None else "an execution failed, and its record can't be read"
    subject = f"[{environment}] {fact}"
    ports.notifications.publish(subject, _describe_failed_execution(execution, reason, record, ports), page)
    return [f"{execution} left no record: paged"]


def _describe_failed_execution(execution: str, reason: str, unreadable: UnreadableItem | None, ports: AllPorts) -> str:
    environment, names = ports.settings.environment, ports.settings.service_names
    service_name = names[0] if len(names) == 1 else "SERVICE"
    start = f"rollback start {environment} --service {service_name} --reason '…'"
    consequence = (
        f"The rollback's record can't be read: {unreadable}"
        if unreadable is not None
        else "No rollback was recorded and nothing was changed."
    )
    lines = paragraph(f"Execution {execution}: {reason}. {consequence}")
    return "\n".join((*lines, "Next:", f"  rollback status {environment}", f"  {start}"))


def is_abandoned(rollback: Rollback, ports: AllPorts) -> bool:
    """Whether no process works on an open rollback any more.

    A Step Functions execution is alive while it runs; a direct process while it renews its lease. The janitor's own
    rounds renew that lease too, so `abandoned_at` records that the direct process was found dead. A rollback younger
    than a lease may still be starting, unless it has its outcome already: then only its conclusion is missing.
    """
    now = ports.clock.now()
    if rollback.is_direct and _may_wait_at_gate(rollback, now, ports):
        return False
    if rollback.is_direct and rollback.abandoned_at is None and holds_lease(rollback, now, ports):
        return False
    is_young = now - rollback.began_at < timedelta(minutes=ports.settings.policy.lease_minutes)
    may_be_starting = is_young and (rollback.outcome is None or rollback.is_direct)
    return not may_be_starting and not ports.workflow.is_running(rollback.execution)


def _may_wait_at_gate(rollback: Rollback, now: datetime, ports: AllPorts) -> bool:
    """Whether a direct process may still wait for an approval: it then holds no lease that would show its life."""
    gate = rollback.approval
    return gate is not None and rollback.is_at_gate and now < gate.expires_at + _grace(ports)


def end_overdue_gate(rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """End a gate whose time is over, or whose decision ends the rollback, if no execution was woken for it.

    An approval is left to the execution, which goes on with it.
    """
    gate = rollback.approval
    if gate is None or not rollback.is_at_gate:
        return
    decision = ports.ledger.approval_decision(rollback.id, gate.nonce)
    is_late = ports.clock.now() >= gate.expires_at + _grace(ports)
    is_ended = decision is not None and decision.kind is not DecisionKind.APPROVED
    if (decision is None and is_late) or is_ended:
        with suppress(Conflict):  # the execution ends the gate at the same time
            cursor = REPORT_RUNNER.run(rollback.id, Step.APPROVE, ports)
            yield f"{rollback.id}: its gate is over, {cursor.next}"


def _grace(ports: AllPorts) -> timedelta:
    return timedelta(minutes=ports.settings.policy.lease_minutes)


def conclude_abandoned(
    rollback: Rollback, reason: str, ports: AllPorts, *, recheck: bool = False, by_operator: bool = False
) -> str:
    """Give an abandoned rollback its outcome and conclude as far as possible; the next sweep continues.

    A rollback that had changed something has failed; any other is aborted.

    Args:
        rollback: an open rollback.
        reason: how its execution ended.
        ports: access to AWS, Neon and the ledger.
        recheck: evaluate the trigger again if the rollback was aborted before it changed anything.
        by_operator: an operator stopped the rollback: it is aborted, and stays fenced if it is (rule 3: aborted while
            fenced, stay fenced and page).

    Returns:
        The state of the conclusion, in one line.
    """
    ports = ports.for_settings(rollback.settings)
    try:
        if rollback.is_direct and rollback.abandoned_at is None:
            rollback = ports.ledger.save(rollback.evolve(abandoned_at=ports.clock.now()))
        if rollback.outcome is None:
            rollback = _end(rollback, reason, ports, recheck=recheck, by_operator=by_operator)
        cursor = REPORT_RUNNER.run(rollback.id, Step.CONCLUDE, ports)
    except Conflict:
        return f"{rollback.id} is being concluded by another process"
    return f"{rollback.id}: {cursor.next}"


def _end(rollback: Rollback, reason: str, ports: AllPorts, *, recheck: bool, by_operator: bool) -> Rollback:
    has_failed = rollback.has_acted or rollback.refusal is not None
    outcome = Outcome.FAILED if has_failed and not by_operator else Outcome.ABORTED
    recheck_at, exhaustion_note, crashes = None, "", rollback.crashed_evaluations
    if recheck and outcome is Outcome.ABORTED and rollback.may_be_evaluated_again:
        crashes += 1
        evaluations = _count_other_crashes(rollback, ports) + crashes
        if evaluations < ports.settings.policy.attempts_per_window:
            recheck_at = ports.clock.now()
        else:
            exhaustion_note = (
                f"the trigger was evaluated {evaluations} times without an answer, and is left to an operator"
            )
    successor = successor_of(rollback, ports)  # a successor stops the execution too, as an operator does
    return ports.ledger.save(
        with_stored_decision(rollback, ports).evolve(
            outcome=outcome,
            reason="; ".join(part for part in (reason, rollback.reason, exhaustion_note) if part),
            recheck_at=recheck_at,
            crashed_evaluations=crashes,
            taken_over_by=successor,
            is_operator_abort=bool(rollback.is_operator_abort) or (by_operator and successor is None),
        )
    )


def _count_other_crashes(rollback: Rollback, ports: AllPorts) -> int:
    """Count recent crashes of other rollbacks for the same alarm: the cause of the crashes may persist."""
    since = ports.clock.now() - timedelta(minutes=ports.settings.policy.attempt_window_minutes)
    alarm = rollback.event.alarm if rollback.event is not None else None
    if alarm is None:
        return 0
    answers = ports.ledger.trigger_results(rollback.service_name, alarm, since)
    return sum(answer.crashed_evaluations for answer in answers.items if answer.rollback_id != rollback.id)


def _record_of(execution: str, ports: AllPorts) -> Rollback | UnreadableItem | None:
    """The execution's rollback; the error if its item can't be read; None if the execution left no record."""
    try:
        key = ports.ledger.find_by_execution(execution)
        if key is not None:
            return ports.ledger.read(*key)
    except KeyError:
        return None
    except UnreadableItem as unreadable:
        ports.ledger.record_unreadable(unreadable, ports.clock.now())
        return unreadable
    for entry in ports.ledger.pending().items:  # an older version of the code kept no index of executions
        if entry.execution == execution:
            return find_rollback(entry.rollback_id, ports)
    return None
