"""EventBridge: `rollback.*` events on the default bus of the account and region.

PutEvents takes ten entries. It answers with status 200 although entries failed; their number is in `FailedEntryCount`
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rollback.adapters.aws.errors import aws_call
from rollback.errors import ExternalServiceError, Throttled
from rollback.names import event_source
from rollback.ports.reporting import RollbackEvent
from rollback.text import service_message

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_BUS = "default"
_THROTTLED = "ThrottlingException"


class DefaultBusEvents:
    """Adapter of the default bus."""

    def __init__(self, client: "EventBridgeClient", application: str) -> None:
        self._client = client
        self._source = event_source(application)

    def put(self, events: Sequence[RollbackEvent]) -> None:
        """Call PutEvents once for all events."""
        with aws_call("PutEvents", _BUS):
            answer = self._client.put_events(
                Entries=[
                    {"Source": self._source, "DetailType": event.kind, "Detail": json.dumps(event.detail)}
                    for event in events
                ]
            )
        if answer.get("FailedEntryCount", 0) == 0:
            return
        failed = [entry for entry in answer.get("Entries", []) if entry.get("ErrorCode")]
        code = failed[0].get("ErrorCode", "?") if failed else "?"
        message = service_message(
            f"PutEvents on {_BUS} failed for {answer['FailedEntryCount']} of {len(events)} events: {code}"
        )
        raise (Throttled if code == _THROTTLED else ExternalServiceError)(message)
