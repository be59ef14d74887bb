"""Janitor: what nobody else does any more. Concludes dead rollbacks, sends lost reports, looks at red alarms again.

All that it has to look at is in the ledger's index, also of a service that is in the settings no more. A failure, or an
item that can't be read, keeps it from nothing else.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.check import Verdict
from rollback.conclusion.send_report import send_report_once
from rollback.database.data_loss.step import stop_comparison
from rollback.domain import page_count
from rollback.domain.event import DETERIORATION_CHECK
from rollback.domain.ledger_index import AnswerEntry, PendingEntry
from rollback.domain.refusal import Refusal
from rollback.domain.releases.newer_release import DeploymentStatus, latest_deployment
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import CallRefused, Conflict, ExternalServiceError, InvalidRequest, RollbackError, UnreadableItem
from rollback.identity.identify import is_ours
from rollback.identity.task_definition import standing_plan
from rollback.leases.holder import find_rollback
from rollback.leases.successor import successor_of
from rollback.names import OUTAGE_SUFFIX, degraded_alarm, outage_alarm
from rollback.ports.world import World
from rollback.text import paragraph
from rollback.workflow.look_again import (
    build_alarm_event,
    build_recheck_event,
    execution_name,
    unanswered_alarm_execution_name,
)
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step

_LEASE_IN_USE = timedelta(minutes=1)  # a lease renewed so lately: a person may be putting things back under it
_CLOCKS_DIFFER = timedelta(minutes=1)  # CloudWatch's and ours
_LONGEST_ROLLBACK = timedelta(days=1)
_URGENT_RECHECKS = 3  # at a suppressed trigger, before others may come first
_NO_DATA = "INSUFFICIENT_DATA"
_MOST_LISTED = 20  # unreadable items in one page


def sweep(world: World) -> list[str]:
    """One round over all services; says what was done.

    Raises:
        RollbackError: something could not be done, the first of it; everything else was.
    """
    done: list[str] = []
    failures: list[RollbackError] = []

    def attempt(action: Callable[[], Iterator[str]]) -> None:
        try:
            done.extend(action())
        except RollbackError as failure:
            failures.append(failure)

    attempt(lambda: _build_index(world))
    pending: list[PendingEntry] = []
    is_read: list[bool] = []
    attempt(lambda: _read_index(world, pending, is_read))
    known = world.settings.service_names
    for service in (*known, *sorted({one.service for one in pending} - set(known))):
        mine = [one for one in pending if one.service == service]
        for one in mine:
            attempt(lambda one=one: _process_pending(one, world))  # type: ignore[misc]
        if service in known:
            attempt(lambda service=service: _return_lease(service, world))  # type: ignore[misc]
            if is_read:  # else a rollback may be open that nobody has seen
                attempt(lambda service=service, mine=mine: _recheck_triggers(service, mine, world))  # type: ignore[misc]
            attempt(lambda service=service: _emit_alarm_metrics(service, world))  # type: ignore[misc]
    attempt(lambda: _page_unreadable(world))
    attempt(lambda: _page_aggregated(world))
    world.metrics.record_sweep()
    if failures:
        raise failures[0]
    return done


def conclude_execution(execution: str, why: str, world: World, *, error: str = "", by_hand: bool = False) -> list[str]:
    """An execution ended by itself or by hand (FAILED, TIMED_OUT, ABORTED): conclude its rollback, if still open.

    One that left no record failed in Admit: a person's typo is their own to see, anything else is paged.

    Args:
        error: the name of what ended it.
    """
    found = _record_of(execution, world)
    if isinstance(found, Rollback):
        if found.execution != execution or found.concluded_at is not None:
            return []
        refused = Refusal() if error == CallRefused.__name__ else None
        again = not by_hand and refused is None
        one = found.evolve(refusal=found.refusal or refused)
        return [_conclude_abandoned(one, why, world, look_again=again, by_hand=by_hand)]
    if error == InvalidRequest.__name__:
        return []
    subject = f"[{world.settings.environment}] a rollback could not be admitted"
    page = {"severity": "page", "environment": world.settings.environment, "report_id": execution}
    about = f"; {found}" if isinstance(found, UnreadableItem) else ""
    world.notifications.publish(subject, "\n".join(paragraph(f"{execution}: {why}{about}")), page)
    return [f"{execution} left no record: paged"]


def _record_of(execution: str, world: World) -> Rollback | UnreadableItem | None:
    """None: it left no record."""
    try:
        started = world.ledger.find_by_execution(execution)
        if started is not None:
            return world.ledger.read(*started)
    except KeyError:
        return None
    except UnreadableItem as unreadable:
        world.ledger.record_unreadable(unreadable, world.clock.now())
        return unreadable
    for one in world.ledger.pending().items:  # of a version that did not remember executions
        if one.execution == execution:
            return find_rollback(one.rollback_id, world)
    return None


def _build_index(world: World) -> Iterator[str]:
    """A ledger from before the index gets one, over several rounds."""
    if not world.ledger.build_index(world.settings.service_names, world.clock.now()):
        yield "the ledger's index is being built"


def _read_index(world: World, pending: list[PendingEntry], is_read: list[bool]) -> Iterator[str]:
    """Fill `pending` with what is to be done, and `is_read` if that could be read. Set damaged items aside."""
    now, found = world.clock.now(), world.ledger.pending()
    pending.extend(found.items)
    is_read.append(True)
    for service in world.settings.service_names:
        found_owed = world.ledger.owed(service)
        for item in found_owed.unreadable:
            world.ledger.record_unreadable(item, now)
    for item in found.unreadable:
        world.ledger.record_unreadable(item, now)
    yield from ()


def _process_pending(one: PendingEntry, world: World) -> Iterator[str]:
    """Conclude it if nobody walks it any more, or send its report; one that can't be read is set aside."""
    rollback = find_rollback(one.rollback_id, world)
    if rollback is None:
        return
    service_world = world.for_settings(rollback.settings)
    if rollback.concluded_at is None:
        if _is_comparison_abandoned(rollback, service_world):
            yield _conclude_abandoned(
                rollback, "its execution ended without a conclusion", service_world, look_again=True
            )
    elif not rollback.reported:
        yield from _send_late_report(rollback, service_world)
    elif rollback.is_data_loss_report_due:
        yield from _end_overdue_comparison(rollback, service_world)
    elif one.recheck_at is not None and rollback.service_name not in world.settings.service_names:
        world.ledger.save(rollback.evolve(recheck_at=None))
        yield f"{rollback.id}: its service is gone, it is not looked at again"


