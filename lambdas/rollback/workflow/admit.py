"""Admit: understand what is asked, once; see that it still is so; take the lease.

Order: read the input → document and event mark in one write → stale, or not a change for the worse → the alarm or the
deployment as it stands now → lease. Whatever ends here leaves a record with its checks and reason. CloudWatch and ECS
tell of a change once: a suppression that may pass has `recheck_at`, and the janitor then starts another look, in the
same record (`model.look_again`).
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from rollback.check import Check, Verdict
from rollback.domain.event import is_event, judge_event, read_event
from rollback.domain.lease import Lease
from rollback.domain.ledger_index import FAILED_DEPLOYMENT
from rollback.domain.request import OPERATOR_TRIGGERS, Request, RollbackType, Trigger, parse_request
from rollback.domain.rollback import Obligation, ObligationKind, Outcome, Rollback, TriggerEvent, rollback_id
from rollback.errors import CallRefused, Conflict, ExternalServiceError, InvalidRequest, RollbackError
from rollback.guards.evidence import ALARM_IS_IN_ALARM
from rollback.guards.failed_deployment import SAME_FAILURE_WINDOW, judge_failed_deployment, judge_failure_is_new
from rollback.identity.identify import is_ours
from rollback.intents.caused import check_not_caused_by_rollback
from rollback.leases.holder import find_rollback
from rollback.leases.takeover import find_takeover_objection
from rollback.ports.world import World
from rollback.workflow.look_again import find_recheck_rollback_id


def admit(given: object, execution: str, started_at: datetime, world: World) -> Rollback:
    """Admit one start; called again with the same execution it goes on where it was.

    Args:
        given: a person's input or an EventBridge event, exactly as it came.
        execution: ARN of the execution (or what else is unique to this start).
        started_at: when it started; part of the document's id.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    looked_at_before = find_recheck_rollback_id(given)
    if looked_at_before is not None:
        return _admit_new(_reopen_suppressed(looked_at_before, given, execution, world), given, world)
    request, trigger, event = _parse_input(given, world)
    new = Rollback(
        id=rollback_id(request.service, started_at, execution),
        environment=world.settings.environment,
        settings=world.settings,
        request=request,
        trigger=trigger,
        event=event,
        execution=execution,
        created_at=world.clock.now(),
    )
    try:
        rollback = world.ledger.create(new)
    except Conflict as duplicate:
        # One write, outcome and all: a document without its event must never be taken for an admissible one by a retry.
        check = Check.failed("event-is-new", f"duplicate: {duplicate}", suppresses=True)
        ended = {"event": None, "outcome": Outcome.SUPPRESSED, "reason": check.reason, "admission": (check,)}
        return world.ledger.create(new.evolve(**ended))
    return _admit_new(rollback, given, world)


def _reopen_suppressed(looked_at_before: str, given: object, execution: str, world: World) -> Rollback:
    """The record of a trigger that was not acted upon, for another look; called again, the same.

    Raises:
        InvalidRequest: there is no such record, or it is not to be looked at again.
    """
    before = find_rollback(looked_at_before, world)
    if before is None:
        raise InvalidRequest(f"the ledger has no readable rollback {looked_at_before}; nothing was changed")
    if before.execution == execution:
        return before
    if before.concluded_at is None or before.recheck_at is None:
        raise InvalidRequest(
            f"{before.id} is not to be looked at again: it {_describe_end(before)}; nothing was changed"
        )
    request, _, _ = _parse_input(given, world)
    return world.ledger.reopen(before.begin_evaluation(request, execution, world.settings, world.clock.now()))


def _describe_end(rollback: Rollback) -> str:
    return "is open" if rollback.concluded_at is None else f"ended for good ({rollback.outcome})"


def _admit_new(rollback: Rollback, given: object, world: World) -> Rollback:
    if rollback.admitted_at is not None or rollback.outcome is not None:
        return rollback
    try:
        checks = _judge_trigger(rollback, given, world)
    except CallRefused as refused:
        return world.ledger.save(rollback.mark_refused(refused))
    failed = next((check for check in checks if check.verdict is Verdict.FAIL), None)
    if failed is not None:
        return _suppress(rollback, checks, failed, world)
    if rollback.never_acts:  # it stands in nobody's way: no lease, no debts, nobody is taken over
        return world.ledger.save(rollback.evolve(admission=checks, admitted_at=world.clock.now()))
    return _take_lease(rollback, checks, world)


