"""Admit: read the input once, check that the trigger still holds, and take the lease.

Order: read the input, write document and event marker in one transaction, judge the event, read the alarm's or the
deployment's present state, take the lease. A start that ends here leaves a record with its checks and its reason.

CloudWatch and ECS report a change once. A suppression that may pass therefore has `recheck_at`: the janitor then
starts another evaluation of the trigger in the same record (`workflow.recheck_event`).
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from rollback.approval.verify_identity import verify_identity
from rollback.check import Check, Verdict
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import PROOF, purpose_of_start, without_proof
from rollback.domain.drills.eligibility import why_not_allowed
from rollback.domain.event import is_event, judge_event, read_event
from rollback.domain.health_check import is_health_check, judge_health_check, read_health_check
from rollback.domain.ledger.index import FAILED_DEPLOYMENT
from rollback.domain.request import DEPLOYMENT_CHECKS, Request, RollbackType, Trigger, parse_request
from rollback.domain.rollback import EVENT_IS_NEW, Outcome, Rollback, TriggerEvent, rollback_id
from rollback.errors import CallRefused, Conflict, ExternalServiceError, InvalidRequest, RollbackError
from rollback.guards.evidence import ALARM_IS_IN_ALARM
from rollback.guards.failed_deployment import SAME_FAILURE_WINDOW, judge_failed_deployment, judge_failure_is_new
from rollback.identity.identify import is_registered_by_rollback
from rollback.intents.caused import check_not_caused_by_rollback
from rollback.leases.holder import (
    find_predecessors,
    find_rollback,
    find_unsettled_holder,
    inherited_obligations,
    is_resumable,
    must_conclude_first,
)
from rollback.leases.ports import LeasePorts
from rollback.leases.take import LeaseDenied, take_service_lease
from rollback.leases.takeover import find_gate_objection
from rollback.ports.holders import HasLedger, HasSettings
from rollback.workflow.ports import AdmissionPorts
from rollback.workflow.recheck_event import find_recheck_rollback_id


def admit(execution_input: object, execution: str, started_at: datetime, ports: AdmissionPorts) -> Rollback:
    """Admit one start. Called again with the same execution, Admit continues where it stopped.

    Args:
        execution_input: an operator's input or an EventBridge event, unchanged.
        execution: ARN of the execution, or another text that is unique to this start.
        started_at: when the execution started; part of the document's id.
        ports: access to AWS, Neon and the ledger.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    rechecked_id = find_recheck_rollback_id(execution_input)
    if rechecked_id is not None:
        return _admit_new(_reopen_suppressed(rechecked_id, execution_input, execution, ports), execution_input, ports)
    request, trigger, event = _parse_input(execution_input, ports)
    requester, proof_checks = _verify_requester(request, execution_input, execution, started_at, ports)
    new_rollback = Rollback(
        id=rollback_id(request.service, started_at, execution),
        environment=ports.settings.environment,
        settings=ports.settings,
        request=request,
        trigger=trigger,
        event=event,
        requester=requester,
        admission=proof_checks,
        execution=execution,
        created_at=ports.clock.now(),
    )
    try:
        rollback = ports.ledger.create(new_rollback)
    except Conflict as duplicate:
        # Event and outcome are written together: without its event, a retry would take the document for admissible.
        check = Check.failed(EVENT_IS_NEW, f"duplicate: {duplicate}", suppresses=True)
        fields = {"event": None, "outcome": Outcome.SUPPRESSED, "reason": check.reason, "admission": (check,)}
        return ports.ledger.create(new_rollback.evolve(**fields))
    return _admit_new(rollback, execution_input, ports)


def _parse_input(execution_input: Any, ports: HasSettings) -> tuple[Request, Trigger, TriggerEvent | None]:
    if is_event(execution_input):
        return read_event(execution_input, ports.settings)
    if is_health_check(execution_input):
        return read_health_check(without_proof(execution_input), ports.settings)
    request = parse_request(without_proof(execution_input), ports.settings.service_names)
    if not request.drill:
        return request, Trigger.MANUAL, None
    why_not = why_not_allowed(request, ports.settings)
    if why_not is not None:
        raise InvalidRequest(f"no drill was started: {why_not}; nothing was changed")
    return request, Trigger.DRILL, None


