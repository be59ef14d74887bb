"""EventBridge: rules match events and call their targets as the target's role; AWS's own events are emitted here."""

import copy
import datetime
import json
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.events.models import Rule, events_backends
from moto.events.responses import EventsHandler

from local_cloud.events import delivery as events_delivery
from local_cloud.events.delivery import Delivery
from local_cloud.events.schedule import Scheduler

__all__ = ["Delivery", "clear_deliveries", "deliveries", "emit", "install", "set_duplicate_delivery", "stop"]


@dataclass
class _InjectedFaults:
    duplicates_delivery: bool = False


_faults = _InjectedFaults()
_stock_put_events = EventsHandler.put_events


class _Running:
    scheduler: Scheduler | None = None


def emit(
    account: str, region: str, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()
) -> str:
    """Put an event of an AWS service (source `aws.*`) on the default bus; answers its id."""
    event = {
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": datetime.datetime.now(datetime.UTC),
        "region": region,
        "resources": list(resources),
        "detail": detail,
    }
    delivered = _to_delivered_event(json.loads(json.dumps(event, default=_iso)))
    for rule in list(events_backends[account][region].event_buses["default"].rules.values()):
        _send_to_targets(rule, delivered)
    return str(delivered["id"])


def deliveries() -> list[Delivery]:
    """What became of each event at each target since the start, or since `clear_deliveries`."""
    return events_delivery.log.all()


def clear_deliveries() -> None:
    events_delivery.log.clear()


def set_duplicate_delivery(enabled: bool) -> None:
    """Fault injection: every target is called twice per event, with the same event id (delivery is at least once)."""
    _faults.duplicates_delivery = enabled


def _send_to_targets(self: Any, original_event: dict[str, Any], _transform_input: bool = True) -> None:
    """Replaces moto's `Rule.send_to_targets`: any rule of the bus gets each event, and decides."""
    pattern = self.event_pattern  # moto matches every event with the empty pattern of a schedule rule
    if self.state == "ENABLED" and pattern._pattern and pattern.matches_event(original_event):
        _deliver_all(self, _to_delivered_event(original_event))


def _deliver_all(rule: Any, event: dict[str, Any]) -> None:
    for target in list(rule.targets):
        for _ in range(2 if _faults.duplicates_delivery else 1):
            threading.Thread(
                target=events_delivery.deliver,
                args=(rule.arn, copy.deepcopy(target), event),
                name=f"events-{rule.name}",
                daemon=True,
            ).start()


def _to_delivered_event(event: dict[str, Any]) -> dict[str, Any]:
    """The event with AWS's fields and their order."""
    fields = ("id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    return {"version": "0"} | {field: event[field] for field in fields} | {"time": _iso(event["time"])}


def _iso(moment: Any) -> str:
    if isinstance(moment, int | float):
        moment = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    return moment if isinstance(moment, str) else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fire(rule: Any) -> None:
    event = {
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": rule.account_id,
        "time": datetime.datetime.now(datetime.UTC),
        "region": rule.region_name,
        "resources": [rule.arn],
        "detail": {},
    }
    _deliver_all(rule, _to_delivered_event(event))


def _put_events(self: Any) -> Any:
    """PutEvents, which refuses AWS's own sources entry by entry."""
    entries = self._get_param("Entries")
    refused = {index for index, entry in enumerate(entries) if str(entry.get("Source", "")).startswith("aws.")}
    if not refused:
        return _stock_put_events(self)
    accepted = [entry for index, entry in enumerate(entries) if index not in refused]
    results = iter(self.events_backend.put_events(accepted))
    refusal = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    answers = [refusal if index in refused else next(results) for index in range(len(entries))]
    failed = sum("ErrorCode" in answer for answer in answers)
    return json.dumps({"FailedEntryCount": failed, "Entries": answers})


def install() -> None:
    """Replace moto's delivery and start the scheduler."""
    Rule.send_to_targets = _send_to_targets
    EventsHandler.put_events = _put_events
    events_delivery.log.stopping.clear()
    clear_deliveries()
    if _Running.scheduler is None:
        _Running.scheduler = Scheduler(_fire)


def stop() -> None:
    """End the scheduler and waiting deliveries; forget faults."""
    events_delivery.log.stopping.set()
    set_duplicate_delivery(False)
    if _Running.scheduler is not None:
        _Running.scheduler.stop()
        _Running.scheduler = None
