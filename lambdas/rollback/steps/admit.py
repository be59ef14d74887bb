"""Admit: understand what is asked, once; see that it still is so; take the lease.

Order: read the input → document and event mark in one write → stale, or not a change for the worse → the alarm as it
stands now → lease. Whatever ends here leaves a record with its checks and reason; a suppression while the alarm goes on
has `recheck_at`, since an alarm is an edge and a suppressed edge never comes again.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from rollback.model.check import Check, Verdict
from rollback.model.errors import Conflict, OutsideFailure, RollbackError
from rollback.model.event import is_event, judge_event, read_event
from rollback.model.guards import BY_HAND
from rollback.model.lease import Lease
from rollback.model.request import Request, RollbackType, Trigger, parse_request
from rollback.model.rollback import Obligation, Outcome, Rollback, TriggerEvent, rollback_id
from rollback.model.takeover import why_not_taken_over
from rollback.steps.ports import World

_LOOK_BACK = 200  # records of one service, suppressed ones too, among which there may be dead ones


def admit(given: object, execution: str, started_at: datetime, world: World) -> Rollback:
    """Admit one start; called again with the same execution it goes on where it was.

    Args:
        given: a person's input or an EventBridge event, exactly as it came.
        execution: ARN of the execution (or what else is unique to this start).
        started_at: when it started; part of the document's id.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    request, trigger, event = _understand(given, world)
    new = Rollback(
        id=rollback_id(request.service, started_at, execution),
        environment=world.settings.environment,
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
        check = Check(name="event-is-new", verdict=Verdict.FAIL, reason=f"duplicate: {duplicate}", suppresses=True)
        ended = {"event": None, "outcome": Outcome.SUPPRESSED, "reason": check.reason, "admission": (check,)}
        return world.ledger.create(new.but(**ended))
    if rollback.admitted_at is not None or rollback.outcome is not None:
        return rollback
    checks = _look(rollback, given, world)
    failed = next((check for check in checks if check.verdict is Verdict.FAIL), None)
    if failed is not None:
        return _suppressed(rollback, checks, failed, world)
    return _take_the_lease(rollback, checks, world)


def _look(rollback: Rollback, given: object, world: World) -> tuple[Check, ...]:
    """What speaks for and against the event, the alarm as it stands now included."""
    if not isinstance(given, Mapping) or not is_event(given) or rollback.event is None:
        return ()
    checks = judge_event(given, world.settings.policy, rollback.created_at, world.home)
    alarm = rollback.event.alarm
    if alarm is None or any(check.verdict is Verdict.FAIL for check in checks):
        return checks
    try:
        state = world.alarms.states((alarm,)).get(alarm, "gone")
    except OutsideFailure as failure:
        if rollback.request.type is not RollbackType.EMERGENCY:
            raise
        reason = f"could not be asked, the event is believed: {failure}"
        return (*checks, Check(name="alarm-is-red", verdict=Verdict.WARN, reason=reason))
    if state == "ALARM":
        return (*checks, Check(name="alarm-is-red", verdict=Verdict.PASS, reason=f"{alarm} is in ALARM"))
    reason = f"alarm {alarm} is not in ALARM any more but {state}"
    return (*checks, Check(name="alarm-is-red", verdict=Verdict.FAIL, reason=reason, suppresses=True))


def _take_the_lease(rollback: Rollback, checks: tuple[Check, ...], world: World) -> Rollback:
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lease = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    stopped = None
    if lease is None:
        lease, stopped, why_not = _take_over(rollback, now, until, world)
        if lease is None:
            recheck = now + timedelta(minutes=world.settings.policy.recheck_minutes)
            check = Check(
                name="service-is-free", verdict=Verdict.FAIL, reason=why_not, suppresses=True, look_again_at=recheck
            )
            return _suppressed(rollback, (*checks, check), check, world)
    open_ones = _open_ones(rollback, world)
    unsettled = next((r for r in open_ones if _is_nobodys_to_go_on_with(r)), None)
    if unsettled is not None and not (rollback.trigger is Trigger.MANUAL and rollback.request.force):
        return _leave_alone(rollback, checks, unsettled, world)
    admitted = rollback.but(
        admission=checks,
        admitted_at=now,
        lease_counter=lease.counter,
        supersedes=next((r.id for r in open_ones if _is_to_be_gone_on_with(r, rollback)), None),
        obligations=_inherited(open_ones),
    )
    saved = world.ledger.save(admitted)
    if stopped is not None:
        with suppress(RollbackError):  # without its lease it ends by itself at its next step
            world.workflow.stop(stopped.execution, f"{rollback.id} took its lease over")
    return saved


def _is_nobodys_to_go_on_with(earlier: Rollback) -> bool:
    """Its fence stands around data that it changed; or a person ended it behind its fence (rule 3)."""
    by_a_person = earlier.outcome is Outcome.ABORTED and earlier.superseded_by is None
    return earlier.has_changed_data or (by_a_person and earlier.is_fenced)


def _leave_alone(rollback: Rollback, checks: tuple[Check, ...], unsettled: Rollback, world: World) -> Rollback:
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
    check = Check(name="fence-is-settled", verdict=Verdict.FAIL, reason=reason, suppresses=True, look_again_at=recheck)
    return _suppressed(rollback, (*checks, check), check, world)


def _take_over(
    rollback: Rollback, now: datetime, until: datetime, world: World
) -> tuple[Lease | None, Rollback | None, str]:
    """Rule 1: the lease of a living rollback, if it may be taken: lease, whom it was taken from, why not."""
    held = world.ledger.lease(rollback.service_name)
    if held is None:  # given back this moment
        return world.ledger.acquire(rollback.service_name, rollback.id, now, until), None, "the lease has just changed"
    try:
        holder = world.ledger.read(rollback.service_name, held.holder)
    except KeyError:
        return None, None, f"{held.holder} holds the lease on {rollback.service_name}"
    why_not = why_not_taken_over(rollback, holder)
    if why_not is None and rollback.trigger not in BY_HAND and world.ledger.pause(rollback.service_name) is not None:
        why_not = f"automatic rollbacks are paused, and {holder.id} goes on"  # it would be ended for nothing
    if why_not is not None:
        return None, None, why_not
    lease = world.ledger.take_over(held, rollback.id, until)
    return lease, holder, f"the lease on {rollback.service_name} has just changed hands"


def _open_ones(rollback: Rollback, world: World) -> list[Rollback]:
    """Rollbacks before this one that have not concluded, newest first: whoever holds the lease goes on with them."""
    recent = islice(world.ledger.history(rollback.service_name), _LOOK_BACK)
    return [r for r in recent if r.id != rollback.id and r.concluded_at is None]


def _is_to_be_gone_on_with(earlier: Rollback, rollback: Rollback) -> bool:
    """One that only has its conclusion left is past that; unless it ended because its lease was taken by us."""
    return earlier.admitted_at is not None and (earlier.outcome is None or earlier.superseded_by == rollback.id)


def _inherited(open_ones: list[Rollback]) -> tuple[Obligation, ...]:
    """What they still owe."""
    return tuple(owed for r in reversed(open_ones) for owed in reversed(r.open_obligations()))


def _understand(given: Any, world: World) -> tuple[Request, Trigger, TriggerEvent | None]:
    if is_event(given):
        return read_event(given, world.settings)
    return parse_request(given, world.settings.service_names), Trigger.MANUAL, None


def _suppressed(rollback: Rollback, checks: tuple[Check, ...], failed: Check, world: World) -> Rollback:
    from_alarm = rollback.event is not None and rollback.event.alarm is not None
    return world.ledger.save(
        rollback.but(
            admission=checks,
            outcome=Outcome.SUPPRESSED,
            reason=failed.reason,
            recheck_at=failed.look_again_at if from_alarm else None,
        )
    )
