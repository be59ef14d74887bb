"""How long each writer stood at zero tasks: from the look that saw all STOPPED to the one that saw a task run again."""

from collections.abc import Iterable
from datetime import datetime

from rollback.domain.database.progress import DatabaseProgress, TimeAtZero
from rollback.domain.rollback import Rollback
from rollback.resources.aws.ecs_service import ServiceView


def with_services_at_zero(
    progress: DatabaseProgress, services: Iterable[str], running: Iterable[str], now: datetime
) -> DatabaseProgress:
    """With the services that are seen at zero now and were not before; one that runs again ends its time there."""
    ended = _ended(progress.zero, frozenset(running), now)
    known = {one.service for one in ended if one.until is None}
    fresh = tuple(TimeAtZero(service=name, since=now) for name in services if name not in known)
    zero = (*ended, *fresh)
    return progress.but(zero=zero) if zero != progress.zero else progress


def with_service_running(rollback: Rollback, service: str, view: ServiceView, now: datetime) -> Rollback:
    """With the end of a service's time at zero, at the first look that sees a task run."""
    progress = rollback.database
    if progress is None or view.running_count == 0:
        return rollback
    if not any(one.service == service and one.until is None for one in progress.zero):
        return rollback
    return rollback.but(database=progress.but(zero=_ended(progress.zero, frozenset({service}), now)))


def _ended(zero: tuple[TimeAtZero, ...], services: frozenset[str], now: datetime) -> tuple[TimeAtZero, ...]:
    return tuple(
        one.model_copy(update={"until": now}) if one.service in services and one.until is None else one for one in zero
    )