def _end_overdue_comparison(rollback: Rollback, world: World) -> Iterator[str]:
    """End an account of lost writes that is overdue, and tell it; the database function goes on with younger ones."""
    account = rollback.database.account if rollback.database is not None else None
    if account is None:
        return
    database, policy, now = world.settings.database, world.settings.policy, world.clock.now()
    minutes = database.data_loss_timeout_minutes if database is not None else 0
    limit = timedelta(minutes=minutes) + 2 * timedelta(seconds=policy.database_timeout_seconds)
    with contextlib.suppress(Conflict):
        if account.ended_at is None and now - account.began_at > limit:
            rollback = world.ledger.save(stop_comparison(rollback, "its execution ended before it was made", now))
        if next_step(rollback) is Step.CONCLUDE:
            cursor = run_step(rollback.id, Step.CONCLUDE, world)
            yield f"{rollback.id}: lost writes, {cursor.next}"


def _return_lease(service: str, world: World) -> Iterator[str]:
    """Give back the lease of a concluded rollback that died before it did so, whichever service it is about."""
    for name in (service, *_branch_lease_names(service, world)):
        try:
            held = world.ledger.lease(name)
        except UnreadableItem as unreadable:
            world.ledger.record_unreadable(unreadable, world.clock.now())
            continue
        holder = find_rollback(held.holder, world) if held is not None else None
        if held is None or holder is None:
            continue  # not a rollback's: it runs out, and `stale` tells
        lease_minutes = timedelta(minutes=world.settings.policy.lease_minutes)
        fresh = held.expires_at - world.clock.now() > lease_minutes - _LEASE_IN_USE
        if holder.concluded_at is not None and not fresh:
            world.ledger.release_lease(name, holder.id)
            yield f"{holder.id}: lease on {name} given back"


