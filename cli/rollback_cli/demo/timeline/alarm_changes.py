"""Changes of alarm states, from CloudWatch's history: also of an alarm that is red for less than the time of a look."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

_OVERLAP = timedelta(seconds=10)  # asked for twice, as a change may be written a little after its time
_TYPES = ["MetricAlarm", "CompositeAlarm"]


class AlarmChanges:
    """What has changed since the last look, and what stood at the first."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch
        self._known: set[tuple[str, str]] = set()
        self._from = datetime.now(UTC) - _OVERLAP
        for _ in self.poll_changes():
            pass
        pages = list(cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=_TYPES))
        metric_alarms = [alarm for page in pages for alarm in page.get("MetricAlarms", ())]
        alarms = metric_alarms + [alarm for page in pages for alarm in page.get("CompositeAlarms", ())]
        self.initially_in_alarm = {alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"}
        self.evidence_only = {alarm["AlarmName"] for alarm in metric_alarms if not alarm["AlarmActions"]}

    def poll_changes(self) -> Iterator[tuple[str, str]]:
        """Name and new state, the oldest change first."""
        answer = self._cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmTypes=_TYPES, HistoryItemType="StateUpdate", StartDate=self._from
        )
        items = [item for page in answer for item in page["AlarmHistoryItems"]]
        for item in reversed(items):
            self._from = max(self._from, item["Timestamp"] - _OVERLAP)
            key = (item["AlarmName"], f"{item['Timestamp']} {item['HistoryData']}")
            if key not in self._known:
                self._known.add(key)
                yield item["AlarmName"], json.loads(item["HistoryData"])["newState"]["stateValue"]
