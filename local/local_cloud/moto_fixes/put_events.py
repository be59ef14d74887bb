"""PutEvents of EventBridge refuses events whose source begins with `aws.`; moto delivers them.

EventBridge answers such an entry with NotAuthorizedForSourceException (API reference, PutEventsResultEntry).
"""

import json
from typing import Any

from moto.events.responses import EventsHandler

_stock_put_events = EventsHandler.put_events


def install() -> None:
    """Replace moto's operation."""
    EventsHandler.put_events = _put_events


def _put_events(self: Any) -> Any:
    entries = self._get_param("Entries")
    refused_indexes = {index for index, entry in enumerate(entries) if str(entry.get("Source", "")).startswith("aws.")}
    if not refused_indexes:
        return _stock_put_events(self)
    accepted = [entry for index, entry in enumerate(entries) if index not in refused_indexes]
    results = iter(self.events_backend.put_events(accepted))
    refusal = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    answers = [refusal if index in refused_indexes else next(results) for index in range(len(entries))]
    failed = sum("ErrorCode" in answer for answer in answers)
    return json.dumps({"FailedEntryCount": failed, "Entries": answers})
