"""Changes of alarm states from CloudWatch's history, which has those between two polls as well."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

_OVERLAP = timedelta(
    seconds=10
)  # read again at the next poll: CloudWatch may write a change a little after its timestamp
_TYPES = ["MetricAlarm", "CompositeAlarm"]


class AlarmChanges:
    """Reads each change of an alarm's state once.

    Attributes:
        initially_in_alarm: names of the alarms that were in ALARM when this object was made.
        evidence_only: names of the alarms without actions: they start no rollback.
    """

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch
        self._reported_changes: set[tuple[str, str]] = set()
        self._from = datetime.now(UTC) - _OVERLAP
        for _ in self.poll_changes():  # earlier changes are no news
            pass
        pages = list(cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=_TYPES))
        metric_alarms = [alarm for page in pages for alarm in page.get("MetricAlarms", ())]
        alarms = metric_alarms + [alarm for page in pages for alarm in page.get("CompositeAlarms", ())]
        self.initially_in_alarm = {alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"}
        self.evidence_only = {alarm["AlarmName"] for alarm in metric_alarms if not alarm["AlarmActions"]}

    def poll_changes(self) -> Iterator[tuple[str, str]]:
        """Return name and new state of each change since the last poll, oldest first."""
        pages = self._cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmTypes=_TYPES, HistoryItemType="StateUpdate", StartDate=self._from
        )
        items = [item for page in pages for item in page["AlarmHistoryItems"]]
        for item in reversed(items):
            self._from = max(self._from, item["Timestamp"] - _OVERLAP)
            key = (item["AlarmName"], f"{item['Timestamp']} {item['HistoryData']}")
            if key not in self._reported_changes:
                self._reported_changes.add(key)
                yield item["AlarmName"], json.loads(item["HistoryData"])["newState"]["stateValue"]
