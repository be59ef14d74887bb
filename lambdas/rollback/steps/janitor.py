"""Janitor: what nobody else does any more. Concludes dead rollbacks, sends lost reports, looks at red alarms again."""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from rollback.model.errors import Conflict, OutsideFailure, RollbackError
from rollback.model.names import degraded_alarm, outage_alarm
from rollback.model.rollback import Outcome, Rollback
from rollback.model.route import Step
from rollback.model.text import paragraph
from rollback.steps.conclude import send_report
from rollback.steps.ports import World
from rollback.steps.walk import heir_of, walk

_LOOK_BACK = 200  # rollbacks of one service, newest first
_IN_USE = timedelta(minutes=1)  # a lease renewed so lately: a person may be putting things back under it
_CLOCKS_DIFFER = timedelta(minutes=1)  # CloudWatch's and ours
# What a plan said to an alarm: people have been told.
_ANSWERS = frozenset({Outcome.SUPPRESSED, Outcome.REFUSED, Outcome.PLANNED})


def sweep(world: World) -> list[str]:
    """One round over all services; says what was done.

    Raises:
        RollbackError: a service could not be swept; the others were.
    """
    done: list[str] = []
    failures: list[RollbackError] = []
    for service in world.settings.service_names:
        try:
            done.extend(_sweep_service(service, world))
            _tell_the_alarms(service, world)
        except RollbackError as failure:
            failures.append(failure)
    world.metrics.swept()
    if failures:
        raise failures[0]
    return done


def conclude_execution(execution: str, why: str, world: World, *, by_hand: bool = False) -> list[str]:
    """An execution ended by itself or by hand (FAILED, TIMED_OUT, ABORTED): conclude its rollback, if still open.

    One that left no record failed in Admit: a person's typo is their own to see, anything else is paged.
    """
    done, known = [], False
    for service in world.settings.service_names:
        for rollback in _recent(service, world):
            if rollback.execution != execution:
                continue
            known = True
            if rollback.concluded_at is None:
                done.append(_conclude_dead(rollback, why, world, look_again=not by_hand, by_hand=by_hand))
    if not known and "InvalidRequest" not in why:
        subject = f"[{world.settings.environment}] a rollback could not be admitted"
        page = {"severity": "page", "environment": world.settings.environment, "report_id": execution}
        world.notifications.publish(subject, "\n".join(paragraph(f"{execution}: {why}")), page)
        done.append(f"{execution} left no record: paged")
    return done


def _sweep_service(service: str, world: World) -> Iterator[str]:
    for rollback in _recent(service, world):
        if rollback.concluded_at is None and _is_dead(rollback, world):
            yield _conclude_dead(rollback, "its execution ended without a conclusion", world, look_again=True)
        elif rollback.concluded_at is not None and not rollback.reported:
            yield from _report_late(rollback, world)
    yield from _return_lease(service, world)
    yield from _look_again(service, world)


def _return_lease(service: str, world: World) -> Iterator[str]:
    """Of a rollback that was concluded, and died before it could give its lease back."""
    held = world.ledger.lease(service)
    if held is None:
        return
    try:
        holder = world.ledger.read(service, held.holder)
    except KeyError:
        return  # not a rollback's: it runs out, and `stale` tells
    fresh = held.expires_at - world.clock.now() > timedelta(minutes=world.settings.policy.lease_minutes) - _IN_USE
    if holder.concluded_at is not None and not fresh:
        world.ledger.release_lease(service, holder.id)
        yield f"{holder.id}: lease given back"


def _tell_the_alarms(service: str, world: World) -> None:
    """Numbers for the alarms on ourselves. A lease is stale when it ran out and nobody gave it back or took it over."""
    standing, held = world.ledger.standing_plan(service), world.ledger.lease(service)
    stale = held is not None and held.expires_at <= world.clock.now()
    world.metrics.watched(service, has_way_back=standing is not None and standing.is_ready, stale_leases=int(stale))


def _recent(service: str, world: World) -> list[Rollback]:
    return list(islice(world.ledger.history(service), _LOOK_BACK))


def _is_dead(rollback: Rollback, world: World) -> bool:
    """No execution goes on with it. In direct mode there is none: it lives as long as it renews its lease."""
    now = world.clock.now()
    if rollback.is_direct:
        held = world.ledger.lease(rollback.service_name)
        if held is not None and held.is_held_by(rollback.id, now):
            return False
    young = now - rollback.created_at < timedelta(minutes=world.settings.policy.lease_minutes)
    return not young and not world.workflow.is_running(rollback.execution)


def _conclude_dead(
    rollback: Rollback, why: str, world: World, *, look_again: bool = False, by_hand: bool = False
) -> str:
    """Conclude, as far as it goes now; the next round goes on. One that had acted is failed, else aborted.

    Args:
        by_hand: a person stopped it, which is an abort however far it had come: what it has fenced stays so (rule 3).
        look_again: it died before it did anything, and nobody wanted that: its alarm is to be looked at again.
    """
    try:
        if rollback.outcome is None:
            outcome = Outcome.FAILED if rollback.has_acted and not by_hand else Outcome.ABORTED
            recheck, again = None, ""
            if look_again and outcome is Outcome.ABORTED and rollback.event:
                tries = _died_before(rollback, world) + 1
                spent = tries >= world.settings.policy.attempts_per_window
                recheck = None if spent else world.clock.now()
                again = f"its alarm was tried {tries} times, and is left to a person" if spent else ""
            reason = "; ".join(said for said in (why, rollback.reason, again) if said)
            heir = heir_of(rollback, world)
            rollback = world.ledger.save(
                rollback.but(outcome=outcome, reason=reason, recheck_at=recheck, superseded_by=heir)
            )
        cursor = walk(rollback.id, Step.CONCLUDE, world)
    except Conflict:
        return f"{rollback.id} is being concluded by somebody else"
    return f"{rollback.id}: {cursor.next}"


