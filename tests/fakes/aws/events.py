"""Events on a bus."""

import json
from collections.abc import Sequence

from fakes.aws.request_models import check_request, refuse

from rollback.ports.reporting import RollbackEvent

_MAX_ENTRIES, _MAX_BYTES = 10, 262_144  # EventBridge API reference, PutEvents


class FakeEvents:
    """Store the events."""

    def __init__(self) -> None:
        self.put_events: list[RollbackEvent] = []

    def put(self, events: Sequence[RollbackEvent]) -> None:
        entries = [
            {"Source": "macro-ai.rollback", "DetailType": event.kind, "Detail": json.dumps(event.detail)}
            for event in events
        ]
        check_request("events", "PutEvents", "default", Entries=entries)
        if not 1 <= len(entries) <= _MAX_ENTRIES or len(json.dumps(entries).encode()) > _MAX_BYTES:
            refuse("PutEvents", "default", "ValidationException", "the entries are too many or too large")
        self.put_events.extend(events)

    @property
    def kinds(self) -> list[str]:
        """The detail types, in order."""
        return [event.kind for event in self.put_events]