def _branch_lease_names(service: str, world: World) -> tuple[str, ...]:
    """The branch whose lease is looked at with this service: that of the first of its writers."""
    database, writers = world.settings.database, world.settings.writers()
    if database is None or database.branch_id is None or not writers or writers[0].name != service:
        return ()
    return (database.lease_of(None),)


def _emit_alarm_metrics(service: str, world: World) -> Iterator[str]:
    """Numbers for the alarms on ourselves. A lease is stale when it ran out and nobody gave it back or took it over."""
    standing = standing_plan(service, world)
    try:
        held = world.ledger.lease(service)
        stale = held is not None and held.expires_at <= world.clock.now()
    except UnreadableItem:
        stale = True
    world.metrics.record_readiness(
        service, is_rollback_available=standing is not None and standing.is_ready, stale_leases=int(stale)
    )
    yield from ()


def _is_comparison_abandoned(rollback: Rollback, world: World) -> bool:
    """No execution goes on with it. In direct mode there is none: it lives as long as it renews its lease.

    One that has its outcome only needs its end: it is not given the time that a young one is given to begin.
    """
    now = world.clock.now()
    if rollback.is_direct:
        held = world.ledger.lease(rollback.service_name)
        if held is not None and held.is_held_by(rollback.id, now):
            return False
    young = now - rollback.began_at < timedelta(minutes=world.settings.policy.lease_minutes)
    is_given_time = young and (rollback.outcome is None or rollback.is_direct)
    return not is_given_time and not world.workflow.is_running(rollback.execution)


def _conclude_abandoned(
    rollback: Rollback, why: str, world: World, *, look_again: bool = False, by_hand: bool = False
) -> str:
    """Conclude, as far as it goes now; the next round goes on. One that had acted is failed, else aborted.

    Args:
        by_hand: a person stopped it, which is an abort however far it had come: what it has fenced stays so (rule 3).
        look_again: it died before it did anything, and nobody wanted that: its trigger is to be looked at again.
    """
    world = world.for_settings(rollback.settings)
    try:
        if rollback.outcome is None:
            failed = rollback.has_acted or rollback.refusal is not None
            outcome = Outcome.FAILED if failed and not by_hand else Outcome.ABORTED
            recheck, again, crashed_evaluations = None, "", rollback.crashed_evaluations
            if look_again and outcome is Outcome.ABORTED and rollback.event:
                crashed_evaluations += 1
                tries = _count_earlier_deaths(rollback, world) + crashed_evaluations
                spent = tries >= world.settings.policy.attempts_per_window
                recheck = None if spent else world.clock.now()
                again = f"its trigger was tried {tries} times, and is left to a person" if spent else ""
            reason = "; ".join(said for said in (why, rollback.reason, again) if said)
            ended = {
                "outcome": outcome,
                "reason": reason,
                "recheck_at": recheck,
                "crashed_evaluations": crashed_evaluations,
            }
            heir = successor_of(rollback, world)  # who takes over stops an execution too
            by_person = bool(rollback.is_operator_abort) or (by_hand and heir is None)
            rollback = world.ledger.save(rollback.evolve(**ended, superseded_by=heir, is_operator_abort=by_person))
        cursor = run_step(rollback.id, Step.CONCLUDE, world)
    except Conflict:
        return f"{rollback.id} is being concluded by somebody else"
    return f"{rollback.id}: {cursor.next}"


