"""Schedules of rules and of EventBridge Scheduler: `rate(...)` fires on the scaled clock, `cron(...)` never fires.

Not simulated: flexible windows, time zones, `at(...)`, start and end dates.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.events.models import events_backends
from moto.scheduler.models import scheduler_backends

from local_cloud import clock

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_TICK_SECONDS = 10.0


def period_seconds(expression: str | None) -> int | None:
    """Return the simulated seconds between two events of a schedule; None if it is no `rate(...)`."""
    match = _RATE.fullmatch((expression or "").strip())
    return int(match[1]) * _SECONDS[match[2]] if match else None


class Scheduler:
    """A thread that calls `fire(rule)` when a rule is due. A new rule first fires after one period."""

    def __init__(self, fire: Callable[[Any], None]) -> None:
        self._fire = fire
        self._due: dict[tuple[str, str], float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events-schedule", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(max(0.02, clock.real_seconds(_TICK_SECONDS))):
            now = time.monotonic()
            for rule in (*_rules(), *_scheduler_schedules()):
                if (seconds := period_seconds(rule.scheduled_expression)) is None:
                    continue
                period, key = clock.real_seconds(seconds), (rule.arn, rule.scheduled_expression)
                if now < self._due.setdefault(key, now + period):
                    continue
                self._due[key] += period
                if rule.state == "ENABLED":
                    self._fire(rule)


def _rules() -> list[Any]:
    backends = [backend for account in list(events_backends.values()) for backend in list(account.values())]
    buses = [bus for backend in backends for bus in list(backend.event_buses.values())]
    return [rule for bus in buses for rule in list(bus.rules.values())]


@dataclass(frozen=True)
class _ScheduleAsRule:
    """A schedule of EventBridge Scheduler in the shape of a rule with one target."""

    arn: str
    name: str
    state: str
    scheduled_expression: str
    targets: list[dict[str, Any]]

    @property
    def region_name(self) -> str:
        return self.arn.split(":")[3]

    @property
    def account_id(self) -> str:
        return self.arn.split(":")[4]


def _scheduler_schedules() -> list[_ScheduleAsRule]:
    backends = [backend for account in list(scheduler_backends.values()) for backend in list(account.values())]
    groups = [group for backend in backends for group in list(backend.schedule_groups.values())]
    return [
        _ScheduleAsRule(schedule.arn, schedule.name, schedule.state, schedule.schedule_expression, [schedule.target])
        for group in groups
        for schedule in list(group.schedules.values())
    ]
