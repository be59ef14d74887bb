"""Admit: understand what is asked, once; see that it still is so; take the lease.

Order: read the input → document and event mark in one write → stale, or not a change for the worse → the alarm as it
stands now → lease. Whatever ends here leaves a record with its reason; a suppression while the alarm goes on has
`recheck_at`, since an alarm is an edge and a suppressed edge never comes again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from rollback.model.errors import Conflict
from rollback.model.event import is_event, read_event, why_event_does_not_count
from rollback.model.request import Request, Trigger, parse_request
from rollback.model.rollback import Obligation, Outcome, Rollback, TriggerEvent, rollback_id
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
    now = world.clock.now()
    new = Rollback(
        id=rollback_id(request.service, started_at, execution),
        environment=world.settings.environment,
        request=request,
        trigger=trigger,
        event=event,
        execution=execution,
        created_at=now,
    )
    try:
        rollback = world.ledger.create(new)
    except Conflict as duplicate:
        # One write, outcome and all: a document without its event must never be taken for an admissible one by a retry.
        return world.ledger.create(new.but(event=None, outcome=Outcome.SUPPRESSED, reason=f"duplicate: {duplicate}"))
    if rollback.admitted_at is not None or rollback.outcome is not None:
        return rollback
    if isinstance(given, Mapping) and is_event(given):
        reason = why_event_does_not_count(given, world.settings.policy, rollback.created_at)
        if reason is not None:
            return _suppressed(rollback, reason, world)
    if (
        event is not None
        and event.alarm is not None
        and world.alarms.states((event.alarm,)).get(event.alarm) != "ALARM"
    ):
        return _suppressed(rollback, f"alarm {event.alarm} is not in ALARM any more", world)
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lease = world.ledger.acquire(request.service, rollback.id, now, until)
    if lease is None:
        held = world.ledger.lease(request.service)
        holder = held.holder if held else "another rollback"
        return _suppressed(rollback, f"{holder} is rolling {request.service} back already", world, again=True)
    inherited = _inherited(rollback, world)
    return world.ledger.save(rollback.but(admitted_at=now, lease_counter=lease.counter, obligations=inherited))


def _inherited(rollback: Rollback, world: World) -> tuple[Obligation, ...]:
    """What dead predecessors, whose lease ran out, still owe: whoever holds the lease puts it back."""
    recent = islice(world.ledger.history(rollback.service_name), _LOOK_BACK)
    dead = [r for r in recent if r.id != rollback.id and r.concluded_at is None]
    return tuple(owed for r in reversed(dead) for owed in reversed(r.open_obligations()))


def _understand(given: Any, world: World) -> tuple[Request, Trigger, TriggerEvent | None]:
    if is_event(given):
        return read_event(given, world.settings)
    return parse_request(given, world.settings.service_names), Trigger.MANUAL, None


def _suppressed(rollback: Rollback, reason: str, world: World, *, again: bool = False) -> Rollback:
    wait = timedelta(minutes=world.settings.policy.recheck_minutes)
    recheck = world.clock.now() + wait if again and rollback.event and rollback.event.alarm else None
    return world.ledger.save(rollback.but(outcome=Outcome.SUPPRESSED, reason=reason, recheck_at=recheck))
