"""Periods at zero tasks of each writer: from the observation of all STOPPED to that of a running task."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from rollback.domain.database.progress import DatabaseProgress, ZeroTaskPeriod
from rollback.domain.rollback import Rollback
from rollback.resources.aws.ecs_service import ServiceView

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)


def record_services_at_zero(
    progress: ProgressT, services: Iterable[str], running: Iterable[str], now: datetime
) -> ProgressT:
    """Record the services that came to zero tasks, and end the period of those that run again."""
    periods = _end_periods(progress.fence.zero_task_periods, frozenset(running), now)
    at_zero = {period.service for period in periods if period.until is None}
    begun_periods = tuple(ZeroTaskPeriod(service=name, since=now) for name in services if name not in at_zero)
    periods = (*periods, *begun_periods)
    return progress.evolve_fence(zero_task_periods=periods) if periods != progress.fence.zero_task_periods else progress


def record_service_running(rollback: Rollback, service: str, view: ServiceView, now: datetime) -> Rollback:
    """End a service's period at zero tasks at the first observation of a running task."""
    progress = rollback.database
    if progress is None or view.running_count == 0:
        return rollback
    periods = progress.fence.zero_task_periods
    if not any(period.service == service and period.until is None for period in periods):
        return rollback
    updated_periods = _end_periods(periods, frozenset({service}), now)
    return rollback.evolve(database=progress.evolve_fence(zero_task_periods=updated_periods))


def _end_periods(
    periods: tuple[ZeroTaskPeriod, ...], services: frozenset[str], now: datetime
) -> tuple[ZeroTaskPeriod, ...]:
    return tuple(
        period.model_copy(update={"until": now}) if period.service in services and period.until is None else period
        for period in periods
    )
