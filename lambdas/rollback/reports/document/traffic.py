"""Requests before, during and after an incident, from the minutes that the load balancer counted."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollback.domain.rollback import Rollback
from rollback.reports.document.model import Traffic, TrafficPeriod
from rollback.resources.aws.traffic import TrafficMinute

_MINUTE = timedelta(minutes=1)
BEFORE = timedelta(minutes=15)  # usual traffic, to compare with
AFTER = timedelta(minutes=10)
LONGEST = timedelta(hours=6)


def incident_began_at(rollback: Rollback) -> datetime:
    """Return when the incident began: the first deployment of the bad release, or the trigger if that is long ago.

    The release counts as the begin only within the correlation window of the settings, two hours by default. A drill is
    no incident: it began when it was started.
    """
    trigger_at = rollback.event.at if rollback.event is not None else rollback.created_at
    if rollback.plan is None or rollback.is_drill:
        return trigger_at
    settings = rollback.settings
    window = timedelta(minutes=settings.policy.correlation_window_minutes if settings is not None else 120)
    deployed_at = rollback.plan.running.first_deployed_at
    return deployed_at if trigger_at - window <= deployed_at <= trigger_at else trigger_at


def recovered_at(rollback: Rollback) -> datetime | None:
    """Return when the service was good again: a verification passed, or a step settled; None: not known."""
    if rollback.verification is not None and rollback.verification.passed_at is not None:
        began = rollback.service.done_at if rollback.service is not None else None
        return began or rollback.verification.passed_at
    return None


def window_to_measure(rollback: Rollback, now: datetime) -> tuple[datetime, datetime]:
    """Return the begin and end of the measurement, from before the bad release until after the recovery."""
    since = _full_minute(incident_began_at(rollback) - BEFORE)
    end = recovered_at(rollback) or rollback.concluded_at or now
    return since, min(now, _full_minute(end) + AFTER, since + LONGEST)


def traffic_of(rollback: Rollback, minutes: Iterable[TrafficMinute], remark: str) -> Traffic:
    """Divide the minutes into periods and sum them up. A minute in which the incident began belongs to `during`."""
    known = tuple(sorted(minutes, key=lambda minute: minute.at))
    if not known:
        return Traffic(remark=remark)
    begin, end = _full_minute(incident_began_at(rollback)), recovered_at(rollback)
    groups = {
        "before": [m for m in known if m.at < begin],
        "during": [m for m in known if m.at >= begin and (end is None or m.at < end)],
        "after": [m for m in known if end is not None and m.at >= max(begin, end)],
    }
    periods = tuple(_period(name, group) for name, group in groups.items() if group)
    return Traffic(minutes=known, periods=periods, remark=remark)


def _period(name: str, minutes: list[TrafficMinute]) -> TrafficPeriod:
    total, failed = sum(m.total for m in minutes), sum(m.failed for m in minutes)
    latencies = [m.p95_seconds for m in minutes if m.p95_seconds is not None]
    return TrafficPeriod(
        name=name,
        since=minutes[0].at,
        until=minutes[-1].at + _MINUTE,
        requests=round(total),
        failed=round(failed),
        availability=max(0.0, 1 - failed / total) if total else None,
        p95_seconds=max(latencies, default=None),
    )


def _full_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
