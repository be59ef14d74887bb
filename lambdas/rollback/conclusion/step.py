"""Conclude: put back what was changed, judge what was left, tell people, close. Always reached, however it went.

Each call does one thing and returns, so that each is saved; called again after a crash, it looks before it acts.
A page goes out before anything else: nobody should wait for our tidying up.
"""

from datetime import datetime

from rollback.conclusion.obligations import put_back
from rollback.conclusion.release_state import judge_what_was_left
from rollback.database.account.end import tell_account
from rollback.database.account.step import begun
from rollback.database.changes.fence import hold_on_while_concluding
from rollback.database.unsettled_change import ask_what_became
from rollback.domain import page_count
from rollback.domain.page_count import is_page
from rollback.domain.rollback import ObligationKind, Outcome, Rollback
from rollback.errors import CallRefused, OutsideFailure, UnsupportedService
from rollback.intents.waiting import gave_up
from rollback.ports.world import World
from rollback.reports.report import message, report_id, subject
from rollback.service.stack import drift_of
from rollback.service.unsettled_change import see_what_became


def conclude(rollback: Rollback, world: World) -> Rollback:
    """The next thing that is still to be done before the rollback is over."""
    now = world.clock.now()
    if rollback.concluded_at is not None:
        return tell_account(rollback, world)
    if rollback.outcome is None:
        return rollback.but(outcome=Outcome.FAILED, reason=rollback.reason or "ended before it had an outcome")
    if rollback.concluding_since is None:
        return rollback.but(concluding_since=now, drift=_drift(rollback, world), wait_seconds=0)
    if is_page(rollback) and not rollback.reported:
        sent = _report(rollback, world)
        if sent.reported:
            return sent
    hold_on_while_concluding(rollback, world)
    if rollback.service is not None and rollback.service.intent is not None:
        return see_what_became(rollback, now, world)
    unanswered = rollback.database is not None and rollback.database.is_unanswered
    if unanswered and rollback.has_changed_data:  # whether a fence may be lifted depends on it
        return ask_what_became(rollback, world)
    if rollback.open_obligations():
        return _put_back(rollback, now, world)
    if unanswered:
        return ask_what_became(rollback, world)
    judge_what_was_left(rollback, now, world)
    if not rollback.reported:
        sent = _report(rollback, world)
        if sent.reported or (sent.wait_seconds and not gave_up(rollback, now, world)):
            return sent
    world.metrics.concluded(rollback)
    return begun(rollback, now).but(concluded_at=now, wait_seconds=0)


def _put_back(rollback: Rollback, now: datetime, world: World) -> Rollback:
    """The last change first. A branch's protection keeps no service waiting at zero: Neon may not answer."""
    owed = rollback.open_obligations()
    after = put_back(rollback, owed[0], now, world)
    of_services = [other for other in owed if other.kind is not ObligationKind.BRANCH_PROTECTION]
    if owed[0] in of_services or not of_services or after.obligations != rollback.obligations:
        return after
    return put_back(after, of_services[0], now, world)


def send_report(rollback: Rollback, world: World) -> None:
    """Publish the report; `report_id` lets a reader tell a copy."""
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "page" if is_page(rollback) else "info",
    }
    service = world.settings.service(rollback.service_name)
    world.notifications.publish(subject(rollback), message(rollback, service), attributes)


def _drift(rollback: Rollback, world: World) -> str:
    """For the report; it keeps nothing from being concluded."""
    if rollback.service is None:
        return ""
    service = world.settings.service(rollback.service_name)
    try:
        view = world.services.look(service)
    except (OutsideFailure, UnsupportedService):
        return ""
    return drift_of(service, view.primary.definition_arn, world)


def report_once(rollback: Rollback, world: World) -> Rollback:
    """Send the report, unless it would say again what the last one said; a page may only be counted (`page_count`).

    Raises:
        OutsideFailure: it could not be sent.
    """
    told = rollback.but(reported=True, told=rollback.answer, wait_seconds=0)
    if rollback.told == rollback.answer:
        return told
    now, name = world.clock.now(), page_count.about(rollback)
    before = world.ledger.page_count(rollback.service_name, name) if name is not None else None
    counted_only = page_count.is_counted_only(before, now, world.settings.policy.page_aggregation_minutes)
    if not counted_only:
        send_report(rollback, world)
    if name is not None:
        count = before.counted(rollback, now) if before is not None and counted_only else None
        world.ledger.put_page_count(count or page_count.first_page(rollback, now, before), before)
    return told


def _report(rollback: Rollback, world: World) -> Rollback:
    try:
        return report_once(rollback, world)
    except CallRefused:
        return rollback.but(wait_seconds=0)  # left to the janitor: it sends what was not reported
    except OutsideFailure:
        return rollback.but(wait_seconds=world.settings.policy.poll_seconds)
