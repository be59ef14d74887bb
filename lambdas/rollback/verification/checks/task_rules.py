"""Judge the tasks of a running release: the evidence about a service whose requests are not counted.

A service without a load balancer can be COMPLETED while its tasks crash and start again: ECS counts running tasks. So
each task of PRIMARY that failed within `FAILURE_WINDOW` fails the check, also one that failed while the release was
deployed. A single failure leaves the window; a crash loop does not. `WATCH` is the least time in which a failure could
show.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.check import Check
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.ecs_task import (
    FAILURE_WINDOW,
    LISTED_MINUTES,
    ServiceTask,
    failures_since,
    has_ended_well,
    is_of_deployment,
)

CHECK_NAME = "tasks-keep-running"
WATCH = timedelta(minutes=2)
_SHOWN = 3  # failed tasks in a message


@dataclass(frozen=True)
class TaskWindow:
    """Time in which the tasks are judged.

    Attributes:
        since: begin; tasks that stopped earlier are left out.
        watch_until: until then, a pass is a warning that may still change; None: the time is long enough.
    """

    since: datetime
    watch_until: datetime | None = None


def window_of(view: ServiceView, now: datetime, watch_until: datetime | None = None) -> TaskWindow:
    """Return the window of a verification: since PRIMARY's deployment began, and at most `FAILURE_WINDOW` long."""
    return TaskWindow(max(view.primary.created_at, now - FAILURE_WINDOW), watch_until)


def judge_tasks(
    tasks: Iterable[ServiceTask], view: ServiceView, container: str, window: TaskWindow, now: datetime
) -> Check:
    """Judge the tasks of PRIMARY; those of former deployments are left out.

    Args:
        tasks: tasks of the service, running and stopped ones.
        view: ECS's description of the service.
        container: the service's own container.
        window: time in which the tasks are judged.
        now: the present time.
    """
    own = [task for task in tasks if is_of_deployment(task, view.primary)]
    failures = failures_since(window.since, own, view.primary, container)
    unhealthy = [task.id for task in own if task.is_unhealthy and not task.is_stopped]
    stopped = [task for task in own if task.stopped_at is not None and task.stopped_at >= window.since]
    ended = sum(has_ended_well(task, container) for task in stopped)
    running = sum(not task.is_stopped for task in own)
    evidence = {"running": running, "failed": failures, "unhealthy": unhealthy, "ended_with_0": ended}
    since = f"since {window.since:%H:%M:%S} UTC"
    if failures or unhealthy:
        shown = [f"{task} {why}" for task, why in list(failures.items())[:_SHOWN]]
        shown += [f"{task} fails its container's health check" for task in unhealthy[:_SHOWN]]
        reason = f"{len(failures)} tasks failed {since}, {len(unhealthy)} are unhealthy: {'; '.join(shown)}"
        return Check.failed(CHECK_NAME, reason[:2000], evidence=evidence)
    reason = f"{running} tasks run, and none failed {since}"
    if ended:
        reason += f"; {ended} ended with exit code 0, and ECS started others"
    if now - window.since > timedelta(minutes=LISTED_MINUTES):
        reason += f"; tasks that stopped more than {LISTED_MINUTES} minutes ago were not looked at"
    if window.watch_until is not None and now < window.watch_until:
        reason += f"; watched until {window.watch_until:%H:%M:%S} UTC"
        return Check.warned(CHECK_NAME, reason, evidence=evidence)
    return Check.passed(CHECK_NAME, reason, evidence=evidence)
