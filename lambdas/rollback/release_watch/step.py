"""The watch over a fresh release: from the start of its deployment until some minutes after it has settled.

Load balancer metrics come once a minute, and an alarm wants two bad minutes of three. The watch looks at the release
itself every few seconds, compares it with the release before, and starts the same rollback, with the trigger
`release_watch`. Outside of its window the alarms alone are in charge; inside it they are not turned off.

Each look is one invocation; the watch travels as the state of its state machine.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from rollback.check import Check
from rollback.domain.event import find_service_of_event, parse_deployment_event
from rollback.domain.health_check import build_input
from rollback.domain.release_watch.watch import Baseline, ReleaseWatch
from rollback.domain.request import Trigger
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError
from rollback.identity.identify import identify_release, is_registered_by_rollback
from rollback.leases.holder import find_live_lease
from rollback.release_watch.observe import observe
from rollback.release_watch.ports import ReleaseWatchPorts
from rollback.resources.aws.ecs_service import ServiceView

CHECK_NAME = "fresh-release-is-good"
REQUESTER = "release watch"
_MAX_ROLLOUT = timedelta(hours=1)  # a deployment that settles later is left to the alarms
_MAX_SUMMARY = 500  # characters


class NextState(StrEnum):
    """The next state of the watch's state machine."""

    LOOK = "look"
    DONE = "done"


class WatchCursor(BaseModel):
    """The state that travels through the watch's state machine."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    next: NextState
    wait_seconds: int = 0
    summary: str = ""
    watch: ReleaseWatch | None = None


def begin_watch(event: Mapping[str, Any], ports: ReleaseWatchPorts) -> WatchCursor:
    """Begin to watch the release of a deployment that has begun (SERVICE_DEPLOYMENT_IN_PROGRESS).

    Raises:
        InvalidRequest: the event is about a service of another environment, account or region.
    """
    name = find_service_of_event(event, ports.settings, ports.account_and_region)
    service, settings = ports.settings.service(name), ports.settings.release_watch
    if not settings.is_on:
        return _done("the watch over fresh releases is turned off (release_watch.watch_minutes is 0)")
    view = ports.services.describe(service)
    _, deployment_id = parse_deployment_event(event)
    objection = _why_not_watched(service, view, deployment_id, ports)
    if objection is not None:
        return _done(objection)
    now = ports.clock.now()
    release = identify_release(view.primary.deployed, view, service, ports).release
    watch = ReleaseWatch(
        service=name,
        version=release.version,
        deployment_id=view.primary.id,
        began_at=now,
        until=now + timedelta(minutes=settings.watch_minutes),
        baseline=ports.ledger.watch_baseline(name) or Baseline(),
    )
    return _look_again(watch, settings.watch_interval_seconds, f"{release.version} is watched")


def look(cursor: WatchCursor, ports: ReleaseWatchPorts) -> WatchCursor:
    """Look once, and judge; a release that is bad gets its rollback, a good one becomes the next one's baseline."""
    watch, settings = cursor.watch, ports.settings.release_watch
    if watch is None:
        return _done("there is nothing to watch")
    service = ports.settings.service(watch.service)
    view = ports.services.describe(service)
    objection = _why_not_watched(service, view, watch.deployment_id, ports)
    if objection is not None:
        return _done(objection, watch)
    try:
        watch = watch.add(observe(service, view, settings, ports))
    except ExternalServiceError as failure:  # the next look may see more
        return _look_again(watch, settings.watch_interval_seconds, f"nothing could be looked at: {failure}")
    why = watch.why_bad(settings.watch_min_evidence)
    if why is not None:
        _start_rollback(watch, why, ports)
        return _done(f"{watch.version} is bad: {why}", watch)
    watch = _extend(watch, view, settings.watch_minutes, ports.clock.now())
    if watch.is_over(ports.clock.now()):
        return _end_well(watch, settings.watch_min_evidence, ports)
    summary = f"{watch.version}: {watch.observations} answers in {watch.intervals} looks, no objection"
    return _look_again(watch, settings.watch_interval_seconds, summary)


def _why_not_watched(
    service: ServiceSettings, view: ServiceView, deployment_id: str | None, ports: ReleaseWatchPorts
) -> str | None:
    if view.primary.id != deployment_id:
        return f"{view.primary.id} is PRIMARY, not {deployment_id}"
    if view.desired_count == 0:
        return "the desired count is 0: there is nothing to watch"
    if find_live_lease(service.name, ports) is not None:
        return "a rollback is in progress"
    if is_registered_by_rollback(view.primary.definition_arn, ports):
        return f"{view.primary.definition_arn} was deployed by a rollback, which verifies it itself"
    return None


def _extend(watch: ReleaseWatch, view: ServiceView, minutes: float, now: datetime) -> ReleaseWatch:
    """Count the window from the look that sees the deployment settled."""
    if not view.why_not_stable or now - watch.began_at > _MAX_ROLLOUT:
        return watch
    return watch.model_copy(update={"until": now + timedelta(minutes=minutes)})


def _start_rollback(watch: ReleaseWatch, why: str, ports: ReleaseWatchPorts) -> None:
    check = Check.failed(CHECK_NAME, why)
    given = build_input(
        watch.service, watch.deployment_id, ports.clock.now(), (check,), REQUESTER, Trigger.RELEASE_WATCH
    )
    number = watch.deployment_id.rsplit("/", 1)[-1]
    ports.workflow.start(f"release-watch-{watch.service[:40]}-{number}", given)


def _end_well(watch: ReleaseWatch, min_evidence: int, ports: ReleaseWatchPorts) -> WatchCursor:
    unjudged = f"; not judged: {'; '.join(watch.limits)}" if watch.limits else ""
    if watch.observations < min_evidence:
        return _done(f"{watch.version}: {watch.observations} answers are too few to compare with{unjudged}", watch)
    ports.ledger.put_watch_baseline(watch.service, watch.as_baseline())
    return _done(f"{watch.version}: {watch.observations} answers, no objection{unjudged}", watch)


def _look_again(watch: ReleaseWatch, seconds: int, summary: str) -> WatchCursor:
    return WatchCursor(next=NextState.LOOK, wait_seconds=seconds, watch=watch, summary=summary[:_MAX_SUMMARY])


def _done(summary: str, watch: ReleaseWatch | None = None) -> WatchCursor:
    return WatchCursor(next=NextState.DONE, watch=watch, summary=summary[:_MAX_SUMMARY])
