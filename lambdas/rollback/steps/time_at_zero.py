"""How long each writer stood at zero tasks: from the look that saw all STOPPED to the one that saw a task run again."""

from collections.abc import Iterable
from datetime import datetime

from rollback.model.database_progress import DatabaseProgress, TimeAtZero
from rollback.model.rollback import Rollback
from rollback.model.service_view import ServiceView


def with_services_at_zero(progress: DatabaseProgress, services: Iterable[str], now: datetime) -> DatabaseProgress:
    """With the services that are seen at zero for the first time."""
    known = {one.service for one in progress.zero}
    fresh = tuple(TimeAtZero(service=name, since=now) for name in services if name not in known)
    return progress.but(zero=(*progress.zero, *fresh)) if fresh else progress


def with_service_running(rollback: Rollback, service: str, view: ServiceView, now: datetime) -> Rollback:
    """With the end of a service's time at zero, at the first look that sees a task run."""
    progress = rollback.database
    if progress is None or view.running_count == 0:
        return rollback
    if not any(one.service == service and one.until is None for one in progress.zero):
        return rollback
    zero = tuple(
        one.model_copy(update={"until": now}) if one.service == service and one.until is None else one
        for one in progress.zero
    )
    return rollback.but(database=progress.but(zero=zero))
