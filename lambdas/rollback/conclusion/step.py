"""Conclude: put back what was changed, judge what was left, tell people, close. Always reached, however it went.

Each call does one thing and returns, so that each is saved; called again after a crash, it looks before it acts.
A page goes out before anything else: nobody should wait for our tidying up.
"""

from datetime import datetime

from rollback.conclusion.obligations import discharge_obligation
from rollback.conclusion.release_state import mark_previous_release
from rollback.database.changes.fence import renew_leases_while_concluding
from rollback.database.data_loss.report import report_data_loss
from rollback.database.data_loss.step import schedule_comparison
from rollback.database.unsettled_change import resolve_database_change
from rollback.domain import page_count
from rollback.domain.page_count import is_page
from rollback.domain.rollback import ObligationKind, Outcome, Rollback
from rollback.errors import CallRefused, ExternalServiceError, UnsupportedService
from rollback.intents.waiting import is_conclusion_overdue
from rollback.ports.world import World
from rollback.reports.report import message, report_id, subject
from rollback.service.stack import describe_drift
from rollback.service.unsettled_change import resolve_service_change


def conclude(rollback: Rollback, world: World) -> Rollback:
    """The next thing that is still to be done before the rollback is over."""
    now = world.clock.now()
    if rollback.concluded_at is not None:
        return report_data_loss(rollback, world)
    if rollback.outcome is None:
        return rollback.evolve(outcome=Outcome.FAILED, reason=rollback.reason or "ended before it had an outcome")
    if rollback.conclusion_started_at is None:
        return rollback.evolve(conclusion_started_at=now, drift=_describe_drift(rollback, world), wait_seconds=0)
    if is_page(rollback) and not rollback.reported:
        sent = _try_to_report(rollback, world)
        if sent.reported:
            return sent
    renew_leases_while_concluding(rollback, world)
    if rollback.service is not None and rollback.service.intent is not None:
        return resolve_service_change(rollback, now, world)
    unanswered = rollback.database is not None and rollback.database.has_unanswered_change
    if unanswered and rollback.has_changed_data:  # whether a fence may be lifted depends on it
        return resolve_database_change(rollback, world)
    if rollback.open_obligations():
        return _discharge_next_obligation(rollback, now, world)
    if unanswered:
        return resolve_database_change(rollback, world)
    mark_previous_release(rollback, now, world)
    if not rollback.reported:
        sent = _try_to_report(rollback, world)
        if sent.reported or (sent.wait_seconds and not is_conclusion_overdue(rollback, now, world)):
            return sent
    world.metrics.record_conclusion(rollback)
    return schedule_comparison(rollback, now).evolve(concluded_at=now, wait_seconds=0)


def _discharge_next_obligation(rollback: Rollback, now: datetime, world: World) -> Rollback:
    """The last change first. A branch's protection keeps no service waiting at zero: Neon may not answer."""
    owed = rollback.open_obligations()
    after = discharge_obligation(rollback, owed[0], now, world)
    of_services = [other for other in owed if other.kind is not ObligationKind.BRANCH_PROTECTION]
    if owed[0] in of_services or not of_services or after.obligations != rollback.obligations:
        return after
    return discharge_obligation(after, of_services[0], now, world)


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


def _describe_drift(rollback: Rollback, world: World) -> str:
    """For the report; it keeps nothing from being concluded."""
    if rollback.service is None:
        return ""
    service = world.settings.service(rollback.service_name)
    try:
        view = world.services.describe(service)
    except (ExternalServiceError, UnsupportedService):
        return ""
    return describe_drift(service, view.primary.definition_arn, world)


def send_report_once(rollback: Rollback, world: World) -> Rollback:
    """Send the report, unless it would say again what the last one said; a page may only be counted (`page_count`).

    Raises:
        ExternalServiceError: it could not be sent.
    """
    told = rollback.evolve(reported=True, told=rollback.answer, wait_seconds=0)
    if rollback.told == rollback.answer:
        return told
    now, name = world.clock.now(), page_count.aggregation_key(rollback)
    before = world.ledger.page_count(rollback.service_name, name) if name is not None else None
    counted_only = page_count.is_aggregated(before, now, world.settings.policy.page_aggregation_minutes)
    if not counted_only:
        send_report(rollback, world)
    if name is not None:
        count = before.counted(rollback, now) if before is not None and counted_only else None
        world.ledger.put_page_count(count or page_count.first_page(rollback, now, before), before)
    return told


def _try_to_report(rollback: Rollback, world: World) -> Rollback:
    try:
        return send_report_once(rollback, world)
    except CallRefused:
        return rollback.evolve(wait_seconds=0)  # left to the janitor: it sends what was not reported
    except ExternalServiceError:
        return rollback.evolve(wait_seconds=world.settings.policy.poll_seconds)