def _died_before(rollback: Rollback, world: World) -> int:
    """How often a rollback for the same alarm has lately died before it did anything: what kills it may stay."""
    since = world.clock.now() - timedelta(minutes=world.settings.policy.attempt_window_minutes)
    alarm = rollback.event.alarm if rollback.event is not None else None
    return sum(
        1
        for one in _recent(rollback.service_name, world)
        if one.created_at >= since
        and one.outcome is Outcome.ABORTED
        and one.recheck_at is not None
        and one.event is not None
        and one.event.alarm == alarm
    )


def _report_late(rollback: Rollback, world: World) -> Iterator[str]:
    try:
        send_report(rollback, world)
    except OutsideFailure:
        return  # the next round tries again
    with contextlib.suppress(Conflict):  # somebody else wrote it down
        world.ledger.save(rollback.but(reported=True))
    yield f"{rollback.id}: report sent late"


def _look_again(service: str, world: World) -> Iterator[str]:
    """Alarms are edges: a suppressed or missed one never comes again. Names are unique: each look is started once."""
    history = _recent(service, world)
    if any(r.concluded_at is None for r in history) or world.ledger.pause(service) is not None:
        return  # whatever is open, or paused, is looked at when it is over
    now = world.clock.now()
    triggers = (outage_alarm(world.settings.prefix, service), degraded_alarm(world.settings.prefix, service))
    red = {name for name, state in world.alarms.states(triggers).items() if state == "ALARM"}
    due = [r for r in history if r.rechecked_at is None and r.recheck_at is not None and r.recheck_at <= now]
    of_red = {alarm: [r for r in due if r.event is not None and r.event.alarm == alarm] for alarm in red}
    for rollback in due:
        if not any(rollback in some for some in of_red.values()):
            world.ledger.save(rollback.but(rechecked_at=now))  # turning red again is an edge of its own
    for alarm in triggers:  # an outage first
        if of_red.get(alarm):
            newest, *others = of_red[alarm]
            yield from _start(f"recheck-{newest.id}", alarm, f"suppressed as {newest.id}: {newest.reason}", world)
            for rollback in (*others, newest):  # one look answers them all; the newest last, which names it
                world.ledger.save(rollback.but(rechecked_at=now))
            return
    since_when = world.alarms.red_since(triggers)
    for alarm in (alarm for alarm in triggers if alarm in since_when):  # an outage first
        since = since_when[alarm]
        if _is_unanswered(alarm, since, history, world):
            yield from _start(
                f"still-red-{since:%Y%m%dT%H%M%S}-{alarm}", alarm, f"in ALARM since {since:%H:%M:%S}", world
            )
            return


def _is_unanswered(alarm: str, since: datetime, history: list[Rollback], world: World) -> bool:
    """Red for long enough, and nobody was told what is done about it, or what was done did not help.

    A record that a plan refused or suppressed has told people already; one that a person stopped is theirs.
    """
    now, policy = world.clock.now(), world.settings.policy
    patience = timedelta(minutes=policy.alarm_without_rollback_minutes)
    if now - since < patience:
        return False
    for rollback in history:
        if rollback.created_at < since - _CLOCKS_DIFFER:
            break
        over = rollback.concluded_at or now
        if rollback.has_acted and now - over < timedelta(minutes=policy.alarm_settle_minutes):
            return False  # alarms look back in time: it may still turn green
        if rollback.event is None or rollback.event.alarm != alarm:
            continue
        if rollback.rechecked_at is not None and now - rollback.rechecked_at < patience:
            return False
        judged = rollback.plan is not None and rollback.outcome in _ANSWERS
        stopped = rollback.outcome is Outcome.ABORTED and rollback.recheck_at is None
        if judged or stopped:
            return False
    return True


def _start(name: str, alarm: str, why: str, world: World) -> Iterator[str]:
    name = name[:80]
    world.workflow.start(name, _alarm_event(name, alarm, why, world))
    yield f"{alarm} is looked at again: {name}"


def _alarm_event(name: str, alarm: str, why: str, world: World) -> dict[str, Any]:
    """What CloudWatch would send, under our own source."""
    place = {"account": world.home.account, "region": world.home.region} if world.home is not None else {}
    return {
        **place,
        "id": name,
        "source": "rollback.janitor",
        "detail-type": "CloudWatch Alarm State Change",
        "time": world.clock.now().isoformat(),
        "resources": [],
        "detail": {
            "alarmName": alarm,
            "state": {"value": "ALARM", "reason": f"looked at again; {why}"[:500]},
            "previousState": {"value": "OK"},
        },
    }