def _verify_requester(
    request: Request, execution_input: object, execution: str, started_at: datetime, ports: AdmissionPorts
) -> tuple[Identity | None, tuple[Check, ...]]:
    """Verify who starts a rollback, if the input has a proof. An emergency asks nobody, and records a claim only.

    The proof's age is judged at the start: a slow or repeated Admit makes no requester unproven.
    """
    if not isinstance(execution_input, Mapping) or is_event(execution_input):
        return None, ()
    proof = execution_input.get(PROOF)
    if proof is None or request.type is RollbackType.EMERGENCY:
        return None, ()
    purpose = purpose_of_start(execution_input, execution)
    verification = verify_identity(proof, purpose, request.requested_by, ports, used_at=started_at)
    if not verification.problem:
        return verification.identity, ()
    reason = f"{verification.identity}: the proof of identity does not count: {verification.problem}"
    return None, (Check.warned("proof-of-requester-is-valid", reason),)


def _reopen_suppressed(rechecked_id: str, execution_input: object, execution: str, ports: LeasePorts) -> Rollback:
    """Reopen the record of a suppressed trigger for another evaluation; a retry finds the reopened record.

    Raises:
        InvalidRequest: the ledger has no such record, or the record has no recheck due.
    """
    rollback = find_rollback(rechecked_id, ports)
    if rollback is None:
        raise InvalidRequest(f"the ledger has no readable rollback {rechecked_id}; nothing was changed")
    if rollback.execution == execution:
        return rollback
    if rollback.concluded_at is None or rollback.recheck_at is None:
        state = "is open" if rollback.concluded_at is None else f"ended finally ({rollback.outcome})"
        raise InvalidRequest(f"{rollback.id} is not due for another evaluation: it {state}; nothing was changed")
    request, _, _ = _parse_input(execution_input, ports)
    return ports.ledger.reopen(rollback.begin_evaluation(request, execution, ports.settings, ports.clock.now()))


def _admit_new(rollback: Rollback, execution_input: object, ports: AdmissionPorts) -> Rollback:
    if rollback.admitted_at is not None or rollback.outcome is not None:
        return rollback
    try:
        checks = _judge_trigger(rollback, execution_input, ports)
    except CallRefused as refusal:
        return ports.ledger.save(rollback.fail_on_refused_call(refusal))
    failed = next((check for check in checks if check.verdict is Verdict.FAIL), None)
    checks = (*rollback.admission, *checks)
    if failed is not None:
        return _suppress(rollback, checks, failed, ports)
    if rollback.never_acts:  # such a rollback takes no lease and no obligations, so it blocks no other
        return ports.ledger.save(rollback.evolve(admission=checks, admitted_at=ports.clock.now()))
    return _admit_under_lease(rollback, checks, ports)


def _judge_trigger(rollback: Rollback, execution_input: object, ports: AdmissionPorts) -> tuple[Check, ...]:
    """Checks of an event, and of the present state of its alarm or deployment; none for an operator's input."""
    if rollback.trigger in DEPLOYMENT_CHECKS and rollback.event is not None:
        return _judge_checked_deployment(rollback, rollback.event, ports)
    if not isinstance(execution_input, Mapping) or not is_event(execution_input) or rollback.event is None:
        return ()
    checks = judge_event(execution_input, ports.settings.policy, rollback.began_at, ports.account_and_region)
    if any(check.verdict is Verdict.FAIL for check in checks):
        return checks
    if rollback.event.alarm is None:
        return (*checks, *_judge_deployment(rollback, rollback.event, ports))
    return (*checks, *_judge_alarm(rollback, rollback.event.alarm, ports))


def _judge_alarm(rollback: Rollback, alarm: str, ports: AdmissionPorts) -> tuple[Check, ...]:
    """Check that the alarm is in ALARM and not muted. Without CloudWatch's answer, an emergency believes the event."""
    try:
        state = ports.alarms.states((alarm,)).get(alarm, "gone")
    except ExternalServiceError as failure:
        if rollback.request.type is not RollbackType.EMERGENCY:
            raise
        return (Check.warned(ALARM_IS_IN_ALARM, f"CloudWatch could not be asked, so the event is believed: {failure}"),)
    if state == "ALARM":
        return Check.passed(ALARM_IS_IN_ALARM, f"{alarm} is in ALARM"), _check_not_muted(alarm, ports)
    reason = f"alarm {alarm} is {state}, not in ALARM any more"
    return (Check.failed(ALARM_IS_IN_ALARM, reason, suppresses=True),)


