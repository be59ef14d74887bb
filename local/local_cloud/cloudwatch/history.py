"""DescribeAlarmHistory: moto has none. State changes only, newest first; `HistoryData` as CloudWatch writes it."""

import datetime
import json
from collections import deque
from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

_EARLIEST = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_KEPT = 1000  # changes of one alarm; CloudWatch keeps 30 days


def record(alarm: Any, previous: Any) -> None:
    """Write down a change that was just made to an alarm's state."""
    data = {
        "version": "1.0",
        "oldState": {"stateValue": previous.value, "stateReason": previous.reason},
        "newState": {"stateValue": alarm.state_value, "stateReason": alarm.state_reason},
    }
    item = {
        "AlarmName": alarm.name,
        "AlarmType": "MetricAlarm" if alarm.rule is None else "CompositeAlarm",
        "Timestamp": alarm.state_updated_timestamp,
        "HistoryItemType": "StateUpdate",
        "HistorySummary": f"Alarm updated from {previous.value} to {alarm.state_value}",
        "HistoryData": json.dumps(data),
    }
    if not hasattr(alarm, "state_changes"):
        alarm.state_changes = deque(maxlen=_KEPT)
    alarm.state_changes.appendleft(item)


def install() -> None:
    """Serve the operation."""
    CloudWatchResponse.describe_alarm_history = _describe_alarm_history


def _describe_alarm_history(self: Any) -> Any:
    """The operation: metric alarms only, unless AlarmTypes asks for composites too."""
    name, kind = self._get_param("AlarmName"), self._get_param("HistoryItemType")
    types = self._get_param("AlarmTypes", []) or ["MetricAlarm"]
    start, end = _moment(self._get_param("StartDate")), _moment(self._get_param("EndDate"))
    items = [
        item
        for alarm in self.cloudwatch_backend.describe_alarms()
        if name in (None, alarm.name)
        for item in getattr(alarm, "state_changes", ())
        if item["AlarmType"] in types
        and kind in (None, item["HistoryItemType"])
        and (start or _EARLIEST) <= _aware(item["Timestamp"]) <= (end or _LATEST)
    ]
    return ActionResult({"AlarmHistoryItems": sorted(items, key=lambda i: i["Timestamp"], reverse=True)})


def _moment(given: Any) -> datetime.datetime | None:
    """Requests bring epoch seconds or ISO text, by protocol."""
    match given:
        case None:
            return None
        case int() | float():
            return datetime.datetime.fromtimestamp(given, datetime.UTC)
        case datetime.datetime():
            return _aware(given)
        case _:
            return _aware(datetime.datetime.fromisoformat(str(given)))


def _aware(moment: datetime.datetime) -> datetime.datetime:
    """moto keeps naive UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
