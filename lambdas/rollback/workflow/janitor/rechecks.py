"""Evaluate triggers again: suppressions whose time has come, and alarms that stay in ALARM without an answer.

CloudWatch and ECS report a change once. At most one evaluation of a service starts in a sweep.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from rollback.domain.ledger.index import PendingEntry
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict
from rollback.leases.holder import find_rollback
from rollback.names import degraded_alarm, outage_alarm
from rollback.ports.all_ports import AllPorts
from rollback.workflow.janitor.unanswered_alarms import find_unanswered_alarm
from rollback.workflow.recheck_event import (
    build_alarm_event,
    build_recheck_event,
    execution_name,
    unanswered_alarm_execution_name,
)

_URGENT_RECHECKS = 3  # evaluations of a suppressed trigger before other triggers may come first


def recheck_triggers(service: str, pending: list[PendingEntry], ports: AllPorts) -> Iterator[str]:
    """Start the next evaluation of a service's triggers; none while a rollback is open or the service is paused.

    Args:
        service: name of the service.
        pending: the ledger's pending entries of this service.
        ports: access to AWS, Neon and the ledger.

    Yields:
        Each started evaluation, in one line.
    """
    if any(_is_blocking(entry, ports) for entry in pending) or ports.ledger.pause(service) is not None:
        return
    triggers = (outage_alarm(ports.settings.prefix, service), degraded_alarm(ports.settings.prefix, service))
    in_alarm = {name for name, state in ports.alarms.states(triggers).items() if state == "ALARM"}
    due = _rollbacks_due_for_recheck(pending, ports)
    recovered = [
        rollback
        for rollback in due
        if rollback.event is not None and rollback.event.alarm is not None and rollback.event.alarm not in in_alarm
    ]
    for rollback in recovered:
        ports.ledger.save(rollback.evolve(recheck_at=None))  # the next change to ALARM is an event of its own
    next_due = _rollbacks_to_recheck_next([rollback for rollback in due if rollback not in recovered], triggers)
    is_urgent = bool(next_due) and next_due[0].rechecks < _URGENT_RECHECKS
    started = [] if is_urgent else list(_start_recheck_of_alarm(service, triggers, pending, ports))
    yield from started
    if next_due and not started:
        newest, *others = next_due
        for rollback in others:  # the newest record's evaluation answers for all of them
            ports.ledger.save(rollback.evolve(recheck_at=None))
        yield from _start_recheck(newest, ports)


def _is_blocking(entry: PendingEntry, ports: AllPorts) -> bool:
    """Whether an open rollback has to end first; an unreadable one never ends, so it does not block."""
    return entry.is_open and entry.can_act and find_rollback(entry.rollback_id, ports) is not None


def _rollbacks_due_for_recheck(pending: list[PendingEntry], ports: AllPorts) -> list[Rollback]:
    """Concluded rollbacks whose `recheck_at` has come, newest first."""
    now = ports.clock.now()
    due = [entry for entry in pending if not entry.is_open and entry.recheck_at is not None and entry.recheck_at <= now]
    rollbacks = [rollback for entry in due if (rollback := find_rollback(entry.rollback_id, ports)) is not None]
    current = [
        rollback for rollback in rollbacks if rollback.concluded_at is not None and rollback.recheck_at is not None
    ]
    return sorted(current, key=lambda rollback: rollback.began_at, reverse=True)


def _rollbacks_to_recheck_next(due: list[Rollback], triggers: tuple[str, ...]) -> list[Rollback]:
    """The rollbacks of the trigger that comes next, newest first.

    An outage comes first. A trigger that stays suppressed after several evaluations waits for the others in turn.
    """
    by_source: list[list[Rollback]] = []
    for source in dict.fromkeys((*(f"alarm {name}" for name in triggers), *_failed_deployment_sources(due))):
        of_source = [rollback for rollback in due if rollback.event is not None and rollback.event.source == source]
        if of_source:
            by_source.append(of_source)
    if not by_source or by_source[0][0].rechecks < _URGENT_RECHECKS:
        return by_source[0] if by_source else []
    return min(by_source, key=lambda of_source: of_source[0].rechecked_at or of_source[0].created_at)


def _failed_deployment_sources(due: list[Rollback]) -> Iterator[str]:
    for rollback in due:
        if rollback.event is not None and rollback.event.alarm is None:
            yield rollback.event.source


def _start_recheck(rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """Start an execution that takes the record over. If the execution fails before, the record is due again."""
    now, name = ports.clock.now(), execution_name(rollback)
    is_deployment = rollback.event is not None and rollback.event.alarm is None
    service = ports.settings.service(rollback.service_name)
    service_arn = ports.services.describe(service).arn if is_deployment else ""
    ports.workflow.start(name, build_recheck_event(rollback, name, now, service_arn, ports.account_and_region))
    recheck_at = now + timedelta(minutes=ports.settings.policy.recheck_minutes)
    with suppress(Conflict):  # the execution has already taken the record over
        ports.ledger.save(rollback.evolve(rechecked_at=now, rechecks=rollback.rechecks + 1, recheck_at=recheck_at))
    source = rollback.event.source if rollback.event is not None else rollback.id
    yield f"{source} is evaluated again: {name}"


def _start_recheck_of_alarm(
    service: str, triggers: tuple[str, ...], pending: list[PendingEntry], ports: AllPorts
) -> Iterator[str]:
    """Start an evaluation of the first trigger alarm in ALARM without an answer; the outage alarm comes first."""
    in_alarm_since = ports.alarms.in_alarm_since(triggers)
    for alarm in (alarm for alarm in triggers if alarm in in_alarm_since):
        since = in_alarm_since[alarm]
        unanswered = find_unanswered_alarm(alarm, since, service, pending, ports)
        if unanswered is None:
            continue
        name = unanswered_alarm_execution_name(alarm, unanswered.since)
        reason = f"evaluated again; in ALARM since {since:%H:%M:%S} UTC{unanswered.reason_suffix}"
        event = build_alarm_event(
            name, alarm, reason, ports.clock.now(), ports.account_and_region, unanswered.previous_state
        )
        ports.workflow.start(name, event)
        yield f"{alarm} is evaluated again: {name}"
        return