def _check_not_muted(alarm: str, ports: AdmissionPorts) -> Check:
    """Check that no mute rule of the team mutes the alarm now; without an answer the alarm is believed.

    Mute rules suppress an alarm's actions, but not its state changes, which EventBridge delivers (CloudWatch User
    Guide, "Alarm mute rules"). A rule that starts rollbacks therefore has to ask.
    """
    name = "alarm-is-not-muted"
    try:
        rules = ports.alarms.mute_rules(alarm)
    except ExternalServiceError as failure:
        return Check.warned(name, f"mute rules could not be read, so the alarm is believed: {failure}")
    if not rules:
        return Check.passed(name, "no mute rule is active")
    reason = f"{alarm} is muted by {', '.join(rules)}; the alarm is evaluated again until the mute ends"
    return Check.failed(name, reason, suppresses=True, recheck_due_at=_recheck_time(ports.clock.now(), ports))


def _judge_deployment(rollback: Rollback, event: TriggerEvent, ports: AdmissionPorts) -> tuple[Check, ...]:
    """Check that a failed deployment is the team's, is new, and is confirmed by ECS; the first objection decides."""
    since = rollback.created_at - timedelta(minutes=ports.settings.policy.stale_trigger_minutes) - SAME_FAILURE_WINDOW
    answers = ports.ledger.trigger_results(rollback.service_name, FAILED_DEPLOYMENT, since).items
    view = ports.services.describe(ports.settings.service(rollback.service_name))
    newest = view.newest if answers else None
    is_team_deployment = newest is not None and not is_registered_by_rollback(newest.target_definition_arn, ports)
    not_caused_check = check_not_caused_by_rollback(rollback.service_name, event.deployment_id, view, ports)
    if not_caused_check.verdict is Verdict.FAIL:
        return (not_caused_check,)
    deployment_began_at = newest.created_at if newest is not None and is_team_deployment else None
    is_new_check = judge_failure_is_new(rollback, answers, deployment_began_at)
    if is_new_check.verdict is Verdict.FAIL:
        return (is_new_check,)
    return not_caused_check, is_new_check, judge_failed_deployment(view, event.deployment_id)


def _judge_checked_deployment(rollback: Rollback, event: TriggerEvent, ports: AdmissionPorts) -> tuple[Check, ...]:
    """Check that the deployment whose checks failed is fresh, PRIMARY, and the team's (rule 5)."""
    view = ports.services.describe(ports.settings.service(rollback.service_name))
    checks = judge_health_check(event, view, ports.settings.policy, rollback.began_at)
    if any(check.verdict is Verdict.FAIL for check in checks):
        return checks
    is_of_rollback = is_registered_by_rollback(view.primary.definition_arn, ports)
    objection = f"{event.deployment_id} was deployed by a rollback, not by a release" if is_of_rollback else None
    is_a_release = Check.failed_if(
        objection, "deployment-is-a-release", "the team deployed it", suppresses=objection is not None
    )
    not_caused = check_not_caused_by_rollback(rollback.service_name, event.deployment_id, view, ports)
    return (*checks, is_a_release, not_caused)


