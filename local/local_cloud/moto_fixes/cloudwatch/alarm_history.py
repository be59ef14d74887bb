"""DescribeAlarmHistory, which moto lacks: the state changes of alarms, newest first.

`HistoryData` is written as CloudWatch writes it. Configuration updates and actions are not recorded.
"""

import datetime
import json
from collections import deque
from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

_EARLIEST = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_KEPT = 1000  # changes of each alarm; CloudWatch keeps those of 30 days


def record(alarm: Any, previous: Any) -> None:
    """Record a change of an alarm's state, which the alarm already shows."""
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
    """Add the operation."""
    CloudWatchResponse.describe_alarm_history = _describe_alarm_history


def _describe_alarm_history(self: Any) -> Any:
    """Answer with metric alarms only, unless AlarmTypes lists composite alarms too."""
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


def _moment(value: Any) -> datetime.datetime | None:
    """Read a time of a request. The protocol decides whether that is epoch seconds or ISO text."""
    match value:
        case None:
            return None
        case int() | float():
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        case datetime.datetime():
            return _aware(value)
        case _:
            return _aware(datetime.datetime.fromisoformat(str(value)))


def _aware(moment: datetime.datetime) -> datetime.datetime:
    """Return an aware time. moto keeps naive times in UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