def _count_earlier_deaths(rollback: Rollback, world: World) -> int:
    """How often others for the same alarm have lately died before they did anything: what kills them may stay."""
    since = world.clock.now() - timedelta(minutes=world.settings.policy.attempt_window_minutes)
    alarm = rollback.event.alarm if rollback.event is not None else None
    if alarm is None:
        return 0
    answers = world.ledger.answers(rollback.service_name, alarm, since)
    return sum(one.crashed_evaluations for one in answers.items if one.rollback_id != rollback.id)


def _send_late_report(rollback: Rollback, world: World) -> Iterator[str]:
    with contextlib.suppress(
        Conflict, ExternalServiceError
    ):  # somebody else wrote it down; or the next round tries again
        world.ledger.save(send_report_once(rollback, world))
        yield f"{rollback.id}: report sent late"


def _recheck_triggers(service: str, pending: list[PendingEntry], world: World) -> Iterator[str]:
    """Alarms and failed deployments are told once: what was suppressed or missed is looked at again, one a round."""
    if any(_is_blocking(one, world) for one in pending) or world.ledger.pause(service) is not None:
        return  # whatever is open, or paused, is looked at when it is over
    triggers = (outage_alarm(world.settings.prefix, service), degraded_alarm(world.settings.prefix, service))
    red = {name for name, state in world.alarms.states(triggers).items() if state == "ALARM"}
    due = _rollbacks_due_for_recheck(pending, world)
    over = [one for one in due if one.event is not None and one.event.alarm is not None and one.event.alarm not in red]
    for rollback in over:
        world.ledger.save(rollback.evolve(recheck_at=None))  # turning red again is an edge of its own
    turn = _rollbacks_to_recheck_next([one for one in due if one not in over], triggers)
    is_urgent = bool(turn) and turn[0].rechecks < _URGENT_RECHECKS
    asked = [] if is_urgent else list(_start_recheck_of_alarm(service, triggers, pending, world))
    yield from asked
    if turn and not asked:
        newest, *others = turn
        for rollback in others:  # one look answers them all
            world.ledger.save(rollback.evolve(recheck_at=None))
        yield from _start_recheck(newest, world)


def _rollbacks_to_recheck_next(due: list[Rollback], triggers: tuple[str, ...]) -> list[Rollback]:
    """The records of the source whose turn it is, newest first.

    An outage comes first; but one that was looked at several times, and stays suppressed, keeps nothing else waiting
    for ever.
    """
    of_sources: list[list[Rollback]] = []
    for source in dict.fromkeys((*(f"alarm {name}" for name in triggers), *_failed_deployment_sources(due))):
        mine = [one for one in due if one.event is not None and one.event.source == source]
        if mine:
            of_sources.append(mine)
    if not of_sources or of_sources[0][0].rechecks < _URGENT_RECHECKS:
        return of_sources[0] if of_sources else []
    return min(of_sources, key=lambda mine: mine[0].rechecked_at or mine[0].created_at)


def _start_recheck_of_alarm(
    service: str, triggers: tuple[str, ...], pending: list[PendingEntry], world: World
) -> Iterator[str]:
    """Start a look at the first alarm in ALARM that nobody has answered."""
    since_when = world.alarms.in_alarm_since(triggers)
    for alarm in (alarm for alarm in triggers if alarm in since_when):  # an outage first
        since = since_when[alarm]
        question = _find_unanswered_alarm(alarm, since, service, pending, world)
        if question is not None:
            name = unanswered_alarm_execution_name(alarm, question.at)
            why = f"looked at again; in ALARM since {since:%H:%M:%S}{question.why}"
            world.workflow.start(
                name, build_alarm_event(name, alarm, why, world.clock.now(), world.home, question.before)
            )
            yield f"{alarm} is looked at again: {name}"
            return


def _is_blocking(one: PendingEntry, world: World) -> bool:
    """Whether an open rollback is to be waited for; one that can't be read never ends."""
    return one.is_open and one.can_act and find_rollback(one.rollback_id, world) is not None