def _admit_under_lease(rollback: Rollback, checks: tuple[Check, ...], ports: AdmissionPorts) -> Rollback:
    """Take the lease; inherit the obligations of predecessors, and continue the newest of them that can be resumed."""
    now = ports.clock.now()
    if rollback.is_drill:
        open_check = _check_no_other_rollback(rollback, ports)
        if open_check.verdict is Verdict.FAIL:
            return _suppress(rollback, (*checks, open_check), open_check, ports)
        checks = (*checks, open_check)
    unsettled = find_unsettled_holder(rollback.service_name, ports) if not rollback.is_forced_by_operator else None
    if unsettled is not None:
        return _suppress_behind_fence(rollback, checks, unsettled, ports)
    lease_result = take_service_lease(rollback, now, ports)
    if isinstance(lease_result, LeaseDenied):
        recheck_at = _recheck_time(now, ports)
        check = Check.failed("service-is-free", lease_result.reason, suppresses=True, recheck_due_at=recheck_at)
        return _suppress(rollback, (*checks, check), check, ports)
    predecessors, unreadable = find_predecessors(rollback, ports)
    checks = (*checks, *unreadable)
    waiting = [earlier for earlier in predecessors if earlier.is_at_gate]
    predecessors = [earlier for earlier in predecessors if not earlier.is_at_gate]
    gate_objection = next(filter(None, (find_gate_objection(rollback, other) for other in waiting)), None)
    if gate_objection is not None:
        ports.ledger.release_lease(rollback.service_name, rollback.id)
        check = Check.failed("no-approval-is-pending", gate_objection, suppresses=True)
        return _suppress(rollback, (*checks, check), check, ports)
    fenced = next((earlier for earlier in predecessors if must_conclude_first(earlier)), None)
    if fenced is not None and not rollback.is_forced_by_operator:  # its lease had been released or taken over
        ports.ledger.release_lease(rollback.service_name, rollback.id)
        return _suppress_behind_fence(rollback, checks, fenced, ports)
    admitted = rollback.evolve(
        admission=checks,
        admitted_at=now,
        lease_counter=lease_result.lease.counter,
        continues_rollback_id=next((earlier.id for earlier in predecessors if is_resumable(earlier, rollback)), None),
        inherits_fence_of=fenced.id if fenced is not None and fenced.is_fenced else None,
        obligations=inherited_obligations(predecessors),
        supersedes=tuple(other.id for other in waiting),
    )
    saved = ports.ledger.save(admitted)
    previous = lease_result.previous_holder
    is_ended = previous is not None and previous.is_drill and _end_drill(previous, rollback, ports)
    # A holder with an outcome, or at a gate, ends by itself, with the reason.
    if previous is not None and previous.outcome is None and not previous.is_at_gate and not is_ended:
        with suppress(RollbackError):  # without its lease the previous holder ends by itself at its next step
            ports.workflow.stop(previous.execution, f"{rollback.id} took over the lease of {previous.id}")
    return saved


def _end_drill(drill: Rollback, successor: Rollback, ports: HasLedger) -> bool:
    """Give a drill that was taken over its outcome: its own execution then cleans up, whatever the successor does.

    Returns:
        False: the drill was being saved, or the ledger did not answer. Its execution has to be stopped.
    """
    if drill.outcome is not None:
        return True
    reason = f"{successor.id} ({successor.trigger}) took over at once: a drill gives way to every rollback"
    try:
        ports.ledger.save(
            drill.evolve(
                outcome=Outcome.ABORTED,
                reason=reason,
                taken_over_by=successor.id,
                is_operator_abort=False,
                wait_seconds=0,
            )
        )
    except RollbackError:
        return False
    return True


def _check_no_other_rollback(rollback: Rollback, ports: LeasePorts) -> Check:
    """Check that no rollback of the service is open, also none whose lease expired: a drill continues no other."""
    name = "no-other-rollback-is-open"
    predecessors, unreadable = find_predecessors(rollback, ports)
    if predecessors or unreadable:
        others = ", ".join(earlier.id for earlier in predecessors) or unreadable[0].reason
        return Check.failed(name, f"another rollback is open: {others}", suppresses=True)
    return Check.passed(name, "no rollback of the service is open")


def _suppress_behind_fence(
    rollback: Rollback, checks: tuple[Check, ...], fenced: Rollback, ports: LeasePorts
) -> Rollback:
    """Wait without a lease: a successor would lift the fence of a rollback whose lease expired.

    The fenced rollback continues at its next step. If its execution has ended, the janitor concludes the rollback and
    leaves the fence to an operator.
    """
    fact = "may have changed the database" if fenced.has_changed_data else "was ended by an operator behind its fence"
    reason = (
        f"{fenced.id} {fact} and is not concluded. Its execution may still run; otherwise the janitor concludes it "
        f"within minutes. To end it now: `rollback abort {rollback.environment} {fenced.id} --reason '…'`"
    )
    recheck_at = _recheck_time(ports.clock.now(), ports)
    check = Check.failed("fence-is-settled", reason, suppresses=True, recheck_due_at=recheck_at)
    return _suppress(rollback, (*checks, check), check, ports)


def _recheck_time(now: datetime, ports: HasSettings) -> datetime:
    return now + timedelta(minutes=ports.settings.policy.recheck_minutes)


def _suppress(rollback: Rollback, checks: tuple[Check, ...], failed: Check, ports: HasLedger) -> Rollback:
    return ports.ledger.save(
        rollback.evolve(
            admission=checks,
            outcome=Outcome.SUPPRESSED,
            reason=failed.reason,
            recheck_at=failed.recheck_due_at if rollback.may_be_evaluated_again else None,
        )
    )