def _judge_trigger(rollback: Rollback, given: object, world: World) -> tuple[Check, ...]:
    """What speaks for and against the event, the alarm as it stands now included."""
    if not isinstance(given, Mapping) or not is_event(given) or rollback.event is None:
        return ()
    checks = judge_event(given, world.settings.policy, rollback.began_at, world.home)
    alarm = rollback.event.alarm
    if any(check.verdict is Verdict.FAIL for check in checks):
        return checks
    if alarm is None:
        return (*checks, *_failed_deployment(rollback, rollback.event, world))
    try:
        state = world.alarms.states((alarm,)).get(alarm, "gone")
    except ExternalServiceError as failure:
        if rollback.request.type is not RollbackType.EMERGENCY:
            raise
        reason = f"could not be asked, the event is believed: {failure}"
        return (*checks, Check.warned(ALARM_IS_IN_ALARM, reason))
    if state == "ALARM":
        red = Check.passed(ALARM_IS_IN_ALARM, f"{alarm} is in ALARM")
        return (*checks, red, _is_not_muted(alarm, world))
    reason = f"alarm {alarm} is not in ALARM any more but {state}"
    return (*checks, Check.failed(ALARM_IS_IN_ALARM, reason, suppresses=True))


def _is_not_muted(alarm: str, world: World) -> Check:
    """Whether an alarm mute rule of the team silences the alarm now; without an answer the alarm is believed.

    Mute rules hold back an alarm's actions; its state changes, and EventBridge tells of it (CloudWatch User Guide,
    "Alarm mute rules"): a rule that starts rollbacks has to ask.
    """
    name = "alarm-is-not-muted"
    try:
        rules = world.alarms.mute_rules(alarm)
    except ExternalServiceError as failure:
        reason = f"could not be asked, the alarm is believed: {failure}"
        return Check.warned(name, reason)
    if not rules:
        return Check.passed(name, "no mute rule is active")
    again = world.clock.now() + timedelta(minutes=world.settings.policy.recheck_minutes)
    reason = f"{alarm} is muted by {', '.join(rules)}: looked at again until that ends"
    return Check.failed(name, reason, suppresses=True, recheck_due_at=again)


def _failed_deployment(rollback: Rollback, event: TriggerEvent, world: World) -> tuple[Check, ...]:
    since = rollback.created_at - timedelta(minutes=world.settings.policy.stale_trigger_minutes) - SAME_FAILURE_WINDOW
    answers = world.ledger.answers(rollback.service_name, FAILED_DEPLOYMENT, since).items
    view = world.services.describe(world.settings.service(rollback.service_name))
    newest = view.newest if answers else None
    teams = newest is not None and not is_ours(newest.target_definition_arn, world)
    caused = check_not_caused_by_rollback(rollback.service_name, event.deployment_id, view, world)
    if caused.verdict is Verdict.FAIL:
        return (caused,)
    is_new = judge_failure_is_new(rollback, answers, newest.created_at if newest is not None and teams else None)
    if is_new.verdict is Verdict.FAIL:
        return (is_new,)
    return caused, is_new, judge_failed_deployment(view, event.deployment_id)


def _take_lease(rollback: Rollback, checks: tuple[Check, ...], world: World) -> Rollback:
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lease = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    stopped = None
    if lease is None:
        lease, stopped, why_not = _take_over(rollback, now, until, world)
        if lease is None:
            recheck = now + timedelta(minutes=world.settings.policy.recheck_minutes)
            check = Check.failed("service-is-free", why_not, suppresses=True, recheck_due_at=recheck)
            return _suppress(rollback, (*checks, check), check, world)
    open_ones, unreadable = _open_rollbacks(rollback, world)
    checks = (*checks, *unreadable)
    unsettled = next((r for r in open_ones if _is_never_resumed(r)), None)
    if unsettled is not None and not (rollback.trigger is Trigger.MANUAL and rollback.request.force):
        return _suppress_behind_fence(rollback, checks, unsettled, world)
    admitted = rollback.evolve(
        admission=checks,
        admitted_at=now,
        lease_counter=lease.counter,
        supersedes=next((r.id for r in open_ones if _is_resumable(r, rollback)), None),
        inherits_fence_of=unsettled.id if unsettled is not None and unsettled.is_fenced else None,
        obligations=_inherited_obligations(open_ones),
    )
    saved = world.ledger.save(admitted)
    if stopped is not None and stopped.outcome is None:  # one that is ending hands over what it owes, and ends
        with suppress(RollbackError):  # without its lease it ends by itself at its next step
            world.workflow.stop(stopped.execution, f"{rollback.id} took its lease over")
    return saved


def _is_never_resumed(earlier: Rollback) -> bool:
    """Its fence stands around data that it changed; or a person ended a rollback behind that fence (rule 3)."""
    stays = earlier.is_aborted_by_operator or earlier.inherits_fence_of is not None
    return earlier.has_changed_data or (stays and earlier.is_fenced)