def _rollbacks_due_for_recheck(pending: list[PendingEntry], world: World) -> list[Rollback]:
    """Concluded ones whose time has come to be looked at again, newest first."""
    now = world.clock.now()
    times = [one for one in pending if not one.is_open and one.recheck_at is not None and one.recheck_at <= now]
    found = [rollback for one in times if (rollback := find_rollback(one.rollback_id, world)) is not None]
    current = [one for one in found if one.concluded_at is not None and one.recheck_at is not None]
    return sorted(current, key=lambda one: one.began_at, reverse=True)


def _failed_deployment_sources(due: list[Rollback]) -> Iterator[str]:
    for rollback in due:
        if rollback.event is not None and rollback.event.alarm is None:
            yield rollback.event.source


def _start_recheck(rollback: Rollback, world: World) -> Iterator[str]:
    """Start an execution and write that down. It takes the record over; if it fails before, the record is due again."""
    now, name = world.clock.now(), execution_name(rollback)
    arn = (
        world.services.describe(world.settings.service(rollback.service_name)).arn
        if _needs_service_arn(rollback)
        else ""
    )
    world.workflow.start(name, build_recheck_event(rollback, name, now, arn, world.home))
    again = now + timedelta(minutes=world.settings.policy.recheck_minutes)
    with contextlib.suppress(Conflict):  # the execution has the record already
        world.ledger.save(rollback.evolve(rechecked_at=now, rechecks=rollback.rechecks + 1, recheck_at=again))
    source = rollback.event.source if rollback.event is not None else rollback.id
    yield f"{source} is looked at again: {name}"


def _needs_service_arn(rollback: Rollback) -> bool:
    return rollback.event is not None and rollback.event.alarm is None


@dataclass(frozen=True)
class _UnansweredAlarm:
    """What nobody has answered yet.

    Attributes:
        at: when it arose; one execution is started for each.
        before: the alarm's state before, as the event tells it.
    """

    at: datetime
    before: str
    why: str = ""


def _find_unanswered_alarm(
    alarm: str, since: datetime, service: str, pending: list[PendingEntry], world: World
) -> _UnansweredAlarm | None:
    """Find out whether an alarm that stays red is to be asked about again.

    It is if nobody was told what is done about it, or if the team has deployed a release since they were told: that
    answer was about another one. What a person stopped is theirs.
    """
    if not _is_recheck_allowed(alarm, since, service, pending, world):
        return None
    now, patience = world.clock.now(), timedelta(minutes=world.settings.policy.alarm_without_rollback_minutes)
    answers = world.ledger.answers(service, alarm, since - _CLOCKS_DIFFER).items
    if any(one.rechecked_at is not None and now - one.rechecked_at < patience for one in answers):
        return None
    if any(one.is_stopped for one in answers):
        return None
    judged = [one for one in answers if one.is_decided]
    if not judged:
        return _UnansweredAlarm(since, _state_before(alarm, since, world))
    began = _deployed_since(max(one.answered_at for one in judged), service, world)
    if began is None:
        return None
    why = f"; a deployment began at {began:%H:%M:%S}, after the last answer"
    was_never_green = any(_is_suppressed_as_no_change(one, world) for one in judged)  # CloudWatch forgets in 30 days
    return _UnansweredAlarm(began, _NO_DATA if was_never_green else _state_before(alarm, since, world), why)


def _is_suppressed_as_no_change(one: AnswerEntry, world: World) -> bool:
    """Whether an admission decided so; a deployment under such an alarm is judged by the setting again."""
    answered = find_rollback(one.rollback_id, world)
    checks = answered.admission if answered is not None else ()
    return any(check.name == DETERIORATION_CHECK and check.verdict is Verdict.FAIL for check in checks)


def _state_before(alarm: str, since: datetime, world: World) -> str:
    """An alarm that was red from its creation has never been green; one whose history is silent is believed."""
    try:
        return world.alarms.state_before(alarm, since - _CLOCKS_DIFFER) or "OK"
    except ExternalServiceError:
        return "OK"


