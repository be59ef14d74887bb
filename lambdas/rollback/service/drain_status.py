"""How long each writer stood at zero tasks: from the look that saw all STOPPED to the one that saw a task run again."""

from collections.abc import Iterable
from datetime import datetime

from rollback.domain.database.progress import DatabaseProgress, ZeroTaskPeriod
from rollback.domain.rollback import Rollback
from rollback.resources.aws.ecs_service import ServiceView


def record_services_at_zero(
    progress: DatabaseProgress, services: Iterable[str], running: Iterable[str], now: datetime
) -> DatabaseProgress:
    """With the services that are seen at zero now and were not before; one that runs again ends its time there."""
    ended = _end_time_at_zero(progress.zero_task_periods, frozenset(running), now)
    known = {one.service for one in ended if one.until is None}
    fresh = tuple(ZeroTaskPeriod(service=name, since=now) for name in services if name not in known)
    zero_task_periods = (*ended, *fresh)
    return (
        progress.evolve(zero_task_periods=zero_task_periods)
        if zero_task_periods != progress.zero_task_periods
        else progress
    )


def record_service_running(rollback: Rollback, service: str, view: ServiceView, now: datetime) -> Rollback:
    """With the end of a service's time at zero, at the first look that sees a task run."""
    progress = rollback.database
    if progress is None or view.running_count == 0:
        return rollback
    if not any(one.service == service and one.until is None for one in progress.zero_task_periods):
        return rollback
    return rollback.evolve(
        database=progress.evolve(
            zero_task_periods=_end_time_at_zero(progress.zero_task_periods, frozenset({service}), now)
        )
    )


def _end_time_at_zero(
    zero_task_periods: tuple[ZeroTaskPeriod, ...], services: frozenset[str], now: datetime
) -> tuple[ZeroTaskPeriod, ...]:
    return tuple(
        one.model_copy(update={"until": now}) if one.service in services and one.until is None else one
        for one in zero_task_periods
    )