def _suppress_behind_fence(
    rollback: Rollback, checks: tuple[Check, ...], unsettled: Rollback, world: World
) -> Rollback:
    """Its lease ran out, and what it fenced stands at zero: whoever inherited the fence would lift it.

    The janitor concludes it first, which leaves the fence to a person.
    """
    world.ledger.release_lease(rollback.service_name, rollback.id)
    recheck = world.clock.now() + timedelta(minutes=world.settings.policy.recheck_minutes)
    why = "has changed the database" if unsettled.has_changed_data else "was ended by a person behind its fence"
    reason = (
        f"{unsettled.id} {why}, and is not concluded: nobody goes on before that; the janitor concludes it within "
        f"minutes, or `rollback abort {rollback.environment} {unsettled.id} --reason '…'`"
    )
    check = Check.failed("fence-is-settled", reason, suppresses=True, recheck_due_at=recheck)
    return _suppress(rollback, (*checks, check), check, world)


def _take_over(
    rollback: Rollback, now: datetime, until: datetime, world: World
) -> tuple[Lease | None, Rollback | None, str]:
    """Rule 1: the lease of a living rollback, if it may be taken: lease, whom it was taken from, why not."""
    held = world.ledger.lease(rollback.service_name)
    if held is None:  # given back this moment
        return world.ledger.acquire(rollback.service_name, rollback.id, now, until), None, "the lease has just changed"
    holder = find_rollback(held.holder, world)
    why_not = (
        find_takeover_objection(rollback, holder)
        if holder is not None
        else _why_wait_for_unreadable_holder(rollback, held, world)
    )
    paused = rollback.trigger not in OPERATOR_TRIGGERS and world.ledger.pause(rollback.service_name) is not None
    if why_not is None and paused:
        why_not = f"automatic rollbacks are paused, and {held.holder} goes on"  # it would be ended for nothing
    if why_not is not None:
        return None, None, why_not
    lease = world.ledger.take_over(held, rollback.id, until)
    return lease, holder, f"the lease on {rollback.service_name} has just changed hands"


def _why_wait_for_unreadable_holder(rollback: Rollback, held: Lease, world: World) -> str | None:
    """Whether to wait for a holder whose record is gone or can't be read. An emergency does not wait.

    Unless a fence of that holder stands (rule 1): what a rollback owes is kept beside its record.
    """
    if rollback.trigger is Trigger.MANUAL and rollback.request.force:
        return None
    owed = world.ledger.owed(rollback.service_name)
    fenced = any(
        one.rollback_id == held.holder and any(o.kind is ObligationKind.FENCE for o in one.obligations)
        for one in owed.items
    )
    if rollback.request.type is RollbackType.EMERGENCY and not fenced:
        return None
    return f"{held.holder} holds the lease on {rollback.service_name}, and its record can't be read"


def _open_rollbacks(rollback: Rollback, world: World) -> tuple[list[Rollback], tuple[Check, ...]]:
    """Rollbacks before this one that have not concluded, newest first: whoever holds the lease goes on with them.

    And a warning about those that can't be read: what they owe is left to an operator.
    """
    pending = world.ledger.pending(rollback.service_name)
    for item in pending.unreadable:
        world.ledger.record_unreadable(item, world.clock.now())
    unreadable = [item.key for item in pending.unreadable]
    found: list[Rollback] = []
    for one in pending.items:
        if not one.is_open or not one.can_act or one.rollback_id == rollback.id:
            continue
        read = find_rollback(one.rollback_id, world)
        if read is None:
            unreadable.append(one.rollback_id)
        elif read.concluded_at is None:
            found.append(read)
    found.sort(key=lambda r: r.began_at, reverse=True)
    if not unreadable:
        return found, ()
    reason = f"can't be read, and are left to an operator: {', '.join(sorted(unreadable))}"
    return found, (Check.warned("ledger-is-readable", reason),)


def _is_resumable(earlier: Rollback, rollback: Rollback) -> bool:
    """One that only has its conclusion left is past that; unless it was stopped half-way, or we took its lease."""
    half_way = earlier.outcome is None or earlier.superseded_by == rollback.id or earlier.is_aborted_midway
    return earlier.admitted_at is not None and half_way


def _inherited_obligations(open_ones: list[Rollback]) -> tuple[Obligation, ...]:
    """What they still owe."""
    return tuple(owed for r in reversed(open_ones) for owed in reversed(r.open_obligations()))


def _parse_input(given: Any, world: World) -> tuple[Request, Trigger, TriggerEvent | None]:
    if is_event(given):
        return read_event(given, world.settings)
    return parse_request(given, world.settings.service_names), Trigger.MANUAL, None


def _suppress(rollback: Rollback, checks: tuple[Check, ...], failed: Check, world: World) -> Rollback:
    return world.ledger.save(
        rollback.evolve(
            admission=checks,
            outcome=Outcome.SUPPRESSED,
            reason=failed.reason,
            recheck_at=failed.recheck_due_at if rollback.event is not None else None,
        )
    )