def _deployed_since(answered_at: datetime, service: str, world: World) -> datetime | None:
    """When the newest deployment of the team began, if that was after the answer; None: it was not, or needs time.

    Alarms look back in time, and a deployment may be the fix: it is given as long as `guards.check_no_fix_in_flight`
    gives one in flight, and one that has ended as long as alarms may take to settle and then to be looked at.
    """
    latest = latest_deployment(world.services.describe(world.settings.service(service)))
    if latest.began_at <= answered_at or is_ours(latest.deployed.definition_arn, world):
        return None
    policy = world.settings.policy
    minutes = policy.alarm_settle_minutes + policy.alarm_without_rollback_minutes
    if latest.standing is DeploymentStatus.IN_FLIGHT:
        minutes = policy.service_timeout_minutes
    return latest.began_at if world.clock.now() - latest.began_at > timedelta(minutes=minutes) else None


def _is_recheck_allowed(alarm: str, since: datetime, service: str, pending: list[PendingEntry], world: World) -> bool:
    """Red for long enough, with no look at it planned, and not because of what was just done or refused."""
    now, policy = world.clock.now(), world.settings.policy
    patience = timedelta(minutes=policy.alarm_without_rollback_minutes)
    if now - since < patience:
        return False
    if any(one.source == f"alarm {alarm}" and one.recheck_at is not None for one in pending):
        return False  # it is looked at when its time comes
    settle = timedelta(minutes=policy.alarm_settle_minutes)
    changes = world.ledger.changes(service, now - _LONGEST_ROLLBACK).items
    if any(one.has_acted and now - (one.concluded_at or now) < settle for one in changes):
        return False  # alarms look back in time: it may still turn green
    # Refused again, whoever asks; but an emergency needs fewer permissions than a plain rollback has used.
    refused = [one for one in world.ledger.changes(service, since - _CLOCKS_DIFFER).items if one.is_refused]
    return not any(one.is_emergency or not alarm.endswith(OUTAGE_SUFFIX) for one in refused)


def _page_unreadable(world: World) -> Iterator[str]:
    """Tell an operator once of the items that can't be read: one page a round, however many they are."""
    environment = world.settings.environment
    fresh = [item for item in world.ledger.unreadable() if not item.is_told]
    if not fresh:
        return
    listed = "\n".join(f"  {item.key}: {item.why}" for item in fresh[:_MOST_LISTED])
    more = f"\n  and {len(fresh) - _MOST_LISTED} more" if len(fresh) > _MOST_LISTED else ""
    subject = f"[{environment}] {len(fresh)} items of the rollback ledger can't be read"
    text = (
        f"These items of the ledger can't be read. They were left as they are, and everything else goes on:\n{listed}"
        f"{more}\nA rollback that is among them may owe something. Next:\n  rollback status {environment}\n"
        f"  rollback unfence {environment} --service SERVICE --reason '…'"
    )
    page = {"severity": "page", "environment": environment, "report_id": f"unreadable:{fresh[0].key}"[:250]}
    world.notifications.publish(subject, text, page)
    for item in fresh:
        world.ledger.mark_reported(item)
    yield f"{len(fresh)} items can't be read: paged"


def _page_aggregated(world: World) -> Iterator[str]:
    """Send what was only counted, once the window of the last page is over."""
    now, minutes = world.clock.now(), world.settings.policy.page_aggregation_minutes
    for count in world.ledger.page_counts():
        if not count.is_due(now, minutes):
            continue
        subject, text = page_count.in_words(count, world.settings.environment)
        report_id = f"{count.last_rollback_id}:counted-{count.total}"
        page = {"severity": "page", "environment": world.settings.environment, "report_id": report_id}
        world.notifications.publish(subject, text, page)
        with contextlib.suppress(Conflict):  # one more was counted: the next round tells of it
            world.ledger.put_page_count(count.told(now), count)
        yield f"{count.service}: {count.unreported} more pages told as one"
